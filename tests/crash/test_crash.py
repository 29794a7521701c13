"""A process that writes is killed at any point: the ledger stays correct, and nothing is sent twice.

In each case signal 9 kills a process that makes a change, and a second process starts after it. The simulator's own
history, which neither process can alter, shows what was sent. `make test-crash` runs the whole matrix.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dashboard.server_groups.fields import BY_PATH
from tests.conftest import Simulated, fault
from tests.crash.dashboards import (
    ALL_FIELDS,
    EDIT,
    ONE_BY_ONE,
    SWITCH,
    NewDatabase,
    Order,
    changes_made,
    check,
    environment,
    is_said_to_be_saved,
    run,
)
from tests.crash.points import POINTS

SEEDS = int(os.environ.get("CRASH_SEEDS", "0"))
"""0: each point once, and each fault once. `make test-crash` asks for more: each point with each change, so often."""
CHANGES = ("switch", "one field", "all fields")
FAULTS: dict[str, tuple[dict[str, Any], ...]] = {
    "no fault": (),
    "response lost": (fault("drop_after_applying"),),
    "request lost": (fault("drop_before_answer"),),
    "slow": (fault("delay", delay_ms=30),),
    "refused": (fault("bad_request"),),
    # Later than the restart, and before the deadline of the call: a read at once does not show the outcome.
    "late": (fault("late", after_ms=300, answer="drop"),),
    "stale": (fault("stale_reads", "GET", times=None, seconds=0.2),),
}


@dataclass(frozen=True)
class Case:
    point: str
    change: str
    fault: str
    seed: int = 0

    @property
    def order(self) -> Order:
        if self.change == "switch":
            return Order(SWITCH, {"server_group_status": False})
        if self.change == "all fields":
            return Order(EDIT, ALL_FIELDS)
        path = sorted(ALL_FIELDS)[(list(POINTS).index(self.point) + self.seed * len(POINTS)) % len(ALL_FIELDS)]
        return Order(EDIT, {path: ONE_BY_ONE[path]})


def cases() -> Iterator[Case]:
    """The first seed has no fault, the others have any."""
    pick = random.Random(SEEDS)  # noqa: S311 (a fault, no secret)
    for place, point in enumerate(POINTS):
        if not SEEDS:
            yield Case(point, CHANGES[place % len(CHANGES)], "no fault")
        for change in CHANGES if SEEDS else ():
            for seed in range(SEEDS):
                yield Case(point, change, pick.choice(list(FAULTS)) if seed else "no fault", seed)
    for place, failure in enumerate(list(FAULTS)[1:]):
        yield Case("PATCH sent, response not read", CHANGES[place % len(CHANGES)], failure, SEEDS)


def test_all_fields_are_all_that_can_be_changed() -> None:
    assert set(ALL_FIELDS) == set(BY_PATH)


@pytest.mark.parametrize(
    "case", list(cases()), ids=lambda case: f"{case.point}, {case.change}, {case.fault}, {case.seed}"
)
def test_a_killed_write_leaves_a_correct_ledger(case: Case, simulator: Simulated, new_database: NewDatabase) -> None:
    environ, order, before = environment(new_database(), simulator.url), case.order, simulator.group()
    sent = {"address": order.address, "fields": order.fields}
    simulator.inject(*FAULTS[case.fault])

    said = run(environ, do="change", point=case.point, **sent)
    made = changes_made(simulator)
    simulator.inject()
    after = run(environ, do="restart", **sent)

    assert after is not None
    assert said is None or case.fault != "no fault"  # without a fault each point is reached
    assert said is None or not is_said_to_be_saved(said["page"]) or len(made) == 1
    check(after, order, simulator, before)


@pytest.mark.parametrize(
    ("failure", "outcomes"),
    [(fault("ignored"), ["unknown"]), (fault("partial", members=["name"]), ["unknown", "conflict"])],
    ids=["nothing applied", "a part applied"],
)
def test_a_change_that_was_not_applied_as_sent_is_never_shown_as_saved(
    failure: dict[str, Any], outcomes: list[str], simulator: Simulated, new_database: NewDatabase
) -> None:
    order = Order(EDIT, {"name": "TEST", "description": "new words"})
    environ, sent = environment(new_database(), simulator.url), {"address": order.address, "fields": order.fields}
    simulator.inject(failure)

    said = run(environ, do="change", point=None, **sent)
    after = run(environ, do="restart", within=5, **sent)

    assert said is not None
    assert after is not None
    assert [row["outcome"] for row in after["rows"] if row["intent"]] == outcomes
    assert [is_said_to_be_saved(page) for page in (said["page"], after["again"]["page"])] == [False, False]
    assert len(simulator.patches) == 1
