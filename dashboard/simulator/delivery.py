"""Sends the bytes of a response, correctly or with a fault.

The WSGI environ must have the client's socket as `werkzeug.socket`, and the server must close the connection when the
application raises ConnectionError. The server in server.py does both.
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

from dashboard.simulator.responses import WITHOUT_RESPONSE, Delivery, SimulatedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SLOW_PIECES = 10
ENDLESS_PIECE = 65_536
_POLL_SECONDS = 0.05

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing the socket sends RST instead of FIN."""


def deliver(
    response: SimulatedResponse, environ: "WSGIEnvironment", start_response: "StartResponse", stopping: threading.Event
) -> Iterable[bytes]:
    client = _ClientConnection(environ.get("werkzeug.socket"), stopping)
    if response.delivery in WITHOUT_RESPONSE:
        client.end_without(response)
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else response.body
    headers = [*response.headers.items(), *_framing(response)]
    start_response(f"{response.status} {responses.get(response.status, 'Unknown')}", headers)
    return _PIECES[response.delivery](response, client) if response.delivery in _PIECES else [body]


def _framing(response: SimulatedResponse) -> list[tuple[str, str]]:
    """The header that tells the client where the body ends, unless a fault has set a wrong one."""
    if response.status == HTTPStatus.NO_CONTENT or "Content-Length" in response.headers:
        return []
    return (
        [("Connection", "close")]
        if response.delivery is Delivery.ENDLESS
        else [("Content-Length", str(len(response.body)))]
    )


class _ClientConnection:
    """What faults do with the connection to the client."""

    def __init__(self, connection: socket.socket | None, stopping: threading.Event) -> None:
        self._connection, self._stopping = connection, stopping

    def wait(self, seconds: float) -> None:
        """Wait until the time is over, the client closes the connection, or the simulator stops."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stopping.is_set() and not self._is_closed():
            self._stopping.wait(min(left, _POLL_SECONDS))

    def _is_closed(self) -> bool:
        if self._connection is None:
            return False
        try:
            readable, _, _ = select.select([self._connection], [], [], 0)
            return bool(readable) and not self._connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def end_without(self, response: SimulatedResponse) -> None:
        """Close the connection without a response. Always raises."""
        if response.delivery is Delivery.SILENCE:
            self.wait(response.seconds)
        if response.delivery is Delivery.RESET:
            self.reset_on_close()
        if response.delivery is Delivery.NOT_HTTP and self._connection is not None:
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


def _drip(response: SimulatedResponse, client: _ClientConnection) -> Iterator[bytes]:
    for number in range(len(response.body)):
        yield response.body[number : number + 1]
        client.wait(response.seconds)


def _slow(response: SimulatedResponse, client: _ClientConnection) -> Iterator[bytes]:
    size = len(response.body) // SLOW_PIECES + 1
    for start in range(0, len(response.body), size):
        client.wait(response.seconds / SLOW_PIECES)
        yield response.body[start : start + size]


def _endless(_response: SimulatedResponse, _client: _ClientConnection) -> Iterator[bytes]:
    """Send until a write fails, because the client or the simulator has closed the connection."""
    while True:
        yield b" " * ENDLESS_PIECE


def _close_after(response: SimulatedResponse, client: _ClientConnection) -> Iterator[bytes]:
    yield response.body
    client.abort()


def _stall(response: SimulatedResponse, client: _ClientConnection) -> Iterator[bytes]:
    yield b""
    client.wait(response.seconds)
    client.abort()


def _break_off(response: SimulatedResponse, client: _ClientConnection) -> Iterator[bytes]:
    yield response.body[: len(response.body) // 2]
    if response.delivery is Delivery.RESET_HALFWAY:
        client.reset_on_close()
    if response.delivery is Delivery.HALF_CLOSE:
        client.close_for_writing()
        client.wait(response.seconds)
    client.abort()


_PIECES = {
    Delivery.DRIP: _drip,
    Delivery.SLOW: _slow,
    Delivery.ENDLESS: _endless,
    Delivery.CLOSE_AFTER: _close_after,
    Delivery.STALL: _stall,
    Delivery.CUT: _break_off,
    Delivery.RESET_HALFWAY: _break_off,
    Delivery.HALF_CLOSE: _break_off,
}
