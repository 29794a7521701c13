"""A dashboard under gunicorn, as in a deployment, and a client that behaves like a browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from django.conf import settings

from tests.crash.dashboards import PASSWORD

DROP_CAPABILITY = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
"""Root can write to read-only files unless the process drops this capability."""


class Browser:
    """A browser session. It is signed in when the response of `sign_in` is a redirect."""

    def __init__(self, address: str) -> None:
        self._address, self._session = address, requests.Session()

    def get(self, path: str) -> requests.Response:
        return self._session.get(self._address + path, allow_redirects=False, timeout=30)

    def post(self, path: str, fields: Mapping[str, str]) -> requests.Response:
        token = self._session.cookies.get("csrftoken") or ""
        sent = {**fields, "csrfmiddlewaretoken": token}
        return self._session.post(self._address + path, sent, allow_redirects=False, timeout=30)

    def sign_in(self) -> requests.Response:
        page = self.get("/accounts/login/")
        assert re.search("csrfmiddlewaretoken", page.text)
        return self.post("/accounts/login/", {"login": "admin", "password": PASSWORD})


@dataclass(frozen=True)
class Served:
    address: str
    pid: int
    """The process that supervises the workers."""

    @property
    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in children.split()]


@contextmanager
def served(environ: Mapping[str, str], log: Path, *, threads: int = 4) -> Iterator[Served]:
    """Run gunicorn without the right to write to read-only files, as in a deployment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "tests.crash.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--threads", str(threads)]
    unprivileged = DROP_CAPABILITY if os.geteuid() == 0 and shutil.which("setpriv") else ()
    with (
        log.open("wb") as out,
        subprocess.Popen(  # noqa: S603 (fixed command)
            [*unprivileged, *command], env=environ, cwd=settings.BASE_DIR, stdout=out, stderr=subprocess.STDOUT
        ) as server,
    ):
        try:
            _wait_for(f"http://127.0.0.1:{port}", server, log)
            yield Served(f"http://127.0.0.1:{port}", server.pid)
        finally:
            server.terminate()


def _wait_for(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = time.monotonic() + 30
    while True:
        try:
            requests.get(f"{address}/healthz", timeout=5)
        except requests.ConnectionError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.05)
        else:
            return
