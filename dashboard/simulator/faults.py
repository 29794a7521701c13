"""The faults by name: one table that the parser, the help text and `GET /_simulator/faults/kinds` all read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboard.simulator import fault_plays as plays
from dashboard.simulator import spoilers
from dashboard.simulator.answers import Manner
from dashboard.simulator.errors import Code
from dashboard.simulator.fault_plays import Play, plain

_HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
_HTML_TYPE = "text/html; charset=utf-8"
_JSON = "application/json"
_ENCODED = b'{"error_code":"WKS.00081102","error_msg":"No permission","encoded_authorization_message":"xJ9kVmFzZTY0"}'


@dataclass(frozen=True)
class Kind:
    name: str
    what: str
    play: Play
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options with their defaults, whose types the given ones must have."""
    reads: float = 1.0
    """The share of the request's body that is read before the fault strikes."""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The options that take one of a few words."""


_STATUSES = (
    Kind(
        "status",
        "a response of any status, body and headers",
        plays.instead(plays.fixed),
        {"status": 500, "body": None, "headers": {}, **plays.INSTEAD},
    ),
    Kind("bad_request", "400 from the service", plays.refused(Code.INVALID), plays.INSTEAD),
    Kind(
        "unauthorized",
        "401 from the gateway: the token means nothing",
        plays.refused(Code.NOT_AUTHENTICATED, "decrypt token fail"),
        plays.INSTEAD,
    ),
    Kind(
        "expired_token",
        "401 from the gateway: the token has expired",
        plays.refused(Code.NOT_AUTHENTICATED, "token expires, expires_at: 2026-01-01T00:00:00.000000Z"),
        plays.INSTEAD,
    ),
    Kind("forbidden", "403 from the service: an action is missing", plays.refused(Code.FORBIDDEN), plays.INSTEAD),
    Kind("gateway_forbidden", "403 from the gateway", plays.refused(Code.NOT_AUTHORIZED), plays.INSTEAD),
    Kind("not_found", "404 from the service", plays.refused(Code.GROUP_NOT_FOUND), plays.INSTEAD),
    Kind("method_not_allowed", "405 from the service", plays.refused(Code.METHOD_NOT_ALLOWED), plays.INSTEAD),
    Kind("request_timeout", "408", plays.odd_status(408, "APIGW.0201", "Request timeout."), plays.INSTEAD),
    Kind(
        "conflict",
        "409",
        plays.odd_status(409, "WKS.00211103", "The request could not be completed due to a conflict of the resource."),
        plays.INSTEAD,
    ),
    Kind("too_large", "413 from the gateway", plays.refused(Code.TOO_LARGE), plays.INSTEAD),
    Kind(
        "too_early",
        "425",
        plays.odd_status(425, "APIGW.0201", "Too early."),
        plays.INSTEAD,
    ),
    Kind(
        "client_closed_request",
        "499 from the gateway",
        plays.odd_status(499, "APIGW.0201", "Client closed request."),
        plays.INSTEAD,
    ),
    Kind(
        "unsupported_type",
        "415",
        plays.odd_status(415, "WKS.00129901", "The request message is invalid."),
        plays.INSTEAD,
    ),
    Kind(
        "throttled",
        "429 from the gateway, without Retry-After",
        plays.refused(Code.THROTTLED, "policy user over ratelimit,limit:10,time:1 second"),
        plays.INSTEAD,
    ),
    Kind("internal_error", "500 from the service", plays.refused(Code.FAILED), plays.INSTEAD),
    Kind("bad_gateway", "502 from the gateway", plays.refused(Code.BACKEND_UNAVAILABLE), plays.INSTEAD),
    Kind("unavailable", "503 from the service", plays.refused(Code.UNAVAILABLE), plays.INSTEAD),
    Kind("gateway_timeout", "504 from the gateway", plays.refused(Code.BACKEND_TIMEOUT), plays.INSTEAD),
)

_WRONG_ERRORS = tuple(
    Kind(
        f"error_{name}",
        f"an error whose body is {what}",
        plays.failing_with(body, content_type),
        {"status": 500, **plays.INSTEAD},
    )
    for name, what, body, content_type in (
        ("html", "a page of HTML", _HTML, _HTML_TYPE),
        ("empty", "empty", b"", _JSON),
        ("not_json", "not JSON", b"upstream connect error", _JSON),
        ("null", "null", b"null", _JSON),
        ("list", "a list", b'["error_code","error_msg"]', _JSON),
        ("message", "spelt error_message", b'{"error_code":"WKS.00211401","error_message":"Failed."}', _JSON),
        ("nested", "an object within an object", b'{"error":{"code":"WKS.00211401","message":"Failed."}}', _JSON),
        ("wrong_types", "of the wrong types", b'{"error_code":500,"error_msg":["Failed."]}', _JSON),
        (
            "control_characters",
            "full of line breaks and escapes",
            b'{"error_code":"WKS.1","error_msg":"a\\r\\nb\\u001b[31m\\u0000"}',
            _JSON,
        ),
        (
            "bidi_controls",
            "with bidirectional control characters",
            b'{"error_code":"WKS.1","error_msg":"\\u202eevil\\u2066 text\\u202a"}',
            _JSON,
        ),
        ("encoded", "one with encoded_authorization_message", _ENCODED, _JSON),
    )
)
_ECHO = Kind(
    "error_echoes_credential",
    "an error that repeats the request's credential, whole (`length` 0) or in part",
    plays.instead(plays.echo_credential),
    {"status": 401, "encoding": "plain", "where": "body", "padding": 0, "start": 0, "length": 0, **plays.INSTEAD},
    choices={"encoding": plays.ENCODINGS, "where": ("body", "header", "both")},
)

_WAITING = {"status": 429, "seconds": 1, **plays.INSTEAD}
_RETRY_AFTER = (
    Kind("retry_after_seconds", "429 or 503 with Retry-After in seconds", plays.waiting(str), _WAITING),
    Kind("retry_after_date", "the same as a date", plays.waiting(plays.http_date), _WAITING),
    Kind("retry_after_absurd", "Retry-After of centuries", plays.waiting(lambda _: "99999999999"), _WAITING),
    Kind("retry_after_negative", "Retry-After below zero", plays.waiting(lambda _: "-5"), _WAITING),
    Kind("retry_after_garbage", "Retry-After: soon", plays.waiting(lambda _: "soon"), _WAITING),
    Kind(
        "throttling",
        "a real limiter: so many requests in so many seconds",
        plays.throttle,
        {"requests": 10, "seconds": 1},
    ),
)

_APPLIED = {**plays.INSTEAD, "applied": True}
_NAMES = {"members": ["name"], "rows": []}
_BODIES = (
    Kind("html", "200 with a page of HTML", plays.replaced(_HTML, _HTML_TYPE), _APPLIED),
    Kind("empty", "200 with an empty body", plays.replaced(b"", _JSON), _APPLIED),
    Kind("not_json", "200 with a body that is not JSON", plays.replaced(b"OK", _JSON), _APPLIED),
    Kind("null", "200 with null, whatever was asked", plays.replaced(b"null", _JSON), _APPLIED),
    Kind(
        "error_in_200",
        "200 with an error body",
        plays.replaced(b'{"error_code":"WKS.00211401","error_msg":"Failed."}', _JSON),
        plays.INSTEAD,
    ),
    Kind("cut_json", "200 with JSON that stops in the middle", plays.spoilt(spoilers.cut_json)),
    Kind("duplicate_keys", "a member twice", plays.spoilt(spoilers.with_duplicate_keys)),
    Kind(
        "wrong_types",
        "the named members, or all, of other types",
        plays.spoilt(spoilers.with_wrong_types),
        {"members": [], "rows": []},
    ),
    Kind(
        "changed_values",
        "other values in the members that `values` names, such as an id with a slash",
        plays.spoilt(spoilers.with_values),
        {"values": {"id": "a/b"}, "rows": []},
    ),
    Kind(
        "bidi_controls",
        "bidirectional control characters in the named members",
        plays.spoilt(spoilers.with_bidi_controls),
        {"members": ["name", "description"], "rows": []},
    ),
    Kind("unknown_enums", "enumerations with a new word", plays.spoilt(spoilers.with_unknown_enums)),
    Kind("missing_members", "without the named members", plays.spoilt(spoilers.without_members), _NAMES),
    Kind("null_members", "null in the named members", plays.spoilt(spoilers.with_nulls), _NAMES),
    Kind("extra_members", "with members no one knows", plays.spoilt(spoilers.with_extra_members)),
    Kind("wrong_count", "a list whose count is off", plays.spoilt(spoilers.with_wrong_count), {"by": 3}),
    Kind("huge", "more than 5 MB", plays.spoilt(spoilers.huge), {"bytes": 6_000_000}),
    Kind(
        "gzip_bomb", "little on the wire, much when unpacked", plays.spoilt(spoilers.gzip_bomb), {"bytes": 100_000_000}
    ),
    Kind("huge_header", "a header line that is too long", plays.spoilt(spoilers.huge_header), {"bytes": 100_000}),
    Kind("surplus_bytes", "more follows than Content-Length says", plays.spoilt(spoilers.with_surplus_bytes)),
    Kind("broken_gzip", "said to be gzip, but plain", plays.spoilt(spoilers.broken_gzip)),
    Kind("bad_utf8", "bytes that are not UTF-8", plays.spoilt(spoilers.bad_utf8)),
    Kind("wrong_content_type", "JSON that calls itself HTML", plays.spoilt(spoilers.wrong_content_type)),
    Kind("deep_nesting", "lists in lists in lists", plays.spoilt(spoilers.deep), {"depth": 100_000}),
)

_CONNECTION = (
    Kind("delay", "the faithful answer after delay_ms", plain),
    Kind("slow", "the faithful answer in pieces over some seconds", plays.delivered(Manner.SLOW), {"seconds": 3.0}),
    Kind("drip", "the faithful answer, a byte at a time", plays.delivered(Manner.DRIP), {"seconds": 1.0}),
    Kind("endless", "a body without length and without end", plays.delivered(Manner.ENDLESS)),
    Kind("not_http", "a greeting of another protocol; nothing is applied", plays.unanswered(Manner.NOT_HTTP)),
    Kind("stall", "the headers, then nothing", plays.delivered(Manner.STALL), {"seconds": 60.0}),
    Kind("silence", "not a byte; nothing is applied", plays.unanswered(Manner.SILENCE), {"seconds": 60.0}),
    Kind("silence_after_applying", "applied, then not a byte", plays.delivered(Manner.SILENCE), {"seconds": 60.0}),
    Kind("truncated", "Content-Length promises more than comes", plays.delivered(Manner.CUT)),
    Kind(
        "half_closed",
        "half of the body, end of file, open connection",
        plays.delivered(Manner.HALF_CLOSE),
        {"seconds": 60.0},
    ),
    Kind(
        "close_after_answer", "a good answer, then the connection ends unannounced", plays.delivered(Manner.CLOSE_AFTER)
    ),
    Kind("drop_before_answer", "the connection ends; nothing is applied", plays.unanswered(Manner.DROP)),
    Kind("drop_after_applying", "applied, then the connection ends", plays.delivered(Manner.DROP)),
    Kind("reset_before", "reset before the body is read", plays.unanswered(Manner.RESET), reads=0.0),
    Kind("reset_during", "reset when half of the body is read", plays.unanswered(Manner.RESET), reads=0.5),
    Kind("reset_after", "reset when the request is read; nothing is applied", plays.unanswered(Manner.RESET)),
    Kind("reset_after_applying", "applied, then reset", plays.delivered(Manner.RESET)),
    Kind("reset_in_answer", "applied, then reset within the answer", plays.delivered(Manner.RESET_HALFWAY)),
)

_EFFECTS = (
    Kind(
        "late",
        "applied seconds after an answer that says it failed",
        plays.apply_late,
        {"after_ms": 8000, "answer": "gateway_timeout"},
        choices={"answer": tuple(plays.LATE_ANSWERS)},
    ),
    Kind("stale_reads", "reads show the groups as they were some seconds ago", plays.read_stale, {"seconds": 5.0}),
    Kind(
        "partial",
        "some members are applied, then 500 (or `status`)",
        plays.apply_partly,
        {"members": [], "status": 500},
    ),
    Kind("ignored", "200 null, and nothing is applied", plays.answer_only),
    Kind(
        "overtaken",
        "someone else changes the group at the same time",
        plays.overtake,
        {"changes": {"description": "Changed by someone else"}, "when": "before"},
        choices={"when": ("before", "after")},
    ),
    Kind("shifting_list", "the list shifts between two pages", plays.shift_pages, {"places": 1}),
    Kind("short_list", "a list that ends before its count", plays.shorten_list, {"count": 300, "rows": 15}),
    Kind(
        "long_list",
        "a list of many large rows, made as they are read",
        plays.lengthen_list,
        {"rows": 100_000, "row_bytes": 48_000},
    ),
    Kind(
        "redirect",
        "a redirect to another host",
        plays.instead(plays.redirect),
        {"status": 307, "location": "http://elsewhere.example", **plays.INSTEAD},
    ),
    Kind("short_lived_token", "IAM issues a token for a few seconds", plays.shorten_token, {"seconds": 1.0}),
    Kind("revoked_tokens", "every issued token ends before the request is judged", plays.expire_token),
    Kind("skewed_clock", "the Date of the answer is off by some seconds", plays.skew_clock, {"seconds": 3600}),
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kinds in (_STATUSES, _WRONG_ERRORS, (_ECHO,), _RETRY_AFTER, _BODIES, _CONNECTION, _EFFECTS)
    for kind in kinds
}
