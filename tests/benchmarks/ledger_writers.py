"""Measure 16 concurrent writers: the changes recorded per second, and the longest wait.

A change is an intent and its outcome. Each is a commit that reaches the disk before the next one begins. The last
figure is for comparison: SQLite's busy handler instead of the queue of the ledger.
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
SECONDS_WITHOUT_QUEUE = 5.0


@dataclass
class Written:
    """The results of some writers. `waits` has the seconds that each row took."""

    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def measure(_folder: Path) -> dict[str, dict[str, float]]:
    User.objects.get_or_create(username="writer")
    figures = {
        "16 threads": _figures(_write(WRITERS, SECONDS, has_queue=True), SECONDS),
        "4 processes of 4 threads": _figures(_write_in_processes(SECONDS, has_queue=True), SECONDS),
    }
    assert not any(found["failures"] for found in figures.values()), figures
    verify()  # raises if a row is not as it was written
    without = _figures(_write_in_processes(SECONDS_WITHOUT_QUEUE, has_queue=False), SECONDS_WITHOUT_QUEUE)
    return figures | {"4 processes of 4 threads, without the queue": without}


def _figures(written: Written, seconds: float) -> dict[str, Any]:
    return {
        "changes/s": len(written.waits) / 2 / seconds,
        "median wait, s": statistics.median(written.waits),
        "worst wait, s": max(written.waits),
        "failures": len(written.failures),
    }


def _write_in_processes(seconds: float, *, has_queue: bool) -> Written:
    """Write as a server with several workers does. Spawned, because a forked child would share the connection."""
    context = get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, initializer=set_up, initargs=(barrier,)) as pool:
        parts = [pool.submit(_write, WRITERS // PROCESSES, seconds, has_queue=has_queue) for _ in range(PROCESSES)]
        found = [part.result() for part in parts]
    return Written(
        [wait for one in found for wait in one.waits], [message for one in found for message in one.failures]
    )


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
    """Use only the busy handler of SQLite."""
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
                group, seen = uuid.uuid4().hex, 0  # a group with an unsettled intent accepts no other change
    finally:
        connection.close()


@contextmanager
def _timed(waits: list[float]) -> Iterator[None]:
    begun = time.monotonic()
    yield
    waits.append(time.monotonic() - begun)
