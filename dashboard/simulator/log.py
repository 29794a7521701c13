"""The request log: every request to the cloud, with its secrets masked."""

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from werkzeug.wrappers import Request

from dashboard.simulator.data import instant
from dashboard.simulator.request_checks import NotJsonError, read_json
from dashboard.simulator.responses import Document

MASK = "***"
MOST_ENTRIES = 200_000
"""The oldest entries are removed first, so that a demo can run for weeks."""

_SECRET_HEADERS = frozenset(("x-auth-token", "x-subject-token", "authorization", "x-security-token", "cookie"))
_SECRET_MEMBERS = frozenset(("password", "secret", "securitytoken"))


@dataclass(frozen=True)
class LoggedRequest:
    number: int
    time: str
    method: str
    path: str
    query: Mapping[str, str | list[str]]
    headers: Mapping[str, str]
    body: Any
    """The parsed JSON, otherwise the text; None if there is no body."""
    status: int | None = None
    """None until there is a response. It stays None when the connection is dropped."""


class RequestLog:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[int, LoggedRequest] = {}
        self._last = 0

    def received(self, request: Request, body: bytes) -> int:
        with self._lock:
            self._last += 1
            self._entries[self._last] = _entry(self._last, request, body)
            if len(self._entries) > MOST_ENTRIES:
                del self._entries[next(iter(self._entries))]
            return self._last

    def responded(self, number: int, status: int) -> None:
        with self._lock:
            if entry := self._entries.get(number):
                self._entries[number] = replace(entry, status=status)

    def documents(self) -> list[Document]:
        with self._lock:
            return [asdict(entry) for entry in self._entries.values()]

    def clear(self) -> None:
        with self._lock:
            self._entries = {}

    def reset(self) -> None:
        with self._lock:
            self._entries, self._last = {}, 0


def _entry(number: int, request: Request, body: bytes) -> LoggedRequest:
    query = {name: values[0] if len(values) == 1 else values for name, values in request.args.lists()}
    headers = {name: MASK if name.lower() in _SECRET_HEADERS else value for name, value in request.headers}
    return LoggedRequest(
        number,
        instant(datetime.now(UTC)),
        request.method,
        request.path,
        query,
        headers,
        _readable(body, is_secret=request.path.startswith("/v3")),
    )


def _readable(body: bytes, *, is_secret: bool) -> Any:
    """The body for the log. A sign-in that is not JSON is masked completely: it may contain a password anywhere."""
    if not body:
        return None
    try:
        return _masked(read_json(body))
    except NotJsonError:
        return MASK if is_secret else body.decode("utf-8", "replace")


def _masked(value: Any, inside: str = "") -> Any:
    if isinstance(value, list):
        return [_masked(part, inside) for part in value]
    if isinstance(value, dict):
        return {key: _masked_member(key, part, inside) for key, part in value.items()}
    return value


def _masked_member(key: str, part: Any, inside: str) -> Any:
    is_token_id = inside == "token" and key == "id"
    if isinstance(part, str) and (key in _SECRET_MEMBERS or is_token_id):
        return MASK
    return _masked(part, key)
