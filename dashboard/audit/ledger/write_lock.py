"""One writer at a time, first come first served.

SQLite's own waiting is a loop that sleeps and tries again, in which a writer can be passed over for seconds. So writers
queue in front of it: threads of a process in the order they came, and the first of each process at a pair of lock
files. PostgreSQL's advisory lock is a queue already.
"""

import fcntl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PATIENCE_SECONDS = 10.0
_POLL_SECONDS = 0.001


class BusyError(Exception):
    """The writers before this one did not finish in time."""


class Queue:
    """A lock that is handed to whoever has waited longest."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
        """Raises BusyError when the turn does not come."""
        mine = threading.Event()
        with self._guard:
            if not self._waiting:
                mine.set()
            self._waiting.append(mine)
        try:
            if not mine.wait(patience):
                raise BusyError("too many changes are being recorded at once")
            yield
        finally:
            self._leave(mine)

    def _leave(self, mine: threading.Event) -> None:
        with self._guard:
            self._waiting.remove(mine)
            if self._waiting:
                self._waiting[0].set()


@contextmanager
def file_lock(path: Path, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """The same between processes. Raises BusyError, and OSError when a lock file cannot be made.

    Two locks make it fair: only who holds the place at the head of the queue asks for the pen, so that a process that
    just put it down cannot take it again past one that waits.
    """
    give_up = time.monotonic() + patience
    with path.with_name(f"{path.name}.pen").open("ab") as pen:
        with path.with_name(f"{path.name}.queue").open("ab") as head:
            _lock(head, give_up)
            _lock(pen, give_up)
        yield


def _lock(file: BinaryIO, give_up: float) -> None:
    """Locks until the file is closed, or the process dies."""
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise BusyError("another process is recording a change and does not finish") from None
            time.sleep(_POLL_SECONDS)
