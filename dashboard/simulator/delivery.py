"""How the bytes of an answer go out, well-behaved or not.

It needs a server whose environ has the client's socket as `werkzeug.socket`, and which ends the connection when the
application raises ConnectionError (server.py does both).
"""

import select
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING

from dashboard.simulator.answers import Answer, Manner

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SLOW_PIECES = 10
ENDLESS_PIECE = 65_536
_LOOK_EVERY = 0.05

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing the socket sends RST instead of FIN."""


def deliver(
    answer: Answer, environ: "WSGIEnvironment", start_response: "StartResponse", stopping: threading.Event
) -> Iterable[bytes]:
    connection: socket.socket | None = environ.get("werkzeug.socket")
    line = _Line(connection, stopping)
    if answer.manner in _WORDLESS:
        line.end(answer)
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body
    headers = [*answer.headers.items(), *_framing(answer)]
    start_response(f"{answer.status} {responses.get(answer.status, 'Unknown')}", headers)
    return _PIECES[answer.manner](answer, line) if answer.manner in _PIECES else [body]


_WORDLESS = frozenset((Manner.DROP, Manner.RESET, Manner.SILENCE, Manner.NOT_HTTP))


def _framing(answer: Answer) -> list[tuple[str, str]]:
    """How a client knows where the body ends; a fault may have said so already, wrongly."""
    if answer.status == HTTPStatus.NO_CONTENT or "Content-Length" in answer.headers:
        return []
    return [("Connection", "close")] if answer.manner is Manner.ENDLESS else [("Content-Length", str(len(answer.body)))]


class _Line:
    """The connection to the client, as far as bad manners need it."""

    def __init__(self, connection: socket.socket | None, stopping: threading.Event) -> None:
        self._connection, self._stopping = connection, stopping

    def wait(self, seconds: float) -> None:
        """Until the time is over, the client has gone, or the simulator stops."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopping.is_set() and not self._client_left():
            self._stopping.wait(min(left, _LOOK_EVERY))

    def _client_left(self) -> bool:
        if self._connection is None:
            return False
        try:
            readable, _, _ = select.select([self._connection], [], [], 0)
            return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def end(self, answer: Answer) -> None:
        """Without a word; always raises."""
        if answer.manner is Manner.SILENCE:
            self.wait(answer.seconds)
        if answer.manner is Manner.RESET:
            self.reset_on_close()
        if answer.manner is Manner.NOT_HTTP and self._connection is not None:
            self._connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
        self.abort()

    def abort(self) -> None:
        raise ConnectionAbortedError("a fault ended the connection")

    def reset_on_close(self) -> None:
        if self._connection is not None:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def close_for_writing(self) -> None:
        if self._connection is not None:
            self._connection.shutdown(socket.SHUT_WR)


def _drip(answer: Answer, line: _Line) -> Iterator[bytes]:
    for number in range(len(answer.body)):
        yield answer.body[number : number + 1]
        line.wait(answer.seconds)


def _slow(answer: Answer, line: _Line) -> Iterator[bytes]:
    size = len(answer.body) // SLOW_PIECES + 1
    for start in range(0, len(answer.body), size):
        line.wait(answer.seconds / SLOW_PIECES)
        yield answer.body[start : start + size]


def _endless(_answer: Answer, _line: _Line) -> Iterator[bytes]:
    """Until writing fails, since the client or the simulator has had enough."""
    while True:
        yield b" " * ENDLESS_PIECE


def _close_after(answer: Answer, line: _Line) -> Iterator[bytes]:
    yield answer.body
    line.abort()


def _stall(answer: Answer, line: _Line) -> Iterator[bytes]:
    yield b""
    line.wait(answer.seconds)
    line.abort()


def _break_off(answer: Answer, line: _Line) -> Iterator[bytes]:
    yield answer.body[: len(answer.body) // 2]
    if answer.manner is Manner.RESET_HALFWAY:
        line.reset_on_close()
    if answer.manner is Manner.HALF_CLOSE:
        line.close_for_writing()
        line.wait(answer.seconds)
    line.abort()


_PIECES = {
    Manner.DRIP: _drip,
    Manner.SLOW: _slow,
    Manner.ENDLESS: _endless,
    Manner.CLOSE_AFTER: _close_after,
    Manner.STALL: _stall,
    Manner.CUT: _break_off,
    Manner.RESET_HALFWAY: _break_off,
    Manner.HALF_CLOSE: _break_off,
}
