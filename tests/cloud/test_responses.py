"""The error formats of the cloud, and the results of responses."""

import pytest

from dashboard.cloud.responses import UNREADABLE, MalformedResponseError, error_in, parse, result_of
from dashboard.cloud.rules import CallKind, CallResult


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error_code": "WKS.00129901", "error_msg": "invalid"}, ("WKS.00129901", "invalid")),
        ({"error_code": "WKS.1", "error_message": "invalid"}, ("WKS.1", "invalid")),
        ({"errorCode": "WKS.1", "errorMsg": "invalid"}, ("WKS.1", "invalid")),
        ({"code": "WKS.1", "message": "invalid"}, ("WKS.1", "invalid")),
        ({"error": {"code": "IMG.0001", "message": "no"}}, ("IMG.0001", "no")),
        ({"error": {"code": 401, "message": "wrong", "title": "Unauthorized"}}, ("401", "wrong")),
        ({"error_msg": "only words", "request_id": "r"}, ("", "only words")),
        ({"error_code": "only a code", "error_msg": None}, ("only a code", "")),
        ({"error_code": True, "error_msg": ["x"]}, ("", "")),
        ("text", ("", "")),
        (None, ("", "")),
        (UNREADABLE, ("", "")),
    ],
)
def test_finds_the_error_in_every_format(body: object, expected: tuple[str, str]) -> None:
    assert error_in(body) == expected


def test_a_message_is_one_line_without_control_characters() -> None:
    _, message = error_in({"error_msg": "first\r\nsecond\x1b[31m\u2028third\x00" + "x" * 1000})

    assert message.startswith("first second [31m third")
    assert message.isprintable()
    assert len(message) == 500


@pytest.mark.parametrize(
    ("kind", "status", "body", "expected"),
    [
        (CallKind.READ, 200, {"id": "x"}, CallResult.DONE),
        (CallKind.READ, 200, {}, CallResult.DONE),
        (CallKind.READ, 200, None, CallResult.INVALID),
        (CallKind.READ, 200, [], CallResult.INVALID),
        (CallKind.READ, 200, UNREADABLE, CallResult.INVALID),
        (CallKind.READ, 200, {"error_code": "WKS.1", "error_msg": "no"}, CallResult.INVALID),
        (CallKind.READ, 200, {"error": {"code": 1}}, CallResult.INVALID),
        (CallKind.READ, 202, {"id": "x"}, CallResult.INVALID),
        (CallKind.READ, 204, UNREADABLE, CallResult.INVALID),
        (CallKind.WRITE, 200, None, CallResult.DONE),
        (CallKind.WRITE, 200, {"id": "x"}, CallResult.DONE),
        (CallKind.WRITE, 200, UNREADABLE, CallResult.INVALID),
        (CallKind.WRITE, 200, False, CallResult.INVALID),
        (CallKind.WRITE, 200, {"error_message": "no"}, CallResult.INVALID),
        (CallKind.WRITE, 202, None, CallResult.INVALID),
        (CallKind.SIGN_IN, 201, {}, CallResult.DONE),
        (CallKind.SIGN_IN, 200, {}, CallResult.INVALID),
        (CallKind.READ, 199, {}, CallResult.INVALID),
        (CallKind.READ, 304, UNREADABLE, CallResult.REDIRECTED),
        (CallKind.READ, 400, {}, CallResult.REJECTED),
        (CallKind.READ, 494, {}, CallResult.REJECTED),
        (CallKind.READ, 401, UNREADABLE, CallResult.UNAUTHENTICATED),
        (CallKind.READ, 429, {}, CallResult.THROTTLED),
        (CallKind.READ, 429, {"error_code": "APIGW.0308"}, CallResult.THROTTLED_BY_GATEWAY),
        (CallKind.READ, 429, {"error_code": "APIG.0308"}, CallResult.THROTTLED_BY_GATEWAY),
        (CallKind.READ, 500, {}, CallResult.FAILED),
        (CallKind.READ, 504, UNREADABLE, CallResult.FAILED),
        (CallKind.READ, 999, {}, CallResult.INVALID),
    ],
)
def test_the_status_and_then_the_body_decide_the_result(
    kind: CallKind, status: int, body: object, expected: CallResult
) -> None:
    assert result_of(kind, status, body) is expected


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "empty"),
        (b"<html>", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b"\xff\xff", "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b"1" * 5000, "not JSON"),
    ],
)
def test_a_body_without_valid_json_is_malformed(body: bytes, cause: str) -> None:
    with pytest.raises(MalformedResponseError, match=cause):
        parse(body)


def test_the_last_of_repeated_members_counts() -> None:
    assert parse(b'{"name": "old", "name": "new"}') == {"name": "new"}
