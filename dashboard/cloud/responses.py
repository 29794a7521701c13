"""Classify a response, and find the error code and message in its body.

The error formats are those of workspace-api.md 3.1, tried in the order of the official SDK. The cloud uses both
`error_msg` and `error_message`.
"""

import json
import re
from collections.abc import Iterator, Mapping

from dashboard.cloud import parsing
from dashboard.cloud.rules import CallKind, CallResult
from dashboard.text import show_direction_marks

ERROR_FORMATS = (
    ("error_code", ("error_msg", "error_message")),
    ("errorCode", ("errorMsg", "errorMessage")),
    ("code", ("message",)),
)
GATEWAY_CODES = ("APIGW.", "APIG.")
UNCLEAR_STATUSES = frozenset({408, 409, 425, 429, 499})
"""The cloud may have applied a write that gets one of these statuses."""
LONGEST_MESSAGE = 500  # the documented maximum is 255 characters


UNREADABLE = object()  # the body of a response without JSON; None is the JSON literal null


class MalformedResponseError(Exception):
    """The body cannot be read. `result` is the result of a 2xx response with such a body."""

    def __init__(self, result: CallResult, cause: str) -> None:
        super().__init__(cause)
        self.result, self.cause = result, cause


def parse(body: bytes) -> object:
    """The JSON of the body. The last one of repeated members counts. Raises MalformedResponseError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedResponseError(CallResult.INVALID, "not JSON" if body else "empty") from None


def result_of(kind: CallKind, status: int, body: object) -> CallResult:
    """The result of a response; `body` is its JSON, or UNREADABLE."""
    if 200 <= status < 300:
        return CallResult.DONE if _is_success(kind, status, body) else CallResult.INVALID
    if 300 <= status < 400:
        return CallResult.REDIRECTED
    if 500 <= status < 600:
        return CallResult.FAILED
    return _rejection(kind, status, body) if 400 <= status < 500 else CallResult.INVALID


def _rejection(kind: CallKind, status: int, body: object) -> CallResult:
    is_from_provider = has_provider_form(body)
    if status == 429:
        is_gateway = (is_from_provider or kind is not CallKind.WRITE) and error_in(body)[0].startswith(GATEWAY_CODES)
        return CallResult.THROTTLED_BY_GATEWAY if is_gateway else CallResult.THROTTLED
    if kind is CallKind.WRITE and (status in UNCLEAR_STATUSES or not is_from_provider):
        return CallResult.REJECTED_UNCLEARLY
    return CallResult.UNAUTHENTICATED if status == 401 else CallResult.REJECTED


def has_provider_form(body: object) -> bool:
    """Whether the service or its gateway wrote the error (workspace-api.md 3.1), not a proxy."""
    error = parsing.members(body)
    has_message = any(isinstance(error.get(name), str) for name in ("error_msg", "error_message"))
    return isinstance(error.get("error_code"), str) and bool(error["error_code"]) and has_message


def _is_success(kind: CallKind, status: int, body: object) -> bool:
    """Whether a 2xx response is a success of its kind of call.

    A read returns 200 with an object, a sign-in 201. A PATCH is documented to return 200 with the literal `null`. An
    object without an error is a success too, because a later version of the API may return the group. Any other body,
    such as an empty one, does not confirm a change.
    """
    if status != (201 if kind is CallKind.SIGN_IN else 200):
        return False
    if kind is CallKind.WRITE and body is None:
        return True
    return isinstance(body, dict) and not _has_error(body)


def _has_error(body: Mapping[str, object]) -> bool:
    return bool({"error_code", "error_msg", "error_message", "errorCode", "errorMsg"} & body.keys()) or isinstance(
        body.get("error"), dict
    )


def error_in(body: object) -> tuple[str, str]:
    """The cloud's error code and message, each on one line of at most 500 characters. Both can be empty."""
    for candidate in _candidates(body):
        for code_name, message_names in ERROR_FORMATS:
            code = _short_text(candidate.get(code_name))
            message = next(filter(None, (_short_text(candidate.get(name)) for name in message_names)), "")
            if code or message:
                return code, message
    return "", ""


def _candidates(body: object) -> Iterator[Mapping[str, object]]:
    top = parsing.members(body)
    yield top
    yield from (value for value in top.values() if isinstance(value, dict))


def _short_text(value: object) -> str:
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return one_line(str(value)) if is_text else ""


def one_line(text: str) -> str:
    """The text on one line without control characters, because line breaks could forge log entries.

    Remove secrets before the call: redaction does not find a secret that was cut.
    """
    storable = parsing.text({"": text}, "") or ""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", storable).strip()
    return show_direction_marks(line)[:LONGEST_MESSAGE]
