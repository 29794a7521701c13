"""The faults by name: one table for the parser, the help text and `GET /_simulator/faults/kinds`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboard.simulator import fault_behaviour as behaviour
from dashboard.simulator import malformed_bodies as bodies
from dashboard.simulator.errors import Code
from dashboard.simulator.fault_behaviour import INSTEAD, FaultBehaviour, refuse
from dashboard.simulator.responses import Delivery, SimulatedResponse

_HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
_HTML_TYPE = "text/html; charset=utf-8"
_JSON = "application/json"
_ENCODED = b'{"error_code":"WKS.00081102","error_msg":"No permission","encoded_authorization_message":"xJ9kVmFzZTY0"}'


@dataclass(frozen=True)
class FaultKind:
    name: str
    what: str
    behave: FaultBehaviour
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options with their defaults. A given option must have the type of its default."""
    reads: float = 1.0
    """The share of the request's body that is read before the fault acts."""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The options that take one of a few words."""


def _refusal(name: str, what: str, code: Code, detail: str = "") -> FaultKind:
    return FaultKind(name, what, refuse(code, detail), INSTEAD)


def _odd_status(name: str, what: str, status: int, code: str, message: str) -> FaultKind:
    return FaultKind(name, what, behaviour.refuse_with(status, code, message), INSTEAD)


_STATUSES = (
    FaultKind(
        "status",
        "a response of any status, body and headers",
        behaviour.instead(behaviour.respond_fixed),
        {"status": 500, "body": None, "headers": {}, **INSTEAD},
    ),
    _refusal("bad_request", "400 from the service", Code.INVALID),
    _refusal("unauthorized", "401 from the gateway: unknown token", Code.NOT_AUTHENTICATED, "decrypt token fail"),
    _refusal(
        "expired_token",
        "401 from the gateway: the token has expired",
        Code.NOT_AUTHENTICATED,
        "token expires, expires_at: 2026-01-01T00:00:00.000000Z",
    ),
    _refusal("forbidden", "403 from the service: an action is missing", Code.FORBIDDEN),
    _refusal("gateway_forbidden", "403 from the gateway", Code.NOT_AUTHORIZED),
    _refusal("not_found", "404 from the service", Code.GROUP_NOT_FOUND),
    _refusal("method_not_allowed", "405 from the service", Code.METHOD_NOT_ALLOWED),
    _odd_status("request_timeout", "408", 408, "APIGW.0201", "Request timeout."),
    _odd_status(
        "conflict",
        "409",
        409,
        "WKS.00211103",
        "The request could not be completed due to a conflict of the resource.",
    ),
    _refusal("too_large", "413 from the gateway", Code.TOO_LARGE),
    _odd_status("unsupported_type", "415", 415, "WKS.00129901", "The request message is invalid."),
    _odd_status("too_early", "425", 425, "APIGW.0201", "Too early."),
    _refusal(
        "throttled",
        "429 from the gateway, without Retry-After",
        Code.THROTTLED,
        "policy user over ratelimit,limit:10,time:1 second",
    ),
    _odd_status("client_closed_request", "499 from the gateway", 499, "APIGW.0201", "Client closed request."),
    _refusal("internal_error", "500 from the service", Code.FAILED),
    _refusal("bad_gateway", "502 from the gateway", Code.BACKEND_UNAVAILABLE),
    _refusal("unavailable", "503 from the service", Code.UNAVAILABLE),
    _refusal("gateway_timeout", "504 from the gateway", Code.BACKEND_TIMEOUT),
)

_WRONG_ERRORS = tuple(
    FaultKind(
        f"error_{name}",
        f"an error whose body is {what}",
        behaviour.fail_with(body, content_type),
        {"status": 500, **INSTEAD},
    )
    for name, what, body, content_type in (
        ("html", "a page of HTML", _HTML, _HTML_TYPE),
        ("empty", "empty", b"", _JSON),
        ("not_json", "not JSON", b"upstream connect error", _JSON),
        ("null", "null", b"null", _JSON),
        ("list", "a list", b'["error_code","error_msg"]', _JSON),
        ("message", "spelt error_message", b'{"error_code":"WKS.00211401","error_message":"Failed."}', _JSON),
        ("nested", "an object in an object", b'{"error":{"code":"WKS.00211401","message":"Failed."}}', _JSON),
        ("wrong_types", "of the wrong types", b'{"error_code":500,"error_msg":["Failed."]}', _JSON),
        (
            "control_characters",
            "full of line breaks and escape sequences",
            b'{"error_code":"WKS.1","error_msg":"a\\r\\nb\\u001b[31m\\u0000"}',
            _JSON,
        ),
        (
            "bidi_controls",
            "full of bidirectional control characters",
            b'{"error_code":"WKS.1","error_msg":"\\u202eevil\\u2066 text\\u202a"}',
            _JSON,
        ),
        ("encoded", "one with encoded_authorization_message", _ENCODED, _JSON),
    )
)
_ECHO = FaultKind(
    "error_echoes_credential",
    "an error that repeats the request's credential; `length` 0 repeats all of it",
    behaviour.instead(behaviour.echo_credential),
    {"status": 401, "encoding": "plain", "where": "body", "padding": 0, "start": 0, "length": 0, **INSTEAD},
    choices={"encoding": behaviour.ENCODINGS, "where": ("body", "header", "both")},
)


def _retry_after(name: str, what: str, header: Callable[[int], str]) -> FaultKind:
    return FaultKind(name, what, behaviour.refuse_for_a_while(header), {"status": 429, "seconds": 1, **INSTEAD})


_RETRY_AFTER = (
    _retry_after("retry_after_seconds", "429 or 503 with Retry-After in seconds", str),
    _retry_after("retry_after_date", "429 or 503 with Retry-After as a date", behaviour.http_date),
    _retry_after("retry_after_absurd", "Retry-After of centuries", lambda _: "99999999999"),
    _retry_after("retry_after_negative", "Retry-After below zero", lambda _: "-5"),
    _retry_after("retry_after_garbage", "Retry-After: soon", lambda _: "soon"),
    FaultKind(
        "throttling",
        "a real limit: at most `requests` in `seconds`, and 429 for the others",
        behaviour.throttle,
        {"requests": 10, "seconds": 1},
    ),
)


def _other_body(name: str, what: str, body: bytes, content_type: str = _JSON, *, applied: bool = True) -> FaultKind:
    return FaultKind(name, what, behaviour.succeed_with(body, content_type), {**INSTEAD, "applied": applied})


def _malformed(
    name: str, what: str, edit: Callable[[SimulatedResponse, bodies.Options], SimulatedResponse], **options: Any
) -> FaultKind:
    return FaultKind(name, what, behaviour.malform(edit), options)


_BODIES = (
    _other_body("html", "200 with a page of HTML", _HTML, _HTML_TYPE),
    _other_body("empty", "200 with an empty body", b""),
    _other_body("not_json", "200 with a body that is not JSON", b"OK"),
    _other_body("null", "200 with null for every request", b"null"),
    _other_body(
        "error_in_200",
        "200 with an error body",
        b'{"error_code":"WKS.00211401","error_msg":"Failed."}',
        applied=False,
    ),
    _malformed("cut_json", "200 with JSON that stops in the middle", bodies.cut_json),
    _malformed("duplicate_keys", "a member that occurs twice", bodies.with_duplicate_keys),
    _malformed(
        "wrong_types", "other types in the named members, or in all", bodies.with_wrong_types, members=[], rows=[]
    ),
    _malformed(
        "changed_values",
        "other values in the members that `values` names, such as an id with a slash",
        bodies.with_values,
        values={"id": "a/b"},
        rows=[],
    ),
    _malformed(
        "bidi_controls",
        "bidirectional control characters in the named members",
        bodies.with_bidi_controls,
        members=["name", "description"],
        rows=[],
    ),
    _malformed("unknown_enums", "an unknown value in each enumeration", bodies.with_unknown_enums),
    _malformed("missing_members", "without the named members", bodies.without_members, members=["name"], rows=[]),
    _malformed("null_members", "null in the named members", bodies.with_nulls, members=["name"], rows=[]),
    _malformed("extra_members", "with unknown members", bodies.with_extra_members),
    _malformed("wrong_count", "a list whose count is wrong", bodies.with_wrong_count, by=3),
    _malformed("huge", "more than 5 MB", bodies.huge, bytes=6_000_000),
    _malformed("gzip_bomb", "few bytes that unpack to many", bodies.gzip_bomb, bytes=100_000_000),
    _malformed("huge_header", "a header line that is too long", bodies.huge_header, bytes=100_000),
    _malformed("surplus_bytes", "more bytes than Content-Length says", bodies.with_surplus_bytes),
    _malformed("broken_gzip", "plain bytes declared as gzip", bodies.broken_gzip),
    _malformed("bad_utf8", "bytes that are not UTF-8", bodies.bad_utf8),
    _malformed("wrong_content_type", "JSON declared as HTML", bodies.wrong_content_type),
    _malformed("deep_nesting", "deeply nested lists", bodies.deep, depth=100_000),
)


def _delivered(name: str, what: str, delivery: Delivery, seconds: float | None = None) -> FaultKind:
    options = {} if seconds is None else {"seconds": seconds}
    return FaultKind(name, what, behaviour.deliver_badly(delivery), options)


def _without_response(
    name: str, what: str, delivery: Delivery, seconds: float | None = None, reads: float = 1.0
) -> FaultKind:
    options = {} if seconds is None else {"seconds": seconds}
    return FaultKind(name, what, behaviour.do_not_respond(delivery), options, reads)


_CONNECTION = (
    FaultKind("delay", "the true response after delay_ms", behaviour.respond_truly),
    _delivered("slow", "the true response in pieces over some seconds", Delivery.SLOW, 3.0),
    _delivered("drip", "the true response, one byte at a time", Delivery.DRIP, 1.0),
    _delivered("endless", "a body without length and without end", Delivery.ENDLESS),
    _without_response("not_http", "the greeting of another protocol; nothing is applied", Delivery.NOT_HTTP),
    _delivered("stall", "the headers, then nothing", Delivery.STALL, 60.0),
    _without_response("silence", "no byte; nothing is applied", Delivery.SILENCE, 60.0),
    _delivered("silence_after_applying", "applied, then no byte", Delivery.SILENCE, 60.0),
    _delivered("truncated", "fewer bytes than Content-Length says", Delivery.CUT),
    _delivered("half_closed", "half of the body, end of file, open connection", Delivery.HALF_CLOSE, 60.0),
    _delivered("close_after_answer", "a good response, then the connection closes unannounced", Delivery.CLOSE_AFTER),
    _without_response("drop_before_answer", "the connection closes; nothing is applied", Delivery.DROP),
    _delivered("drop_after_applying", "applied, then the connection closes", Delivery.DROP),
    _without_response("reset_before", "reset before the body is read", Delivery.RESET, reads=0.0),
    _without_response("reset_during", "reset when half of the body is read", Delivery.RESET, reads=0.5),
    _without_response("reset_after", "reset when the request is read; nothing is applied", Delivery.RESET),
    _delivered("reset_after_applying", "applied, then reset", Delivery.RESET),
    _delivered("reset_in_answer", "applied, then reset within the response", Delivery.RESET_HALFWAY),
)

_EFFECTS = (
    FaultKind(
        "late",
        "applied after_ms later than the response that `answer` names",
        behaviour.apply_late,
        {"after_ms": 8000, "answer": "gateway_timeout"},
        choices={"answer": tuple(behaviour.LATE_RESPONSES)},
    ),
    FaultKind(
        "stale_reads", "reads show the groups as they were some seconds ago", behaviour.read_stale, {"seconds": 5.0}
    ),
    FaultKind(
        "partial",
        "some members are applied, then 500 (or `status`)",
        behaviour.apply_partly,
        {"members": [], "status": 500},
    ),
    FaultKind("ignored", "200 null, and nothing is applied", behaviour.ignore),
    FaultKind(
        "overtaken",
        "someone else changes the group at the same time",
        behaviour.change_as_someone_else,
        {"changes": {"description": "Changed by someone else"}, "when": "before"},
        choices={"when": ("before", "after")},
    ),
    FaultKind("shifting_list", "a list that shifts from page to page", behaviour.shift_pages, {"places": 1}),
    FaultKind(
        "changing_list",
        "a group is added or removed before each page but the first",
        behaviour.change_pages,
        {"how": "both"},
        choices={"how": ("both", "add", "remove")},
    ),
    FaultKind(
        "hidden_groups",
        "lists and their counts lack the groups at these places; a read of one group finds them",
        behaviour.hide_groups,
        {"places": [1]},
    ),
    FaultKind(
        "repeated_rows", "each page repeats its first rows instead of its last ones", behaviour.repeat_rows, {"rows": 1}
    ),
    FaultKind(
        "short_list", "a list with fewer rows than its count", behaviour.shorten_list, {"count": 300, "rows": 15}
    ),
    FaultKind(
        "long_list",
        "a list of many large rows; each page is made when it is read",
        behaviour.lengthen_list,
        {"rows": 100_000, "row_bytes": 48_000},
    ),
    FaultKind(
        "redirect",
        "a redirect to another host",
        behaviour.instead(behaviour.redirect),
        {"status": 307, "location": "http://elsewhere.example", **INSTEAD},
    ),
    FaultKind("short_lived_token", "a token that expires in seconds", behaviour.shorten_token, {"seconds": 1.0}),
    FaultKind("revoked_tokens", "every issued token expires before the request is checked", behaviour.expire_tokens),
    FaultKind("skewed_clock", "a Date header that is some seconds off", behaviour.skew_clock, {"seconds": 3600}),
)

KINDS: Mapping[str, FaultKind] = {
    kind.name: kind
    for kinds in (_STATUSES, _WRONG_ERRORS, (_ECHO,), _RETRY_AFTER, _BODIES, _CONNECTION, _EFFECTS)
    for kind in kinds
}
