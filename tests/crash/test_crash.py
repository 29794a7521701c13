"""Kill a process at each point of the write path: the ledger stays correct, and no change is sent twice.

In each case signal 9 kills a process that makes a change, and a second process starts after it. The history of the
simulator shows what was sent. The processes cannot alter it. `make test-crash` runs all combinations.
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
    ChangeForm,
    NewDatabase,
    changes_made,
    check,
    environment,
    is_shown_as_saved,
    run,
)
from tests.crash.points import POINTS

SEEDS = int(os.environ.get("CRASH_SEEDS", "0"))
"""The number of runs of each point with each change. With 0, each point and each fault runs once."""
CHANGES = ("switch", "one field", "all fields")
FAULTS: dict[str, tuple[dict[str, Any], ...]] = {
    "no fault": (),
    "response lost": (fault("drop_after_applying"),),
    "request lost": (fault("drop_before_answer"),),
    "slow": (fault("delay", delay_ms=30),),
    "refused": (fault("bad_request"),),
    # Applied after the restart and before the deadline of the call: the first read does not show the outcome.
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
    def form(self) -> ChangeForm:
        if self.change == "switch":
            return ChangeForm(SWITCH, {"server_group_status": False})
        if self.change == "all fields":
            return ChangeForm(EDIT, ALL_FIELDS)
        path = sorted(ALL_FIELDS)[(list(POINTS).index(self.point) + self.seed * len(POINTS)) % len(ALL_FIELDS)]
        return ChangeForm(EDIT, {path: ONE_BY_ONE[path]})


def cases() -> Iterator[Case]:
    """Generate the cases. The first seed has no fault, the other seeds have a random one."""
    rng = random.Random(SEEDS)  # noqa: S311 (not a secret)
    for place, point in enumerate(POINTS):
        if not SEEDS:
            yield Case(point, CHANGES[place % len(CHANGES)], "no fault")
        for change in CHANGES if SEEDS else ():
            for seed in range(SEEDS):
                yield Case(point, change, rng.choice(list(FAULTS)) if seed else "no fault", seed)
    for place, failure in enumerate(list(FAULTS)[1:]):
        yield Case("PATCH sent, response not read", CHANGES[place % len(CHANGES)], failure, SEEDS)


def test_the_cases_change_every_field() -> None:
    assert set(ALL_FIELDS) == set(BY_PATH)


@pytest.mark.parametrize(
    "case", list(cases()), ids=lambda case: f"{case.point}, {case.change}, {case.fault}, {case.seed}"
)
def test_the_ledger_is_correct_after_a_kill(case: Case, simulator: Simulated, new_database: NewDatabase) -> None:
    environ, form, before = environment(new_database(), simulator.url), case.form, simulator.group()
    sent = {"address": form.address, "fields": form.fields}
    simulator.inject(*FAULTS[case.fault])

    first = run(environ, do="change", point=case.point, **sent)
    made = changes_made(simulator)
    simulator.inject()
    after = run(environ, do="restart", **sent)

    assert after is not None
    assert first is None or case.fault != "no fault"  # without a fault, every run reaches its point
    assert first is None or not is_shown_as_saved(first["page"]) or len(made) == 1
    check(after, form, simulator, before)


@pytest.mark.parametrize(
    ("failure", "outcomes"),
    [(fault("ignored"), ["unknown"]), (fault("partial", members=["name"]), ["unknown", "conflict"])],
    ids=["not applied", "partly applied"],
)
def test_a_change_that_was_not_fully_applied_is_not_shown_as_saved(
    failure: dict[str, Any], outcomes: list[str], simulator: Simulated, new_database: NewDatabase
) -> None:
    form = ChangeForm(EDIT, {"name": "TEST", "description": "new words"})
    environ, sent = environment(new_database(), simulator.url), {"address": form.address, "fields": form.fields}
    simulator.inject(failure)

    first = run(environ, do="change", point=None, **sent)
    after = run(environ, do="restart", within=5, **sent)

    assert first is not None
    assert after is not None
    assert [row["outcome"] for row in after["rows"] if row["intent"]] == outcomes
    assert [is_shown_as_saved(page) for page in (first["page"], after["again"]["page"])] == [False, False]
    assert len(simulator.patches) == 1
