"""A cloud whose responses a test defines byte by byte, for faults that the simulator does not have."""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedReader

from dashboard.cloud.client import Client
from dashboard.cloud.credentials import Credential, TokenCredential
from dashboard.cloud.limits import Limits
from dashboard.cloud.projects import Project

GROUP_ID = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e10"
PROJECT_ID = "0f3c5a7e9b1d4c2f8a6e0b4d2c1f3a5e"
SHORT_LIMITS = Limits(connect=0.3, read=0.25, whole=0.6, body=200_000, backoff=0.01)
LONG_LIMITS = Limits(
    connect=5, read=5, whole=8, body=200_000, backoff=0.01
)  # for tests that a slow machine must pass too


@dataclass(frozen=True)
class Received:
    """A request that arrived. `port` identifies the connection of the client."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    port: int

    @property
    def json(self) -> object:
        return json.loads(self.body)


Responder = Callable[[socket.socket], bool]
"""Writes a response to the connection. True keeps the connection open for another request."""


def respond(status: int = 200, body: object = None, headers: Mapping[str, str] | None = None) -> Responder:
    """A complete response. `body` is sent as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return raw("\r\n".join([*lines, "", ""]).encode() + data, keeps_open=True)


def raw(data: bytes, *, keeps_open: bool = False) -> Responder:
    def responder(connection: socket.socket) -> bool:
        connection.sendall(data)
        return keeps_open

    return responder


def send_slowly(data: bytes, *, seconds: float = 0.02) -> Responder:
    """One byte at a time."""

    def responder(connection: socket.socket) -> bool:
        for number in range(1000):
            connection.sendall(data[number : number + 1] or b" ")
            time.sleep(seconds)
        return False

    return responder


def stall(data: bytes = b"", seconds: float = 3.0) -> Responder:
    def responder(connection: socket.socket) -> bool:
        connection.sendall(data)
        connection.settimeout(seconds)
        with suppress(TimeoutError):
            connection.recv(1)
        return False

    return responder


def half_close(connection: socket.socket) -> bool:
    """Close the sending side of the connection, and continue to read."""
    connection.shutdown(socket.SHUT_WR)
    return stall()(connection)


def reset(connection: socket.socket) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


@dataclass
class ScriptedCloud:
    """Uses its responders in order and repeats the last one, or uses the responder of its route."""

    url: str
    responders: list[Responder]
    route: Callable[[Received], Responder] | None = None
    requests: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, auth: Credential | None = None, limits: Limits = LONG_LIMITS) -> Client:
        return Client(self.project(auth), limits)

    def project(self, auth: Credential | None = None) -> Project:
        return project_at(self.url, auth or TokenCredential("canary-token"))

    def serve(self, accepted: socket.socket, tls: ssl.SSLContext | None) -> None:
        with accepted, suppress(OSError), _secured(accepted, tls) as connection, connection.makefile("rb") as stream:
            while received := _read_request(stream, connection.getpeername()[1]):
                with self.lock:
                    self.requests.append(received)
                if not self._responder_for(received)(connection):
                    break

    def _responder_for(self, received: Received) -> Responder:
        if self.route is not None:
            return self.route(received)
        with self.lock:
            return self.responders.pop(0) if len(self.responders) > 1 else self.responders[0]


def _secured(connection: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    return tls.wrap_socket(connection, server_side=True) if tls else connection


def _read_request(stream: BufferedReader, port: int) -> Received | None:
    method, _, target = next(stream, b"").decode("latin-1").strip().partition(" ")
    if not method:
        return None
    headers: dict[str, str] = {}
    while (line := next(stream, b"").decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    body = stream.read(int(headers.get("Content-Length", 0)))
    return Received(method, target.removesuffix(" HTTP/1.1"), headers, body, port)


@contextmanager
def scripted_cloud(
    *responders: Responder, route: Callable[[Received], Responder] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedCloud]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    cloud = ScriptedCloud(
        f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}", list(responders), route
    )

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=cloud.serve, args=(connection, tls), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield cloud
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def project_at(url: str, auth: Credential) -> Project:
    """A project with one address for Workspace, IMS and IAM."""
    return Project(
        slug="test",
        title="Test",
        project_id=PROJECT_ID,
        region="ap-southeast-3",
        workspace_endpoint=url,
        ims_endpoint=url,
        iam_endpoint=url,
        auth=auth,
    )


def closed_port() -> str:
    """An address without a server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
