"""Random changes outside and inside the dashboard, with faults: each outside change is reported once, none is invented.

Each run has a seed. `make test` samples the seeds; ALL_CASES has all 500.
"""

import os
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db.models import F

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import ChangeUnderWayError
from dashboard.audit.models import ChangeIntent, Kind
from dashboard.cloud import client as cloud_client
from dashboard.cloud.client import Client
from dashboard.cloud.errors import CloudError
from dashboard.cloud.limits import Limits
from dashboard.cloud.projects import Project
from dashboard.inventory.models import Difference, GroupCopy, ProjectCopy
from dashboard.inventory.refresher import refresh_inventory
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.outside import record_outside_changes
from dashboard.server_groups.services import update_server_group
from dashboard.server_groups.settling import observe_due, settle_unsettled
from tests.conftest import Simulated

SEEDS = range(500) if os.environ.get("ALL_CASES") else range(0, 500, 50)
PATHS = tuple(BY_PATH)
STEPS = 25
CALM_ROUNDS = 400
FAULTS: tuple[dict[str, object], ...] = (
    {"match": {"method": "GET"}, "fault": "unavailable", "times": 4},
    {"match": {"method": "GET", "path": "*/app-server-groups"}, "fault": "shifting_list", "times": 2},
    {"match": {"method": "GET", "path": "*/app-servers*"}, "fault": "reset_before", "times": 3},
    {"match": {"method": "GET"}, "fault": "retry_after_seconds", "times": 1},
    {"match": {"method": "PATCH"}, "fault": "drop_before_answer", "times": 1},
    {"match": {"method": "PATCH"}, "fault": "ignored", "times": 1},
    {"match": {"method": "GET"}, "fault": "stale_reads", "times": 6, "seconds": 0.05},
)


@dataclass
class Run:
    """One seeded run. `outside` has every value that was set outside, `must` those that stayed long enough."""

    project: Project
    simulator: Simulated
    by: Actor
    clock: time_machine.Traveller
    random: random.Random
    groups: list[str] = field(default_factory=list)
    number: int = 200
    outside: set[tuple[str, str, object]] = field(default_factory=set)
    must: set[tuple[str, str, object]] = field(default_factory=set)

    def step(self) -> None:
        action = self.random.choice((self.change_outside, self.change_outside, self.change_inside, self.break_cloud))
        action()
        self.refresh(self.random.randrange(1, 8))
        if self.random.random() < 0.4:
            self.calm_down()

    def change_outside(self) -> None:
        group, path, value = self.random.choice(self.groups), *self._value()
        moved = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.simulator.change(group, update_time=moved, **self._members(group, path, value))
        self.outside.add((group, path, value))

    def change_inside(self) -> None:
        group, (path, value) = self.random.choice(self.groups), self._value()
        try:
            update_server_group(
                project=self.project,
                group_id=group,
                changes={path: value},
                seen=None,
                reason="",
                key=uuid.uuid4().hex,
                by=self.by,
            )
        except (CloudError, ChangeUnderWayError):
            return

    def break_cloud(self) -> None:
        self.simulator.inject(self.random.choice(FAULTS))

    def refresh(self, rounds: int) -> None:
        """Let the worker do its jobs, five seconds apart."""
        for _ in range(rounds):
            self.clock.shift(timedelta(seconds=5))
            ProjectCopy.objects.filter(pk=self.project.slug).update(viewed_at=datetime.now(UTC))
            refresh_inventory(watched=PATHS)
            list(settle_unsettled())
            list(observe_due())
            record_outside_changes()

    def calm_down(self) -> None:
        """End the faults and refresh until two complete reads agree. What an outside change set last is then due."""
        self.simulator.inject()
        begun = datetime.now(UTC)
        for _ in range(CALM_ROUNDS):
            self.refresh(1)
            if self._is_calm(begun):
                break
        else:
            pytest.fail("the copy did not settle")
        current = {group: self.simulator.group(group) for group in self.groups}
        self.must |= {row for row in self.outside if _value_of(current[row[0]], row[1]) == row[2]}

    def _is_calm(self, since: datetime) -> bool:
        copies = GroupCopy.objects.filter(project=self.project.slug, group_id__in=self.groups)
        return (
            ProjectCopy.objects.filter(pk=self.project.slug, groups_as_of__gt=since + timedelta(seconds=40)).exists()
            and not copies.exclude(details_update_time=F("update_time")).exists()
            and not copies.exclude(suspected={}).exists()
            and not Difference.objects.exists()
        )

    def _value(self) -> tuple[str, str | int]:
        """A field, and a value that no other change of the run sets."""
        self.number += 1
        path = self.random.choice(("name", "description", "system_disk_size", "route_policy.max_session"))
        return path, self.number if path in {"system_disk_size", "route_policy.max_session"} else f"run-{self.number}"

    def _members(self, group: str, path: str, value: object) -> dict[str, object]:
        parent, _, child = path.rpartition(".")
        return {parent: {**self.simulator.group(group)[parent], child: value}} if parent else {path: value}


def _value_of(group: dict[str, object], path: str) -> object:
    value: object = group
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(datetime.now(UTC), tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def patient(project: Project) -> Project:
    """The same project with a client that does not wait long before it tries again."""
    cloud_client._clients[project] = Client(project, Limits(backoff=0.001))
    return project


def _reported() -> list[tuple[str, str, object]]:
    entries = ChangeIntent.objects.filter(kind=Kind.OUTSIDE).with_rows()
    return [(entry.group_id, row.field, row.after) for entry in entries for row in entry.fields.all()]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", SEEDS)
def test_each_outside_change_is_reported_once_and_none_is_invented(
    seed: int,
    patient: Project,
    simulator: Simulated,
    acting: Callable[[str], Actor],
    clock: time_machine.Traveller,
) -> None:
    chosen = random.Random(seed)  # noqa: S311 (a seeded run, no secret)
    run = Run(patient, simulator, acting("administrator"), clock, chosen)
    run.refresh(20)
    routed = GroupCopy.objects.exclude(max_session=None).order_by("group_id")
    run.groups = chosen.sample(list(routed.values_list("group_id", flat=True)), 4)
    run.calm_down()

    for _ in range(STEPS):
        run.step()
    run.calm_down()

    reported = _reported()
    assert len(reported) == len(set(reported))
    assert set(reported) <= run.outside
    assert run.must <= set(reported)
    for group in run.groups:
        shown = GroupCopy.objects.get(project=patient.slug, group_id=group).group
        actual = simulator.group(group)
        assert {path: shown.value(path) for path in PATHS} == {path: _value_of(actual, path) for path in PATHS}
