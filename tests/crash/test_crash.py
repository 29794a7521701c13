"""Killed at any point of a write: afterwards the ledger is true, and nothing was sent twice.

Each case is a dashboard in a process of its own that dies by signal 9, a second one that starts after it, and the
simulator's own history, which neither can touch. `make test-crash` runs the whole matrix.
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
"""0: each point once, and each bad day once. `make test-crash` asks for more: each point with each change, so often."""
CHANGES = ("switch", "one field", "all fields")
FAULTS: dict[str, tuple[dict[str, Any], ...]] = {
    "a good day": (),
    "answer lost": (fault("drop_after_applying"),),
    "request lost": (fault("drop_before_answer"),),
    "slow": (fault("delay", delay_ms=30),),
    "refused": (fault("bad_request"),),
    # Later than a restart takes, sooner than a call may: whoever judges at once is wrong.
    "late": (fault("late", after_ms=700, answer="drop"),),
    "stale": (fault("stale_reads", "GET", times=None, seconds=0.2),),
}


@dataclass(frozen=True)
class Case:
    point: str
    change: str
    day: str
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
    """The first seed has a good day, the others any."""
    days = random.Random(SEEDS)  # noqa: S311 (a day, no secret)
    for place, point in enumerate(POINTS):
        if not SEEDS:
            yield Case(point, CHANGES[place % len(CHANGES)], "a good day")
        for change in CHANGES if SEEDS else ():
            for seed in range(SEEDS):
                yield Case(point, change, days.choice(list(FAULTS)) if seed else "a good day", seed)
    for place, day in enumerate(list(FAULTS)[1:]):
        yield Case("PATCH sent, answer not read", CHANGES[place % len(CHANGES)], day, SEEDS)


def test_all_fields_are_all_that_can_be_changed() -> None:
    assert set(ALL_FIELDS) == set(BY_PATH)


@pytest.mark.parametrize(
    "case", list(cases()), ids=lambda case: f"{case.point}, {case.change}, {case.day}, {case.seed}"
)
def test_whatever_dies_the_ledger_is_true(case: Case, simulator: Simulated, new_database: NewDatabase) -> None:
    environ, order, before = environment(new_database(), simulator.url), case.order, simulator.group()
    sent = {"address": order.address, "fields": order.fields}
    simulator.play(*FAULTS[case.day])

    said = run(environ, do="change", point=case.point, **sent)
    made = changes_made(simulator)
    simulator.play()
    after = run(environ, do="restart", **sent)

    assert after is not None
    assert said is None or case.day != "a good day"  # on a good day each point is reached
    assert said is None or not is_said_to_be_saved(said["page"]) or len(made) == 1
    check(after, order, simulator, before)


@pytest.mark.parametrize(
    ("bad_day", "outcomes"),
    [(fault("ignored"), ["unknown"]), (fault("partial", members=["name"]), ["unknown", "conflict"])],
    ids=["nothing of it", "a part of it"],
)
def test_what_did_not_happen_as_it_was_asked_is_never_called_saved(
    bad_day: dict[str, Any], outcomes: list[str], simulator: Simulated, new_database: NewDatabase
) -> None:
    order = Order(EDIT, {"name": "TEST", "description": "new words"})
    environ, sent = environment(new_database(), simulator.url), {"address": order.address, "fields": order.fields}
    simulator.play(bad_day)

    said = run(environ, do="change", point=None, **sent)
    after = run(environ, do="restart", within=5, **sent)

    assert said is not None
    assert after is not None
    assert [row["outcome"] for row in after["rows"] if row["intent"]] == outcomes
    assert [is_said_to_be_saved(page) for page in (said["page"], after["again"]["page"])] == [False, False]
    assert len(simulator.patches) == 1
