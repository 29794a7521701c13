"""Sixteen people who change groups at the same time: recorded changes a second, and the longest wait.

A change is an intent and its outcome, each a commit that is on the disk before the next begins. Beside it the same
with SQLite's own waiting in place of our queue.
"""

import statistics
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

from django.db import connection

from dashboard.accounts.models import Actor, User
from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger import services
from dashboard.audit.ledger.services import Attempt, Change, LedgerError, OutcomeDetails, record_intent, record_outcome
from dashboard.audit.models import Kind, Outcome
from tests.benchmarks.bench_ledger import set_up

WRITERS = 16
PROCESSES = 4
SECONDS = 10.0
SECONDS_WITHOUT = 5.0


@dataclass
class Written:
    """By some writers; `waits` are the seconds that each row took."""

    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def measure(_folder: Path) -> dict[str, dict[str, float]]:
    User.objects.get_or_create(username="writer")
    figures = {
        "16 threads": _figures(_write(WRITERS, SECONDS, has_queue=True), SECONDS),
        "4 processes of 4 threads": _figures(_write_in_processes(SECONDS, has_queue=True), SECONDS),
    }
    assert not any(found["failures"] for found in figures.values()), figures
    verify()  # raises where it is not as it was written
    without = _figures(_write_in_processes(SECONDS_WITHOUT, has_queue=False), SECONDS_WITHOUT)
    return figures | {"4 processes of 4 threads, without our queue": without}


def _figures(written: Written, seconds: float) -> dict[str, Any]:
    return {
        "changes/s": len(written.waits) / 2 / seconds,
        "median wait, s": statistics.median(written.waits),
        "worst wait, s": max(written.waits),
        "failures": len(written.failures),
    }


def _write_in_processes(seconds: float, *, has_queue: bool) -> Written:
    """As a server with several workers does. Not forked: a child would share a connection to the database."""
    context = get_context("spawn")
    gate = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, initializer=set_up, initargs=(gate,)) as pool:
        parts = [pool.submit(_write, WRITERS // PROCESSES, seconds, has_queue=has_queue) for _ in range(PROCESSES)]
        found = [part.result() for part in parts]
    return Written([wait for one in found for wait in one.waits], [said for one in found for said in one.failures])


def _write(writers: int, seconds: float, *, has_queue: bool) -> Written:
    written, until = Written(), time.monotonic() + seconds
    threads = [threading.Thread(target=_change_until, args=(until, written)) for _ in range(writers)]
    with nullcontext() if has_queue else _without_queue():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return written


@contextmanager
def _without_queue() -> Iterator[None]:
    """Leave only the waiting of SQLite itself."""
    with (
        patch.object(services, "file_lock", lambda _path: nullcontext()),
        patch.object(services, "_queue", Mock(lock=nullcontext)),
    ):
        yield


def _change_until(until: float, written: Written) -> None:
    by, group, seen = Actor(User.objects.get(username="writer"), "192.0.2.7"), uuid.uuid4().hex, 0
    change = Change("route_policy.max_session", "Maximum sessions", 4, 6)
    try:
        while time.monotonic() < until:
            attempt = Attempt("default", group, "design-pool", (change,), Kind.EDIT, "INC-4711", by, uuid.uuid4().hex)
            try:
                with _timed(written.waits):
                    intent, _ = record_intent(attempt, seen_number=seen, max_duration=timedelta(minutes=1))
                with _timed(written.waits):
                    record_outcome(intent, OutcomeDetails(Outcome.APPLIED, "A read shows the new values."))
                seen = intent.number
            except LedgerError as error:
                written.failures.append(str(error))
                group, seen = uuid.uuid4().hex, 0  # an intent without an outcome is a change under way
    finally:
        connection.close()


@contextmanager
def _timed(waits: list[float]) -> Iterator[None]:
    begun = time.monotonic()
    yield
    waits.append(time.monotonic() - begun)
