"""Helpers for tests of faults: a group to change, and a raw connection."""

import socket
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud

GROUP = f"/v1/{PROJECT}/app-server-groups/{DESIGN_POOL}"


BODY = b'{"name":"TEST"}'


def is_applied(cloud: Cloud) -> bool:
    return bool(cloud.history())


def set_fault(cloud: Cloud, name: str, **options: Any) -> None:
    cloud.faults({"fault": name, "times": 1, **options})


class RawConnection:
    """A socket that shows bytes which a client library does not show."""

    def __init__(self, cloud: Cloud) -> None:
        address = urlsplit(cloud.url)
        self.socket = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, method: str = "PATCH", body: bytes = BODY, length: int | None = None) -> None:
        head = f"{method} {GROUP} HTTP/1.1\r\nHost: cloud\r\nX-Auth-Token: simulator-token\r\n"
        head += f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def read(self) -> bytes:
        """Read until the server closes the connection. Raises ConnectionResetError on a reset."""
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts)

    def send_and_read(self, body: bytes = BODY, length: int | None = None) -> bytes:
        self.send(body=body, length=length)
        return self.read()

    def read_some(self, seconds: float) -> bytes:
        self.socket.settimeout(seconds)
        try:
            return self.read()
        except TimeoutError:
            return b""


def wait_for(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()
