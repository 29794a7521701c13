"""A settling process is killed, or two run at the same time. Each change is settled once and correctly."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Simulated, fault
from tests.crash.dashboards import EDIT, ChangeForm, NewDatabase, RunningJob, begin, check, end, environment, run
from tests.crash.points import WHILE_SETTLING

HAS_ALL_CASES = "CRASH_SEEDS" in os.environ
UNSETTLED = {
    "sent": ("PATCH sent, response not read", None),
    "not sent": ("before the PATCH", None),
    "unknown": ("before the verification", fault("drop_before_answer")),
}
"""The point where the process of the change was killed, and the fault at that time."""
FORM = ChangeForm(EDIT, {"name": "TEST", "route_policy.max_session": 9})
SENT: dict[str, Any] = {"address": FORM.address, "fields": FORM.fields}
BUSY = "another process is reading the group now"
LONG_LEASE = 600
"""Seconds. Longer than a test."""


def cases() -> list[tuple[str, str, str]]:
    """Return the points, the unsettled changes and the settlers."""
    settlers = ("command", "worker")
    if HAS_ALL_CASES:
        return [(point, name, by) for point in WHILE_SETTLING for name in UNSETTLED for by in settlers]
    names = list(UNSETTLED)
    return [(point, names[place % 3], settlers[place % 2]) for place, point in enumerate(WHILE_SETTLING)]


def leave_unsettled_change(environ: dict[str, str], simulator: Simulated, name: str = "sent") -> None:
    point, failure = UNSETTLED[name]
    simulator.inject(*([failure] if failure else []))
    assert run(environ, do="change", point=point, **SENT) is None
    simulator.inject()


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@contextmanager
def stopped_after_the_read(environ: dict[str, str]) -> Iterator[RunningJob]:
    """Start a process that reads the group, holds the lease and stops until it gets SIGCONT."""
    settler = begin(environ, do="settle", point="read, not checked", signal=signal.SIGSTOP, lease=LONG_LEASE)
    try:
        wait_until(lambda: is_stopped(settler.pid))
        yield settler
    finally:
        settler.process.kill()


def is_stopped(pid: int) -> bool:
    return "State:\tT" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")


@pytest.mark.parametrize(("point", "unsettled", "by"), cases(), ids=str)
def test_a_change_is_settled_after_a_settling_process_was_killed(
    point: str, unsettled: str, by: str, simulator: Simulated, new_database: NewDatabase
) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_unsettled_change(environ, simulator, unsettled)

    killed = run(environ, do="settle", by=by, point=point)
    after = run(environ, do="restart", by=by, **SENT)

    assert killed is None
    assert after is not None
    check(after, FORM, simulator, before)


def test_only_one_of_two_settling_processes_reads_the_group(simulator: Simulated, new_database: NewDatabase) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_unsettled_change(environ, simulator)
    reads_before = len(simulator.requests("GET"))

    with stopped_after_the_read(environ) as first:
        second = run(environ, do="settle", once=True, lease=LONG_LEASE)
        reads = len(simulator.requests("GET")) - reads_before
        os.kill(first.pid, signal.SIGCONT)
        end(first)
    after = run(environ, do="restart", **SENT)

    assert second is not None
    assert second["output"][0].endswith(BUSY)
    assert second["output"][1:] == ["0 settled, 1 still unknown."]
    assert reads == 1
    assert after is not None
    check(after, FORM, simulator, before)


def test_the_lease_of_a_killed_process_ends(simulator: Simulated, new_database: NewDatabase) -> None:
    environ, before = environment(new_database(), simulator.url), simulator.group()
    leave_unsettled_change(environ, simulator)

    killed = run(environ, do="settle", point="read, not checked", lease=LONG_LEASE)
    at_once = run(environ, do="settle", once=True, lease=LONG_LEASE)
    after = run(environ, do="restart", lease=LONG_LEASE, ahead=LONG_LEASE, **SENT)

    assert killed is None
    assert at_once is not None
    assert at_once["output"][0].endswith(BUSY)
    assert after is not None
    check(after, FORM, simulator, before)
