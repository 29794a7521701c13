"""What each fault does. The table in faults.py gives these functions their names.

A behaviour gets the exchange and the options of its fault and returns the response. The request is performed only if
the behaviour calls `exchange.respond()`.
"""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from dashboard.simulator.errors import Code, SimulatedError
from dashboard.simulator.exchange import Exchange
from dashboard.simulator.malformed_bodies import Options, edited
from dashboard.simulator.responses import Delivery, SimulatedResponse, json_response
from dashboard.simulator.tenant import SimulatedCall


@dataclass(frozen=True)
class FaultContext:
    """One fault on one exchange."""

    exchange: Exchange
    options: Options
    accepted: list[float] = field(default_factory=list)
    """The moments of the monotonic clock at which `throttling` accepted a request."""


FaultBehaviour = Callable[[FaultContext], SimulatedResponse]

INSTEAD = {"applied": False, "after_ms": 0, "changes": {}}
"""The options of every fault that sends another response instead of the true one."""


def instead(respond: FaultBehaviour) -> FaultBehaviour:
    """Send another response.

    The request is applied with `applied`, or `after_ms` later. `changes` are the changes of another person to the
    group at the same moment.
    """

    def behave(context: FaultContext) -> SimulatedResponse:
        exchange, options = context.exchange, context.options
        with suppress(SimulatedError):
            call = exchange.call()
            if options["applied"] or options["after_ms"]:
                exchange.perform_later(call, options["after_ms"] / 1000)
            _change_group(exchange, call, options["changes"])
        return respond(context)

    return behave


def _change_group(exchange: Exchange, call: SimulatedCall, changes: Mapping[str, Any]) -> None:
    """Change the group of the call, if it has one, as someone else would. Objects are merged with the stored ones."""
    if not changes or "server_group_id" not in call.path:
        return
    with exchange.tenant.store.lock:
        group = call.group
        merged = {
            name: {**group[name], **value} if isinstance(value, dict) and isinstance(group.get(name), dict) else value
            for name, value in changes.items()
        }
        exchange.tenant.store.change(call.project, group["id"], merged, None)


def respond_truly(context: FaultContext) -> SimulatedResponse:
    return context.exchange.respond()


def refuse(code: Code, detail: str = "") -> FaultBehaviour:
    """Send a well-formed error of the gateway or the service."""
    return instead(lambda context: context.exchange.refuse(SimulatedError(code, detail)))


def refuse_with(status: int, code: str, message: str) -> FaultBehaviour:
    """Send a status that the table of codes does not have, in the form of the service."""
    return instead(lambda _context: json_response({"error_code": code, "error_msg": message}, status))


def respond_fixed(context: FaultContext) -> SimulatedResponse:
    """Options `status`, `body` (a text, or any other JSON) and `headers`. An error without a body gets a likely one."""
    status, body, headers = (context.options[name] for name in ("status", "body", "headers"))
    if isinstance(body, str):
        return SimulatedResponse(status, body.encode(), {"Content-Type": "text/plain; charset=utf-8", **headers})
    if body is None and status >= 400:
        body = {"error_code": Code.FAILED.value.code, "error_msg": Code.FAILED.value.message}
    return json_response(body, status, **headers)


def fail_with(body: bytes, content_type: str) -> FaultBehaviour:
    """Send an error with a body that the documents do not describe; option `status`."""
    return instead(lambda context: SimulatedResponse(context.options["status"], body, {"Content-Type": content_type}))


_ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "url": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "json": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "hex": lambda text: text.encode().hex(),
}
ENCODINGS = tuple(_ENCODINGS)


def echo_credential(context: FaultContext) -> SimulatedResponse:
    r"""Send an error that repeats the request's credential, whole or in part, in the body or in a header.

    The encoding `json` writes `\u` escapes that are still escapes after the body has been parsed.
    """
    options = context.options
    part = _credential(context.exchange)[options["start"] :][: options["length"] or None]
    text = "x" * options["padding"] + _ENCODINGS[options["encoding"]](part)
    shown = "not shown" if options["where"] == "header" else text
    document = {"error_code": "APIGW.0301", "error_msg": f"Incorrect token: {shown}"}
    response = json_response(document, options["status"])
    return response if options["where"] == "body" else response.with_headers(X_Request_Id=text)


def _credential(exchange: Exchange) -> str:
    """The token or signature of the request; for a sign-in, the password."""
    headers = exchange.request.headers
    if given := headers.get("X-Auth-Token") or headers.get("Authorization"):
        return given
    try:
        password: str = json.loads(exchange.body)["auth"]["identity"]["password"]["user"]["password"]
    except (ValueError, LookupError, TypeError):
        return ""
    return password


def refuse_for_a_while(retry_after: Callable[[int], str]) -> FaultBehaviour:
    """Send 429 or 503 with a Retry-After header; options `status` and `seconds`."""

    def respond(context: FaultContext) -> SimulatedResponse:
        options = context.options
        code = Code.THROTTLED if options["status"] == 429 else Code.UNAVAILABLE
        refusal = replace(context.exchange.refuse(SimulatedError(code)), status=options["status"])
        return refusal.with_headers(Retry_After=retry_after(options["seconds"]))

    return instead(respond)


def http_date(seconds: int) -> str:
    """The time in so many seconds, as an HTTP header spells it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def throttle(context: FaultContext) -> SimulatedResponse:
    limit, seconds = context.options["requests"], context.options["seconds"]
    if _is_accepted(context.accepted, limit, seconds):
        return context.exchange.respond()
    detail = f"policy user over ratelimit,limit:{limit},time:{seconds} second"
    return context.exchange.refuse(SimulatedError(Code.THROTTLED, detail))


_throttle_lock = threading.Lock()


def _is_accepted(accepted: list[float], limit: int, seconds: int) -> bool:
    now = time.monotonic()
    with _throttle_lock:
        accepted[:] = [moment for moment in accepted if moment > now - seconds]
        if len(accepted) >= limit:
            return False
        accepted.append(now)
        return True


def succeed_with(body: bytes, content_type: str) -> FaultBehaviour:
    """Send 200 with another body."""
    return instead(lambda _context: SimulatedResponse(200, body, {"Content-Type": content_type}))


def malform(edit: Callable[[SimulatedResponse, Options], SimulatedResponse]) -> FaultBehaviour:
    """Send the true response with its bytes edited. An error response stays as it is."""

    def behave(context: FaultContext) -> SimulatedResponse:
        response = context.exchange.respond()
        return edit(response, context.options) if response.status < 300 else response

    return behave


def deliver_badly(delivery: Delivery) -> FaultBehaviour:
    """Perform the request and deliver the true response in this way; some ways take the option `seconds`."""
    return lambda context: replace(
        context.exchange.respond(), delivery=delivery, seconds=context.options.get("seconds", 0.0)
    )


def do_not_respond(delivery: Delivery) -> FaultBehaviour:
    """Neither perform the request nor send a response."""
    return lambda context: SimulatedResponse(200, delivery=delivery, seconds=context.options.get("seconds", 0.0))


LATE_RESPONSES: Mapping[str, FaultBehaviour] = {
    "gateway_timeout": lambda context: context.exchange.refuse(SimulatedError(Code.BACKEND_TIMEOUT)),
    "drop": lambda _context: SimulatedResponse(200, delivery=Delivery.DROP),
    "reset": lambda _context: SimulatedResponse(200, delivery=Delivery.RESET),
    "silence": lambda _context: SimulatedResponse(200, delivery=Delivery.SILENCE, seconds=60.0),
    "null": lambda _context: json_response(None),
}


def apply_late(context: FaultContext) -> SimulatedResponse:
    """Check the request now, send the response that `answer` names, and apply the request `after_ms` later."""
    exchange, options = context.exchange, context.options
    try:
        call = exchange.call()
    except SimulatedError as error:
        return exchange.refuse(error)
    exchange.perform_later(call, options["after_ms"] / 1000)
    return LATE_RESPONSES[options["answer"]](context)


def apply_partly(context: FaultContext) -> SimulatedResponse:
    """Apply only the body's `members` (the first half if none are named), then send `status`."""

    def some(call: SimulatedCall) -> SimulatedCall:
        names = list(call.body or ())
        kept = context.options["members"] or names[: (len(names) + 1) // 2]
        return replace(call, body={name: call.body[name] for name in names if name in kept})

    response = context.exchange.respond(some)
    status = context.options["status"]
    if response.status >= 400 or status == 200:
        return response
    return replace(context.exchange.refuse(SimulatedError(Code.FAILED)), status=status)


def ignore(context: FaultContext) -> SimulatedResponse:
    """Check the request and respond as if it had been applied."""
    try:
        context.exchange.call()
    except SimulatedError as error:
        return context.exchange.refuse(error)
    return json_response(None)


def change_as_someone_else(context: FaultContext) -> SimulatedResponse:
    """Change the same group right before or right after the request; options `changes` and `when`."""
    exchange, options = context.exchange, context.options

    def change(call: SimulatedCall) -> SimulatedCall:
        _change_group(exchange, call, options["changes"])
        return call

    if options["when"] == "before":
        return exchange.respond(change)
    response = exchange.respond()
    with suppress(SimulatedError):  # the group may be gone
        if response.status < 300:
            change(exchange.call())
    return response


def read_stale(context: FaultContext) -> SimulatedResponse:
    moment = time.monotonic() - context.options["seconds"]
    return context.exchange.respond(lambda call: replace(call, as_of=moment))


def shift_pages(context: FaultContext) -> SimulatedResponse:
    """Shift each page by `places` more than the page before.

    A positive number repeats rows, as if groups were added between the reads. A negative number loses rows.
    """
    places = context.options["places"]

    def shifted(call: SimulatedCall) -> SimulatedCall:
        offset = call.query.get("offset", 0)
        return call.with_query(offset=max(0, offset - places * (offset // call.query["limit"]))) if offset else call

    return context.exchange.respond(shifted)


def change_pages(context: FaultContext) -> SimulatedResponse:
    """Add or remove a group that was on an earlier page, before each page but the first; option `how`."""

    def changed(call: SimulatedCall) -> SimulatedCall:
        offset = call.query.get("offset", 0)
        if offset and "project_id" in call.path:
            adds = {"add": True, "remove": False, "both": bool(offset // call.query["limit"] % 2)}
            _change_earlier_page(call, offset, adds=adds[context.options["how"]])
        return call

    return context.exchange.respond(changed)


def _change_earlier_page(call: SimulatedCall, offset: int, *, adds: bool) -> None:
    store = call.tenant.store
    with store.lock:
        ids = store.groups(call.project).ids[:offset]
        if adds:
            store.add_group(call.project, {}, place=0)
        elif ids:
            store.remove_group(call.project, ids[-1])


def hide_groups(context: FaultContext) -> SimulatedResponse:
    """Leave groups out of lists and their counts. A read of one group finds them."""
    places = context.options["places"]

    def hidden(call: SimulatedCall) -> SimulatedCall:
        if "project_id" not in call.path:
            return call
        ids = call.groups.ids
        return replace(call, hidden=frozenset(ids[place] for place in places if place in range(len(ids))))

    return context.exchange.respond(hidden)


def repeat_rows(context: FaultContext) -> SimulatedResponse:
    """Replace the last rows of each page by its first ones, so that the count does not show what is lost."""
    rows = context.options["rows"]

    def repeated(document: Mapping[str, Any]) -> Mapping[str, Any]:
        items = document.get("items") or []
        kept = max(len(items) - rows, 0)
        return {**document, "items": items[:kept] + items[: len(items) - kept]} if items else document

    return edited(context.exchange.respond(), repeated)


def shorten_list(context: FaultContext) -> SimulatedResponse:
    """Send at most `rows` rows of a list whose count says `count`."""
    rows, count = context.options["rows"], context.options["count"]

    def first_rows(call: SimulatedCall) -> SimulatedCall:
        offset, limit = call.query.get("offset", 0), call.query.get("limit", 0)
        return call.with_query(limit=max(0, min(limit, rows - offset)))

    def counted(document: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**document, "count": count} if "count" in document else document

    return edited(context.exchange.respond(first_rows), counted)


def lengthen_list(context: FaultContext) -> SimulatedResponse:
    """Send a page of a list of `rows` rows, each about `row_bytes` long."""
    rows, size = context.options["rows"], context.options["row_bytes"]
    query: dict[str, Any] = {}

    def first_row(call: SimulatedCall) -> SimulatedCall:
        query.update(call.query)
        return call.with_query(offset=0, limit=1)

    def page(document: Mapping[str, Any]) -> Mapping[str, Any]:
        if not document.get("items"):
            return document
        numbers = range(query["offset"], min(query["offset"] + query["limit"], rows))
        return {"count": rows, "items": [_generated_row(document["items"][0], number, size) for number in numbers]}

    return edited(context.exchange.respond(first_row), page)


def _generated_row(row: Mapping[str, Any], number: int, size: int) -> Mapping[str, Any]:
    generated = {
        **row,
        "id": str(uuid.UUID(int=number, version=4)),
        "name": f"generated-{number:07}",
        "description": "",
    }
    return {**generated, "description": "x" * max(0, size - len(json.dumps(generated)))}


def redirect(context: FaultContext) -> SimulatedResponse:
    request = context.exchange.request
    query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
    target = context.options["location"] + quote(request.path) + query
    return SimulatedResponse(context.options["status"], b"", {"Location": target})


def shorten_token(context: FaultContext) -> SimulatedResponse:
    lifetime = timedelta(seconds=context.options["seconds"])
    return context.exchange.respond(lambda call: replace(call, token_lifetime=lifetime))


def expire_tokens(context: FaultContext) -> SimulatedResponse:
    context.exchange.tenant.access.expire_tokens()
    return context.exchange.respond()


def skew_clock(context: FaultContext) -> SimulatedResponse:
    return context.exchange.respond().with_headers(Date=http_date(context.options["seconds"]))
