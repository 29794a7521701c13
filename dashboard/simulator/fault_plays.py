"""How faults are played: makers of plays, which the table in faults.py puts names to.

A play gets the exchange and the options of its fault and returns the answer. One that calls `exchange.answer()` has had
the request performed for real; one that does not has kept it from the service.
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

from dashboard.simulator.answers import Answer, Manner, json_answer
from dashboard.simulator.errors import CloudError, Code
from dashboard.simulator.exchange import Exchange
from dashboard.simulator.spoilers import edited
from dashboard.simulator.world import Call

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Playing:
    """One fault being played on one exchange."""

    exchange: Exchange
    options: Options
    earlier: list[float] = field(default_factory=list)
    """The moments of the monotonic clock at which a limiter let requests in."""


Play = Callable[[Playing], Answer]


def plain(playing: Playing) -> Answer:
    return playing.exchange.answer()


INSTEAD = {"applied": False, "after_ms": 0, "changes": {}}
"""The options of every fault that sends another response instead of the true one."""


def instead(respond: Play) -> Play:
    """Send another response. The request is performed if `applied` says so, or so long after as `after_ms` says.
    `changes` is what someone else changes in the group at the same moment.
    """

    def play(playing: Playing) -> Answer:
        exchange, options = playing.exchange, playing.options
        with suppress(CloudError):
            call = exchange.call()
            if options["applied"] or options["after_ms"]:
                exchange.perform_later(call, options["after_ms"] / 1000)
            change_group(exchange, call, options["changes"])
        return respond(playing)

    return play


def change_group(exchange: Exchange, call: Call, changes: Mapping[str, Any]) -> None:
    """Change the group of the call, if it has one, as someone else would. Objects are merged with the stored ones."""
    if changes and "server_group_id" in call.path:
        group = call.group
        merged = {
            name: {**group[name], **value} if isinstance(value, dict) and isinstance(group.get(name), dict) else value
            for name, value in changes.items()
        }
        exchange.world.store.change(call.project, group["id"], merged, None)


def refused(code: Code, detail: str = "") -> Play:
    """Answer with a well-formed error of the gateway or the service."""
    return instead(lambda playing: playing.exchange.refusal(CloudError(code, detail)))


def odd_status(status: int, code: str, message: str) -> Play:
    """Answer with a status that the table of codes has no row for, in the service's shape."""
    return instead(lambda _playing: json_answer({"error_code": code, "error_msg": message}, status))


def fixed(playing: Playing) -> Answer:
    """Options `status`, `body` (a text, or anything else as JSON) and `headers`; without a body a likely one."""
    status, body, headers = (playing.options[name] for name in ("status", "body", "headers"))
    if isinstance(body, str):
        return Answer(status, body.encode(), {"Content-Type": "text/plain; charset=utf-8", **headers})
    if body is None and status >= 400:
        body = {"error_code": Code.FAILED.value.code, "error_msg": Code.FAILED.value.message}
    return json_answer(body, status, **headers)


def failing_with(body: bytes, content_type: str = "application/json") -> Play:
    """An error whose body is not what the documents say; option `status`."""
    return instead(lambda playing: Answer(playing.options["status"], body, {"Content-Type": content_type}))


_ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "url": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "json": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "hex": lambda text: text.encode().hex(),
}
ENCODINGS = tuple(_ENCODINGS)


def echo_credential(playing: Playing) -> Answer:
    """Answer with an error that repeats the request's credential, whole or in part, in the body or a header.

    `json` writes each character as a \\u escape that is still an escape after the body was parsed.
    """
    options = playing.options
    credential = _credential(playing.exchange)
    part = credential[options["start"] :][: options["length"] or None]
    text = "x" * options["padding"] + _ENCODINGS[options["encoding"]](part)
    in_body, in_header = options["where"] != "header", options["where"] != "body"
    document = {"error_code": "APIGW.0301", "error_msg": f"Incorrect token: {text if in_body else 'not shown'}"}
    headers = {"X-Request-Id": text} if in_header else {}
    return replace(json_answer(document, options["status"]), headers={"Content-Type": "application/json", **headers})


def _credential(exchange: Exchange) -> str:
    """The token or signature of the request; for a sign-in the password."""
    headers = exchange.request.headers
    if given := headers.get("X-Auth-Token") or headers.get("Authorization"):
        return given
    try:
        password: str = json.loads(exchange.body)["auth"]["identity"]["password"]["user"]["password"]
    except (ValueError, LookupError, TypeError):
        return ""
    return password


def waiting(retry_after: Callable[[int], str]) -> Play:
    """Throttling or unavailability with a Retry-After; options `status`, `seconds`."""

    def play(playing: Playing) -> Answer:
        options = playing.options
        code = Code.THROTTLED if options["status"] == 429 else Code.UNAVAILABLE
        refusal = playing.exchange.refusal(CloudError(code))
        return replace(refusal, status=options["status"]).with_headers(Retry_After=retry_after(options["seconds"]))

    return instead(play)


def http_date(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def throttle(playing: Playing) -> Answer:
    """A limiter that is real: so many requests in so many seconds, and 429 for the rest."""
    limit, seconds = playing.options["requests"], playing.options["seconds"]
    if _is_let_in(playing.earlier, limit, seconds):
        return playing.exchange.answer()
    detail = f"policy user over ratelimit,limit:{limit},time:{seconds} second"
    return playing.exchange.refusal(CloudError(Code.THROTTLED, detail))


_limiting = threading.Lock()


def _is_let_in(earlier: list[float], limit: int, seconds: int) -> bool:
    now = time.monotonic()
    with _limiting:
        earlier[:] = [moment for moment in earlier if moment > now - seconds]
        if len(earlier) >= limit:
            return False
        earlier.append(now)
        return True


def replaced(body: bytes, content_type: str) -> Play:
    """Answer 200 with another body."""
    return instead(lambda _playing: Answer(200, body, {"Content-Type": content_type}))


def spoilt(spoil: Callable[[Answer, Options], Answer]) -> Play:
    """The faithful answer, if it is a success, with its bytes spoilt."""

    def play(playing: Playing) -> Answer:
        answer = playing.exchange.answer()
        return spoil(answer, playing.options) if answer.status < 300 else answer

    return play


def delivered(manner: Manner) -> Play:
    """The faithful answer in a bad manner; option `seconds`, where the manner has a pace."""
    return lambda playing: replace(
        playing.exchange.answer(), manner=manner, seconds=playing.options.get("seconds", 0.0)
    )


def unanswered(manner: Manner) -> Play:
    """Nothing is performed and nothing is said."""
    return lambda playing: Answer(200, manner=manner, seconds=playing.options.get("seconds", 0.0))


LATE_ANSWERS: Mapping[str, Play] = {
    "gateway_timeout": lambda playing: playing.exchange.refusal(CloudError(Code.BACKEND_TIMEOUT)),
    "drop": lambda _playing: Answer(200, manner=Manner.DROP),
    "reset": lambda _playing: Answer(200, manner=Manner.RESET),
    "silence": lambda _playing: Answer(200, manner=Manner.SILENCE, seconds=60.0),
    "null": lambda _playing: json_answer(None),
}


def apply_late(playing: Playing) -> Answer:
    """Accept the request, answer as option `answer` says, and apply it `after_ms` later."""
    exchange, options = playing.exchange, playing.options
    try:
        call = exchange.call()
    except CloudError as error:
        return exchange.refusal(error)
    exchange.perform_later(call, options["after_ms"] / 1000)
    return LATE_ANSWERS[options["answer"]](playing)


def apply_partly(playing: Playing) -> Answer:
    """Only some members of the body are applied; then 500. Options `members` (the first half if empty), `status`."""

    def some(call: Call) -> Call:
        names = list(call.body or ())
        kept = playing.options["members"] or names[: (len(names) + 1) // 2]
        return replace(call, body={name: call.body[name] for name in names if name in kept})

    answer = playing.exchange.answer(some)
    status = playing.options["status"]
    if answer.status >= 400 or status == 200:
        return answer
    return replace(playing.exchange.refusal(CloudError(Code.FAILED)), status=status)


def answer_only(playing: Playing) -> Answer:
    """The request is checked and answered as if it had been applied."""
    try:
        playing.exchange.call()
    except CloudError as error:
        return playing.exchange.refusal(error)
    return json_answer(None)


def overtake(playing: Playing) -> Answer:
    """Change the same group as someone else would, right before or right after; options `changes`, `when`."""
    exchange, options = playing.exchange, playing.options

    def interfere(call: Call) -> Call:
        change_group(exchange, call, options["changes"])
        return call

    if options["when"] == "before":
        return exchange.answer(interfere)
    answer = exchange.answer()
    if answer.status < 300:
        interfere(exchange.call())
    return answer


def read_stale(playing: Playing) -> Answer:
    lag = playing.options["seconds"]
    return playing.exchange.answer(lambda call: replace(call, as_of=time.monotonic() - lag))


def shift_pages(playing: Playing) -> Answer:
    """Each page begins `places` earlier than the one before should (as if groups were added between the reads), and
    repeats rows; if negative, later, and loses rows.
    """
    places = playing.options["places"]

    def shifted(call: Call) -> Call:
        offset = call.query.get("offset", 0)
        return call.with_query(offset=max(0, offset - places * (offset // call.query["limit"]))) if offset else call

    return playing.exchange.answer(shifted)


def shorten_list(playing: Playing) -> Answer:
    """The list ends after `rows` rows, and its count says `count`."""
    rows, count = playing.options["rows"], playing.options["count"]

    def first_rows(call: Call) -> Call:
        offset, limit = call.query.get("offset", 0), call.query.get("limit", 0)
        return call.with_query(limit=max(0, min(limit, rows - offset)))

    def counted(document: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**document, "count": count} if "count" in document else document

    return edited(playing.exchange.answer(first_rows), counted)


def lengthen_list(playing: Playing) -> Answer:
    """A list of `rows` rows, each about `row_bytes` long. Each page is made when it is asked for."""
    rows, size = playing.options["rows"], playing.options["row_bytes"]
    query: dict[str, Any] = {}

    def first_row(call: Call) -> Call:
        query.update(call.query)
        return call.with_query(offset=0, limit=1)

    def page(document: Mapping[str, Any]) -> Mapping[str, Any]:
        if not document.get("items"):
            return document
        numbers = range(query["offset"], min(query["offset"] + query["limit"], rows))
        return {"count": rows, "items": [_numbered(document["items"][0], number, size) for number in numbers]}

    return edited(playing.exchange.answer(first_row), page)


def _numbered(row: Mapping[str, Any], number: int, size: int) -> dict[str, Any]:
    numbered = {**row, "id": str(uuid.UUID(int=number, version=4)), "name": f"generated-{number:07}", "description": ""}
    return {**numbered, "description": "x" * max(0, size - len(json.dumps(numbered)))}


def redirect(playing: Playing) -> Answer:
    request = playing.exchange.request
    query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
    target = playing.options["location"] + quote(request.path) + query
    return Answer(playing.options["status"], b"", {"Location": target})


def shorten_token(playing: Playing) -> Answer:
    lifetime = timedelta(seconds=playing.options["seconds"])
    return playing.exchange.answer(lambda call: replace(call, token_lifetime=lifetime))


def expire_token(playing: Playing) -> Answer:
    """Every token issued so far ends; the request is then judged by what it brings."""
    playing.exchange.world.door.expire_tokens()
    return playing.exchange.answer()


def skew_clock(playing: Playing) -> Answer:
    return playing.exchange.answer().with_headers(Date=http_date(playing.options["seconds"]))
