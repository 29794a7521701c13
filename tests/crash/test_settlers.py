"""Whoever settles may die of it, or meet another settler: in the end each change is settled once, and truly."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Simulated, fault
from tests.crash.dashboards import EDIT, NewDatabase, Order, begin, check, end, environment, run
from tests.crash.points import WHILE_SETTLING

IS_WHOLE = "CRASH_SEEDS" in os.environ
LEFT_BEHIND = {
    "sent": ("PATCH sent, answer not read", None),
    "not sent": ("before the PATCH", None),
    "unknown": ("before the proof", fault("drop_before_answer")),
}
"""Where the change that is to be settled was cut short, and on what day."""
ORDER = Order(EDIT, {"name": "TEST", "route_policy.max_session": 9})
SENT: dict[str, Any] = {"address": ORDER.address, "fields": ORDER.fields}
BUSY = "someone else is reading the group at this moment"


def cases() -> list[tuple[str, str, str]]:
    """Point, what was left behind, and who settles."""
    settlers = ("command", "worker")
    if IS_WHOLE:
        return [(point, left, by) for point in WHILE_SETTLING for left in LEFT_BEHIND for by in settlers]
    left = list(LEFT_BEHIND)
    return [(point, left[place % 3], settlers[place % 2]) for place, point in enumerate(WHILE_SETTLING)]


def leave_behind(environ: dict[str, str], simulator: Simulated, what: str = "sent") -> None:
    point, bad_day = LEFT_BEHIND[what]
    simulator.play(*([bad_day] if bad_day else []))
    assert run(environ, do="change", point=point, **SENT) is None
    simulator.play()


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


@pytest.mark.parametrize(("point", "left", "by"), cases(), ids=str)
def test_a_settler_that_dies_is_followed_by_another(
    point: str, left: str, by: str, simulator: Simulated, new_database: NewDatabase
) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_behind(environ, simulator, left)

    killed = run(environ, do="settle", by=by, point=point)
    after = run(environ, do="restart", by=by, **SENT)

    assert killed is None
    assert after is not None
    check(after, ORDER, simulator, before)


def test_of_two_settlers_one_reads_and_the_other_leaves_it(simulator: Simulated, new_database: NewDatabase) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_behind(environ, simulator)
    known = len(simulator.requests("GET"))
    simulator.play(fault("delay", "GET", delay_ms=4000))

    first = begin(environ, do="settle", lease=6)
    wait_until(lambda: len(simulator.requests("GET")) > known)
    second = run(environ, do="settle", once=True)
    reads = len(simulator.requests("GET")) - known
    end(first)
    after = run(environ, do="restart", **SENT)

    assert second is not None
    assert second["said"][0].endswith(BUSY)
    assert second["said"][1:] == ["0 settled, 1 still unknown."]
    assert reads == 1
    assert after is not None
    check(after, ORDER, simulator, before)


def test_the_lease_of_a_dead_settler_ends(simulator: Simulated, new_database: NewDatabase) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_behind(environ, simulator)
    known = len(simulator.requests("GET"))
    simulator.play(fault("delay", "GET", delay_ms=4000))

    first = begin(environ, do="settle", lease=6)
    wait_until(lambda: len(simulator.requests("GET")) > known)
    os.kill(first.pid, signal.SIGKILL)
    simulator.play()
    at_once = run(environ, do="settle", once=True)
    after = run(environ, do="restart", **SENT)

    assert end(first) is None
    assert at_once is not None
    assert at_once["said"][0].endswith(BUSY)
    assert after is not None
    check(after, ORDER, simulator, before)
