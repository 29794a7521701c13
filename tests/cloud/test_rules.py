"""Each result with each kind of call: the error, and the number of requests."""

import pytest

from dashboard.cloud import errors
from dashboard.cloud.client import Client
from dashboard.cloud.credentials import PasswordCredential
from dashboard.cloud.errors import CloudError
from dashboard.cloud.rules import RULES, CallKind, CallResult

from .scripted import GROUP_ID, LONG_LIMITS, SHORT_LIMITS, Responder, raw, reset, respond, scripted_cloud, stall

UNCLEAR = CallResult.REJECTED_UNCLEARLY
THROTTLED = {"error_code": "APIGW.0308", "error_msg": "The throttling threshold has been reached."}
RESPONDERS: dict[CallResult, Responder] = {
    CallResult.NO_RESPONSE: stall(),
    CallResult.CONNECTION_LOST: reset,
    CallResult.TRUNCATED: raw(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id": "7b'),
    CallResult.INVALID: respond(200, b"<html>Maintenance</html>"),
    CallResult.REDIRECTED: respond(302, b"", {"Location": "http://127.0.0.1:9/"}),
    CallResult.UNAUTHENTICATED: respond(401, {"error_code": "APIGW.0301", "error_msg": "token expires"}),
    CallResult.THROTTLED: respond(429, {"error_code": "WKS.0429", "error_msg": "slow down"}),
    CallResult.THROTTLED_BY_GATEWAY: respond(429, THROTTLED),
    CallResult.REJECTED: respond(403, {"error_code": "WKS.00081102", "error_msg": "no permission"}),
    UNCLEAR: respond(409, {"error_code": "WKS.00211103", "error_msg": "conflict"}),
    CallResult.FAILED: respond(500, {"error_code": "WKS.00211401", "error_msg": "failed"}),
}
EXPECTED: list[tuple[CallResult, CallKind, type[CloudError], int]] = [
    (CallResult.NO_RESPONSE, CallKind.READ, errors.UnavailableError, 3),
    (CallResult.CONNECTION_LOST, CallKind.READ, errors.UnavailableError, 3),
    (CallResult.TRUNCATED, CallKind.READ, errors.BadResponseError, 3),
    (CallResult.INVALID, CallKind.READ, errors.BadResponseError, 1),
    (CallResult.REDIRECTED, CallKind.READ, errors.BadResponseError, 1),
    (CallResult.UNAUTHENTICATED, CallKind.READ, errors.UnauthenticatedError, 1),
    (CallResult.THROTTLED, CallKind.READ, errors.ThrottledError, 3),
    (CallResult.THROTTLED_BY_GATEWAY, CallKind.READ, errors.ThrottledError, 3),
    (CallResult.REJECTED, CallKind.READ, errors.ForbiddenError, 1),
    (CallResult.FAILED, CallKind.READ, errors.UnavailableError, 3),
    (CallResult.NO_RESPONSE, CallKind.WRITE, errors.OutcomeUnknownError, 1),
    (CallResult.CONNECTION_LOST, CallKind.WRITE, errors.OutcomeUnknownError, 1),
    (CallResult.TRUNCATED, CallKind.WRITE, errors.OutcomeUnknownError, 1),
    (CallResult.INVALID, CallKind.WRITE, errors.OutcomeUnknownError, 1),
    (CallResult.REDIRECTED, CallKind.WRITE, errors.OutcomeUnknownError, 1),
    (CallResult.UNAUTHENTICATED, CallKind.WRITE, errors.UnauthenticatedError, 1),
    (CallResult.REJECTED_UNCLEARLY, CallKind.WRITE, errors.OutcomeUnknownError, 1),
    (CallResult.THROTTLED, CallKind.WRITE, errors.OutcomeUnknownError, 1),
    (CallResult.THROTTLED_BY_GATEWAY, CallKind.WRITE, errors.SendAgainError, 1),
    (CallResult.REJECTED, CallKind.WRITE, errors.ForbiddenError, 1),
    (CallResult.FAILED, CallKind.WRITE, errors.OutcomeUnknownError, 1),
    *((result, CallKind.SIGN_IN, errors.SignInError, 1) for result in RESPONDERS if result is not UNCLEAR),
]


def ask(client: Client, kind: CallKind) -> None:
    """Write, or read. A read also leads to a sign-in."""
    if kind is CallKind.WRITE:
        client.update_server_group(GROUP_ID, {"name": "TEST"})
    else:
        client.show_server_group(GROUP_ID)


@pytest.mark.parametrize(("result", "kind", "error", "sent"), EXPECTED)
def test_each_result_raises_its_error_after_its_number_of_requests(
    result: CallResult, kind: CallKind, error: type[CloudError], sent: int
) -> None:
    with scripted_cloud(RESPONDERS[result]) as cloud:
        credential = PasswordCredential("example-corp", "ops-bot", "x") if kind is CallKind.SIGN_IN else None
        client = cloud.client(credential, SHORT_LIMITS if result is CallResult.NO_RESPONSE else LONG_LIMITS)

        with pytest.raises(error) as caught:
            ask(client, kind)

    assert type(caught.value) is error
    assert result.value in caught.value.summary
    assert len(cloud.requests) <= sent
    assert len(cloud.requests) == sent or result is CallResult.NO_RESPONSE


@pytest.mark.parametrize("kind", [CallKind.READ, CallKind.WRITE])
def test_sends_nothing_if_the_connection_never_opens(kind: CallKind) -> None:
    with scripted_cloud(respond()) as cloud:
        client = cloud.client()

    with pytest.raises(errors.UnreachableError) as caught:
        ask(client, kind)

    assert "Connection refused" in str(caught.value)
    assert cloud.requests == []


def test_the_table_has_a_rule_for_every_result_of_every_kind() -> None:
    covered = {(result, kind) for result, kind, _, _ in EXPECTED}
    certain = {(result, kind) for result in (CallResult.DONE, CallResult.NOT_SENT) for kind in CallKind}
    certain |= {(UNCLEAR, CallKind.READ), (UNCLEAR, CallKind.SIGN_IN)}  # only a write can be unclear

    assert covered | certain == {(result, kind) for result in CallResult for kind in CallKind}
    assert {(result, kind) for kind in RULES for result in RULES[kind]} == covered | certain


@pytest.mark.parametrize("kind", [CallKind.READ, CallKind.WRITE])
def test_every_result_without_a_valid_response_is_an_outage(kind: CallKind) -> None:
    alive = {
        CallResult.DONE,
        CallResult.UNAUTHENTICATED,
        CallResult.THROTTLED,
        CallResult.THROTTLED_BY_GATEWAY,
        CallResult.REJECTED,
        CallResult.REJECTED_UNCLEARLY,
    }

    assert {result for result, rule in RULES[kind].items() if rule.is_outage} == set(CallResult) - alive
