"""Connections that keep the deadline of the whole call and remember whether the request left.

`requests` offers neither: its timeout counts from one socket read to the next, so a server that drips a byte a second
holds a worker for ever, and its exceptions do not say whether bytes had left, which for a PATCH is the whole question.
"""

import http.client
import io
import socket
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from dashboard.cloud.limits import Deadline


@dataclass
class Passage:
    """One request: when it must be answered, when it must have left, and whether any of it may have left."""

    deadline: Deadline
    send_by: Deadline | None = None
    has_left: bool = False


passage: ContextVar[Passage] = ContextVar("passage")


class _TimedReader(io.RawIOBase):
    """The socket's read side; each wait for bytes ends with the call's deadline at the latest."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._longest_wait = sock.gettimeout()
        self._deadline = passage.get().deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.within(self._longest_wait))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Head and body are both read through the timed reader: a server can drip its headers too."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_TimedReader(self.fp.detach(), sock))


class _HTTPConnection(HTTPConnection):
    """Connects before it sends, so that a connection that never opened can be told from a request that left."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Tries the host's addresses in turn, each for the connect timeout and all of them within the deadline, which
        urllib3 does not know. What remains of both is the time TLS may take. Raises OSError.
        """
        deadline = passage.get().deadline
        failure = OSError(f"{self.host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self._dns_host, self.port, type=socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(deadline.within(self.timeout))
                sock.connect(address)
                sock.settimeout(deadline.within(self.timeout))
            except OSError as error:
                failure = error
                sock.close()
            else:
                return sock
        raise failure

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.is_closed:
            self.connect()
        way = passage.get()
        if way.send_by is not None:
            way.send_by.within(None)
        way.has_left = True
        super().request(*args, **kwargs)


class _HTTPSConnection(_HTTPConnection, HTTPSConnection):
    pass


class _HTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


POOLS = {"http": _HTTPConnectionPool, "https": _HTTPSConnectionPool}


class Adapter(requests.adapters.HTTPAdapter):
    """The adapter of `requests` over these connections. It never retries and never waits for a free connection."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager
