"""A process that settles may be killed, or meet another one. In the end each change is settled once and correctly."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Simulated, fault
from tests.crash.dashboards import EDIT, Begun, NewDatabase, Order, begin, check, end, environment, run
from tests.crash.points import WHILE_SETTLING

IS_WHOLE = "CRASH_SEEDS" in os.environ
LEFT_BEHIND = {
    "sent": ("PATCH sent, response not read", None),
    "not sent": ("before the PATCH", None),
    "unknown": ("before the verification", fault("drop_before_answer")),
}
"""The point where the unsettled change was cut short, and the fault at that time."""
ORDER = Order(EDIT, {"name": "TEST", "route_policy.max_session": 9})
SENT: dict[str, Any] = {"address": ORDER.address, "fields": ORDER.fields}
BUSY = "another process is reading the group now"
LONG_LEASE = 600
"""Seconds: it does not end while a test runs."""


def cases() -> list[tuple[str, str, str]]:
    """The point, what was left behind, and what settles."""
    settlers = ("command", "worker")
    if IS_WHOLE:
        return [(point, left, by) for point in WHILE_SETTLING for left in LEFT_BEHIND for by in settlers]
    left = list(LEFT_BEHIND)
    return [(point, left[place % 3], settlers[place % 2]) for place, point in enumerate(WHILE_SETTLING)]


def leave_behind(environ: dict[str, str], simulator: Simulated, what: str = "sent") -> None:
    point, failure = LEFT_BEHIND[what]
    simulator.inject(*([failure] if failure else []))
    assert run(environ, do="change", point=point, **SENT) is None
    simulator.inject()


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@contextmanager
def stopped_after_the_read(environ: dict[str, str]) -> Iterator[Begun]:
    """A process that has read the group and holds the lease. It stops there until it gets SIGCONT."""
    settler = begin(environ, do="settle", point="read, not checked", signal=signal.SIGSTOP, lease=LONG_LEASE)
    try:
        wait_until(lambda: is_stopped(settler.pid))
        yield settler
    finally:
        settler.process.kill()


def is_stopped(pid: int) -> bool:
    return "State:\tT" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")


@pytest.mark.parametrize(("point", "left", "by"), cases(), ids=str)
def test_a_change_is_settled_after_its_settler_was_killed(
    point: str, left: str, by: str, simulator: Simulated, new_database: NewDatabase
) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_behind(environ, simulator, left)

    killed = run(environ, do="settle", by=by, point=point)
    after = run(environ, do="restart", by=by, **SENT)

    assert killed is None
    assert after is not None
    check(after, ORDER, simulator, before)


def test_only_one_of_two_settlers_reads_the_group(simulator: Simulated, new_database: NewDatabase) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_behind(environ, simulator)
    known = len(simulator.requests("GET"))

    with stopped_after_the_read(environ) as first:
        second = run(environ, do="settle", once=True, lease=LONG_LEASE)
        reads = len(simulator.requests("GET")) - known
        os.kill(first.pid, signal.SIGCONT)
        end(first)
    after = run(environ, do="restart", **SENT)

    assert second is not None
    assert second["said"][0].endswith(BUSY)
    assert second["said"][1:] == ["0 settled, 1 still unknown."]
    assert reads == 1
    assert after is not None
    check(after, ORDER, simulator, before)


def test_the_lease_of_a_killed_settler_ends(simulator: Simulated, new_database: NewDatabase) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_behind(environ, simulator)

    killed = run(environ, do="settle", point="read, not checked", lease=LONG_LEASE)
    at_once = run(environ, do="settle", once=True, lease=LONG_LEASE)
    after = run(environ, do="restart", lease=LONG_LEASE, ahead=LONG_LEASE, **SENT)

    assert killed is None
    assert at_once is not None
    assert at_once["said"][0].endswith(BUSY)
    assert after is not None
    check(after, ORDER, simulator, before)
