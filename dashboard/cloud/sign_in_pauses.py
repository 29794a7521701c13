"""The pause after refused sign-ins to IAM, which locks an account after a few of them.

All processes share the pause, because each has its own clients, and each *Cloud check* makes a new one. The state is in
the database. Without the database, a process knows only its own sign-ins.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from django.db import DatabaseError, InterfaceError, connection

from dashboard.cloud.errors import SignInError
from dashboard.cloud.limits import Deadline
from dashboard.cloud.models import SignInState

logger = logging.getLogger(__name__)

REJECTIONS_BEFORE_PAUSE = 2  # IAM locks an account after a few more
REJECTED_PAUSE = 15 * 60.0
OUTAGE_PAUSE = 5.0
LEASE_SECONDS = 20.0
"""Longer than one sign-in may take. A process that ends during a sign-in delays the others for this time."""
POLL_SECONDS = 0.05


@dataclass
class Record:
    """The rejections in a row, and the end of the pause in seconds since 1970."""

    rejections: int = 0
    paused_until: float = 0.0

    def succeed(self) -> None:
        self.rejections, self.paused_until = 0, 0.0

    def reject(self, now: float) -> None:
        self.rejections += 1
        if self.rejections >= REJECTIONS_BEFORE_PAUSE:
            self.paused_until = now + REJECTED_PAUSE

    def fail(self, now: float) -> None:
        self.paused_until = now + OUTAGE_PAUSE


class Pauses(Protocol):
    def exclusive(self, key: str, deadline: Deadline) -> AbstractContextManager[Record]:
        """Wait for other sign-ins with this key, and yield the record to look at and to change. Raises SignInError."""


class MemoryPauses:
    """The pauses of one process."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._records: defaultdict[str, Record] = defaultdict(Record)

    @contextmanager
    def exclusive(self, key: str, deadline: Deadline) -> Iterator[Record]:
        lock = self._locks[key]
        if not lock.acquire(timeout=max(0.0, deadline.left())):
            raise _too_late()
        try:
            yield self._records[key]
        finally:
            lock.release()


class DatabasePauses:
    """The pauses of all processes that share the database."""

    def __init__(self) -> None:
        self._of_process = MemoryPauses()

    @contextmanager
    def exclusive(self, key: str, deadline: Deadline) -> Iterator[Record]:
        with self._of_process.exclusive(key, deadline) as record:
            is_leased = _lease(key, record, deadline)
            try:
                yield record
            finally:
                if is_leased:
                    _store(key, record)


shared_pauses: Pauses = DatabasePauses()


def _lease(key: str, record: Record, deadline: Deadline) -> bool:
    """Copy the shared state to the record. False without a lease: during a pause, and without the database."""
    try:
        with _short_connection():
            while True:
                state, _ = SignInState.objects.get_or_create(key=key)
                record.rejections, record.paused_until = state.rejections, state.paused_until
                now = time.time()
                if state.paused_until > now:
                    return False
                free = SignInState.objects.filter(key=key, leased_until__lte=now, paused_until=state.paused_until)
                if free.update(leased_until=now + LEASE_SECONDS):
                    return True
                if deadline.left() <= 0:
                    raise _too_late()
                time.sleep(POLL_SECONDS)
    except (DatabaseError, InterfaceError):
        logger.exception("The refused sign-ins of other processes are not known")
        return False


def _store(key: str, record: Record) -> None:
    try:
        with _short_connection():
            SignInState.objects.filter(key=key).update(
                rejections=record.rejections, paused_until=record.paused_until, leased_until=0
            )
    except (DatabaseError, InterfaceError):
        logger.exception("The result of a sign-in could not be shared with other processes")


@contextmanager
def _short_connection() -> Iterator[None]:
    """Close the connection afterwards if this thread had none: a thread of a pool would keep it open."""
    had_connection = connection.connection is not None
    try:
        yield
    finally:
        if not had_connection:
            connection.close()


def _too_late() -> SignInError:
    return SignInError("sign-in did not end in time")
