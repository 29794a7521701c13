"""Judging what came back: which outcome it is, and the error in whichever of the cloud's shapes it came.

The shapes are those of workspace-api.md 3.1, looked for in the order of the official SDK; `error_message` beside
`error_msg` because both are in use.
"""

import json
import re
from collections.abc import Iterator, Mapping

from dashboard.cloud import parsing
from dashboard.cloud.rules import CallKind, CallResult
from dashboard.text import show_direction_marks

ERROR_SHAPES = (
    ("error_code", ("error_msg", "error_message")),
    ("errorCode", ("errorMsg", "errorMessage")),
    ("code", ("message",)),
)
GATEWAY_CODES = ("APIGW.", "APIG.")
UNCLEAR_STATUSES = frozenset({408, 409, 425, 429, 499})
"""A write that gets one of these may have been applied: the service may have begun, or finished, it before."""
LONGEST_MESSAGE = 500  # the documented maximum is 255 characters


UNREADABLE = object()  # stands for the body of an answer that has none, since None is the JSON literal null


class MalformedResponseError(Exception):
    """The body cannot be read; `outcome` is what that makes of a 2xx."""

    def __init__(self, outcome: CallResult, cause: str) -> None:
        super().__init__(cause)
        self.outcome, self.cause = outcome, cause


def parse(body: bytes) -> object:
    """The JSON of the body; a repeated member counts as its last mention. Raises MalformedResponseError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedResponseError(CallResult.NONSENSE, "not JSON" if body else "empty") from None


def outcome_of(kind: CallKind, status: int, body: object) -> CallResult:
    """The outcome of an answer; `body` is its JSON, or UNREADABLE."""
    if 200 <= status < 300:
        return CallResult.DONE if _is_success(kind, status, body) else CallResult.NONSENSE
    if 300 <= status < 400:
        return CallResult.REDIRECTED
    if 500 <= status < 600:
        return CallResult.FAILED
    return _refusal(kind, status, body) if 400 <= status < 500 else CallResult.NONSENSE


def _refusal(kind: CallKind, status: int, body: object) -> CallResult:
    is_own = has_provider_form(body)
    if status == 429:
        is_gateway = (is_own or kind is not CallKind.WRITE) and error_in(body)[0].startswith(GATEWAY_CODES)
        return CallResult.THROTTLED_BY_GATEWAY if is_gateway else CallResult.THROTTLED
    if kind is CallKind.WRITE and (status in UNCLEAR_STATUSES or not is_own):
        return CallResult.REFUSED_UNCLEARLY
    return CallResult.UNAUTHENTICATED if status == 401 else CallResult.REFUSED


def has_provider_form(body: object) -> bool:
    """Whether an error is one that the service or its gateway writes (workspace-api.md 3.1), not some proxy's."""
    error = parsing.members(body)
    has_message = any(isinstance(error.get(name), str) for name in ("error_msg", "error_message"))
    return isinstance(error.get("error_code"), str) and bool(error["error_code"]) and has_message


def _is_success(kind: CallKind, status: int, body: object) -> bool:
    """A read answers 200 with an object, a sign-in 201. A PATCH is documented to answer 200 with the literal `null`;
    an object without an error is taken too, since a later version of the API may return the group. Anything else,
    an empty body above all, is no proof of a change.
    """
    if status != (201 if kind is CallKind.SIGN_IN else 200):
        return False
    if kind is CallKind.WRITE and body is None:
        return True
    return isinstance(body, dict) and not _claims_failure(body)


def _claims_failure(body: Mapping[str, object]) -> bool:
    return bool({"error_code", "error_msg", "error_message", "errorCode", "errorMsg"} & body.keys()) or isinstance(
        body.get("error"), dict
    )


def error_in(body: object) -> tuple[str, str]:
    """The cloud's own error code and message, both empty when it gave none; on one line, at most 500 characters."""
    for candidate in _candidates(body):
        for code_name, message_names in ERROR_SHAPES:
            code = _word(candidate.get(code_name))
            message = next(filter(None, (_word(candidate.get(name)) for name in message_names)), "")
            if code or message:
                return code, message
    return "", ""


def _candidates(body: object) -> Iterator[Mapping[str, object]]:
    top = parsing.members(body)
    yield top
    yield from (value for value in top.values() if isinstance(value, dict))


def _word(value: object) -> str:
    is_word = isinstance(value, str | int) and not isinstance(value, bool)
    return one_line(str(value)) if is_word else ""


def one_line(text: str) -> str:
    """The text as a harmless line: what the cloud says goes into logs, where line breaks forge entries.

    Redact the text before: a secret that is cut here is no longer found.
    """
    storable = parsing.text({"": text}, "") or ""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", storable).strip()
    return show_direction_marks(line)[:LONGEST_MESSAGE]
