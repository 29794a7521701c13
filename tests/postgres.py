"""Runs a command beside a throw-away PostgreSQL: `python -m tests.postgres pytest tests/audit`.

The cluster lives in a temporary directory, listens on a socket there and is gone afterwards. PostgreSQL refuses to run
as root, so that root lends it to another user.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

UNPRIVILEGED = "nobody"
FAST = "-c fsync=off -c full_page_writes=off -c max_connections=200 -c listen_addresses=''"
"""For tests that do not pull the plug; a crash of a client loses nothing either way."""


def binaries() -> Path:
    """Debian keeps them out of the path. Raises FileNotFoundError."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists():
            return place
    raise FileNotFoundError("PostgreSQL is not installed: its package is called 'postgresql'")


@dataclass(frozen=True)
class Cluster:
    directory: str
    user: str | None
    """The OS user of the server; None for the current user."""

    @property
    def address(self) -> str:
        """Of an empty database."""
        return f"postgres://streamwarden@/{self.directory}/postgres"

    def start(self) -> None:
        options = f"{FAST} -k {self.directory}"
        self._pg_ctl("-l", f"{self.directory}/log", "-w", "-o", options, "start")

    def stop(self) -> None:
        """Stop at once. Every connection is lost."""
        self._pg_ctl("-m", "immediate", "stop")

    def _pg_ctl(self, *arguments: str) -> None:
        _run(self.user, "pg_ctl", "-D", f"{self.directory}/data", *arguments)


@contextmanager
def cluster() -> Iterator[Cluster]:
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as directory:
        if user:
            shutil.chown(directory, user)
        _run(user, "initdb", "-D", f"{directory}/data", "-U", "streamwarden", "-A", "trust", "-E", "UTF8", "--locale=C")
        made = Cluster(directory, user)
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _run(user: str | None, program: str, *arguments: str) -> None:
    command = [str(binaries() / program), *arguments]
    subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60)  # noqa: S603 (ours)


def main() -> int:
    with cluster() as running:
        environ = {**os.environ, "TEST_DATABASE_URL": running.address}
        return subprocess.run([sys.executable, "-m", *sys.argv[1:]], env=environ, check=False).returncode  # noqa: S603 (ours)


if __name__ == "__main__":
    sys.exit(main())
