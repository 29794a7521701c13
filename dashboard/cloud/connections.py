"""Connections that end with the deadline of the call, and that report whether the request was sent.

`requests` offers neither. Its timeout restarts with each socket read, so a server that sends one byte per second holds
a thread for ever. Its exceptions do not report whether bytes of the request were sent, which decides about a PATCH.
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
class RequestState:
    """The deadlines to send a request and to receive its response, and whether bytes of it may have been sent."""

    deadline: Deadline
    send_by: Deadline | None = None
    is_sent: bool = False


current_request: ContextVar[RequestState] = ContextVar("current_request")


class _DeadlineReader(io.RawIOBase):
    """Reads from the socket. Each wait for bytes ends with the deadline of the call at the latest."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._longest_wait = sock.gettimeout()
        self._deadline = current_request.get().deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.within(self._longest_wait))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """Reads status line, headers and body with the deadline: a server can send its headers slowly too."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_DeadlineReader(self.fp.detach(), sock))


class _HTTPConnection(HTTPConnection):
    """Connects before it sends, so that a connection that never opened is not taken for a sent request."""

    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Try the addresses of the host one after the other. Raises OSError.

        Each attempt ends with the connect timeout, all of them end with the deadline, which urllib3 does not have.
        The TLS handshake may take the rest of both.
        """
        deadline = current_request.get().deadline
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
        state = current_request.get()
        if state.send_by is not None:
            state.send_by.within(None)
        state.is_sent = True
        super().request(*args, **kwargs)


class _HTTPSConnection(_HTTPConnection, HTTPSConnection):
    pass


class _HTTPConnectionPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSConnectionPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


POOLS = {"http": _HTTPConnectionPool, "https": _HTTPSConnectionPool}


class Adapter(requests.adapters.HTTPAdapter):
    """The adapter of `requests` with these connections. It never retries and never waits for a free connection."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager
