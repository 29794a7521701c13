"""How faults are played: makers of plays, which the table in faults.py puts names to.

A play gets the exchange and the options of its fault and returns the answer. One that calls `exchange.answer()` has had
the request performed for real; one that does not has kept it from the service.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from dashboard.simulator.answers import Answer, Manner, json_answer
from dashboard.simulator.errors import CloudError, Code
from dashboard.simulator.exchange import Exchange
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


def refused(code: Code, detail: str = "") -> Play:
    """The gateway or the service answers with a well-made error, and nothing is applied."""
    return lambda playing: playing.exchange.refusal(CloudError(code, detail))


def odd_status(status: int, code: str, message: str) -> Play:
    """A status that the table of codes has no row for, in the service's shape."""
    return lambda _playing: json_answer({"error_code": code, "error_msg": message}, status)


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
    return lambda playing: Answer(playing.options["status"], body, {"Content-Type": content_type})


def waiting(retry_after: Callable[[int], str]) -> Play:
    """Throttling or unavailability with a Retry-After; options `status`, `seconds`."""

    def play(playing: Playing) -> Answer:
        options = playing.options
        code = Code.THROTTLED if options["status"] == 429 else Code.UNAVAILABLE
        refusal = playing.exchange.refusal(CloudError(code))
        return replace(refusal, status=options["status"]).with_headers(Retry_After=retry_after(options["seconds"]))

    return play


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
    """200 with something else in the body; option `applied` says whether the request was performed before."""

    def play(playing: Playing) -> Answer:
        if playing.options["applied"]:
            playing.exchange.answer()
        return Answer(200, body, {"Content-Type": content_type})

    return play


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


def apply_late(playing: Playing) -> Answer:
    """The request is accepted, the answer says it failed, and it is applied seconds after."""
    exchange, options = playing.exchange, playing.options
    try:
        call = exchange.call()
    except CloudError as error:
        return exchange.refusal(error)
    exchange.later.do(options["after_ms"] / 1000, lambda: _perform_quietly(exchange, call))
    if options["answer"] == "gateway_timeout":
        return exchange.refusal(CloudError(Code.BACKEND_TIMEOUT))
    return Answer(200, manner={"drop": Manner.DROP, "reset": Manner.RESET}[options["answer"]])


def _perform_quietly(exchange: Exchange, call: Call) -> None:
    try:
        exchange.perform(call)
    except CloudError:
        return


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
    """Someone else changes the same group, right before or right after; options `changes`, `when`. A call about no
    single group is left alone.
    """
    exchange, options = playing.exchange, playing.options

    def interfere(call: Call) -> Call:
        if "server_group_id" in call.path:
            exchange.world.store.change(call.project, call.group["id"], options["changes"], None)
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
    """Every page but the first begins `places` too early (as if groups were added) or, negative, too late."""
    places = playing.options["places"]

    def shifted(call: Call) -> Call:
        offset = call.query.get("offset", 0)
        return call.with_query(offset=max(0, offset - places)) if offset else call

    return playing.exchange.answer(shifted)


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
