"""Runs the simulator on a port of this machine."""

import ipaddress
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from email.utils import formatdate
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from dashboard.simulator.app import Simulator, create_app
from dashboard.simulator.delivery import RESET_ON_CLOSE
from dashboard.simulator.responses import Document
from dashboard.simulator.tenant import SimulatorSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

LISTEN_BACKLOG = 1024
"""Enough for hundreds of clients that connect at the same moment."""
STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02


class NotLoopbackError(ValueError):
    """The address is not a loopback address. The simulator's credentials are published and its controls open."""


class _Handler(WSGIRequestHandler):
    """Keeps connections alive, unlike werkzeug's own handler, and writes no log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        self._head = b""
        try:
            # Each piece is sent as soon as it is made; the head is sent with the first one.
            for piece in self.server.app(self.make_environ(), cast("StartResponse", self._start_response)):
                self.wfile.write(self._head + piece)
                self._head = b""
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _start_response(self, status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        names = {name.lower() for name, _ in headers}
        lines = [f"{self.protocol_version} {status}", *(f"{name}: {value}" for name, value in headers)]
        if "date" not in names:
            lines.append(f"Date: {formatdate(usegmt=True)}")
        if self.close_connection and "connection" not in names:
            lines.append("Connection: close")
        self._head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  werkzeug's name
        """Write nothing: the request log has every request."""


class _Server(ThreadedWSGIServer):
    """Keeps a list of its open connections, so that it can stop at once."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, app: Simulator) -> None:
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        host, port = listener.getsockname()[:2]
        super().__init__(host, port, app, _Handler, fd=listener.fileno())

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]  # socketserver also admits the pair of a datagram
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]  # as above
        """Close a connection without a shutdown if a fault has asked for a reset."""
        resets = request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(RESET_ON_CLOSE)) == RESET_ON_CLOSE
        if resets:
            self.close_request(request)
        else:
            super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def end_connections(self) -> None:
        with self._changed:
            for connection in self._connections:
                _hang_up(connection)
            self._changed.wait_for(lambda: not self._connections, STOP_SECONDS)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the client may have closed it already
        connection.shutdown(socket.SHUT_RDWR)


class SimulatorServer:
    """Runs the simulator in threads of this process: `with SimulatorServer() as simulator: ... simulator.url`."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        groups: int = 42,
        seed: int = 1,
        latency_ms: int = 0,
        faults: Sequence[Document] = (),
        *,
        has_life: bool = False,
    ) -> None:
        self._host, self._port = _loopback(host), port
        self._app = create_app(SimulatorSettings(groups, seed, latency_ms, faults, has_life))
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def start(self) -> Self:
        """Raises OSError if the port is taken. After a stop, the port and the state stay the same."""
        self._app.resume()
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.create_server((self._host, self._port), family=family, backlog=LISTEN_BACKLOG) as listener:
            self._port = listener.getsockname()[1]
            self._server = _Server(listener, self._app)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._app.stop()
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _loopback(host: str) -> str:
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise NotLoopbackError(f"{host} is not a loopback address; the simulator only serves this machine")
