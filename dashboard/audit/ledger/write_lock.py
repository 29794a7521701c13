"""The write lock of the ledger: one writer at a time, in the order of arrival.

SQLite has no queue: a waiting writer sleeps and tries again, so others can overtake it for seconds. Therefore writers
queue before they open a transaction: the threads of a process in a `WriteQueue`, the processes at two lock files.
PostgreSQL needs none of this, because its advisory lock is a queue.
"""

import fcntl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TIMEOUT_SECONDS = 10.0
_POLL_SECONDS = 0.001


class BusyError(Exception):
    """The earlier writers did not finish in time."""


class WriteQueue:
    """A lock between threads, first in, first out."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def lock(self, timeout: float = TIMEOUT_SECONDS) -> Iterator[None]:
        """Hold the lock. Raises BusyError after `timeout` seconds of waiting."""
        mine = threading.Event()
        with self._guard:
            if not self._waiting:
                mine.set()
            self._waiting.append(mine)
        try:
            if not mine.wait(timeout):
                raise BusyError("too many changes are being recorded at once")
            yield
        finally:
            self._release(mine)

    def _release(self, mine: threading.Event) -> None:
        with self._guard:
            self._waiting.remove(mine)
            if self._waiting:
                self._waiting[0].set()


@contextmanager
def file_lock(path: Path, timeout: float = TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold a lock between processes. Raises BusyError, and OSError when a lock file cannot be created.

    Two files keep the order: a process asks for the write lock only while it holds the head of the queue. So a process
    that releases the write lock cannot take it again before one that waits.
    """
    deadline = time.monotonic() + timeout
    with path.with_name(f"{path.name}.lock").open("ab") as write_lock:
        with path.with_name(f"{path.name}.queue").open("ab") as queue_head:
            _lock(queue_head, deadline)
            _lock(write_lock, deadline)
        yield


def _lock(file: BinaryIO, deadline: float) -> None:
    """Lock the file until it is closed or the process ends."""
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BusyError("another process is recording a change and does not finish") from None
            time.sleep(_POLL_SECONDS)
