"""Run a command with a temporary PostgreSQL: `python -m tests.postgres pytest tests/audit`.

The cluster is in a temporary directory and listens on a socket there. Both are removed at the end. PostgreSQL refuses
to run as root, so with root it runs as another user.
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
"""Options for speed. Only a power failure could lose data, and no test simulates one."""


def binaries() -> Path:
    """Find the programs of PostgreSQL, which Debian does not put in the path. Raises FileNotFoundError."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists():
            return place
    raise FileNotFoundError("PostgreSQL is not installed: install the package 'postgresql'")


@dataclass(frozen=True)
class Cluster:
    directory: str
    user: str | None
    """The operating system user of the server, or None for the current user."""

    @property
    def address(self) -> str:
        """The URL of an empty database."""
        return f"postgres://streamwarden@/{self.directory}/postgres"

    def start(self) -> None:
        options = f"{FAST} -k {self.directory}"
        self._pg_ctl("-l", f"{self.directory}/log", "-w", "-o", options, "start")

    def stop(self) -> None:
        """Stop at once. All clients lose their connections."""
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
        running = Cluster(directory, user)
        running.start()
        try:
            yield running
        finally:
            running.stop()


def _run(user: str | None, program: str, *arguments: str) -> None:
    command = [str(binaries() / program), *arguments]
    subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60)  # noqa: S603 (fixed command)


def main() -> int:
    with cluster() as running:
        environ = {**os.environ, "TEST_DATABASE_URL": running.address}
        return subprocess.run([sys.executable, "-m", *sys.argv[1:]], env=environ, check=False).returncode  # noqa: S603 (fixed command)


if __name__ == "__main__":
    sys.exit(main())
