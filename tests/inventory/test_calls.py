"""The calls that a cloud receives, and the age of the copy, over a long time.

`make test` runs ten minutes with 1,000 groups. ALL_CASES adds an hour with 10,000 groups.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from dashboard.cloud.client import client_for
from dashboard.inventory.models import GroupCopy, ProjectCopy
from dashboard.inventory.refresher import refresh_inventory
from dashboard.simulator.server import SimulatorServer
from tests.conftest import DESIGN_POOL, Simulated

from .conftest import START, WATCHED
from .test_refresher import simulated_project

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Case:
    """A size, how long to run, and the largest ages in minutes that docs/inventory.md promises."""

    groups: int
    minutes: int
    groups_viewed: float
    servers_viewed: float
    groups_otherwise: float
    servers_otherwise: float


SMALL = Case(1_000, 10, groups_viewed=0.6, servers_viewed=3, groups_otherwise=6, servers_otherwise=7)
LARGE = Case(10_000, 60, groups_viewed=5, servers_viewed=34, groups_otherwise=8, servers_otherwise=22)
CASES = [SMALL, LARGE] if os.environ.get("ALL_CASES") else [SMALL]


@dataclass
class Ages:
    """The largest ages of groups and servers in one half of a run, without its first part, where ages settle."""

    groups: timedelta = timedelta()
    servers: timedelta = timedelta()

    def add(self, copy: ProjectCopy, now: datetime) -> None:
        self.groups = max(self.groups, now - (copy.groups_as_of or START))
        self.servers = max(self.servers, now - (copy.servers_as_of or START))


def run(case: Case, clock: time_machine.Traveller, *, is_viewed: bool) -> Ages:
    """Run half of the time."""
    ages = Ages()
    for second in range(case.minutes * 30):
        if is_viewed:
            ProjectCopy.objects.update(viewed_at=timezone.now())
        refresh_inventory(watched=WATCHED)
        copy = ProjectCopy.objects.get()
        if copy.servers_as_of is not None and second > case.minutes * 15:
            ages.add(copy, timezone.now())
        clock.shift(1)
    return ages


def most_in_any_minute(times: list[datetime]) -> int:
    most = first = 0
    for number, at in enumerate(times):
        while times[first] <= at - MINUTE:
            first += 1
        most = max(most, number - first + 1)
    return most


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.groups} groups")
def test_never_makes_more_calls_in_a_minute_than_the_budget(
    case: Case, settings: Settings, clock: time_machine.Traveller
) -> None:
    with SimulatorServer(groups=case.groups) as server:
        simulator = Simulated(server.url)
        settings.CLOUD_PROJECTS = (simulated_project(server.url),)
        simulator.inject({"match": {"method": "GET"}, "fault": "unavailable", "probability": 0.01})

        viewed = run(case, clock, is_viewed=True)
        otherwise = run(case, clock, is_viewed=False)
        log = simulator.requests()

    times = [datetime.fromisoformat(one["time"]) for one in log]
    assert most_in_any_minute(times) <= 90
    assert GroupCopy.objects.count() == case.groups
    assert viewed.groups <= case.groups_viewed * MINUTE
    assert viewed.servers <= case.servers_viewed * MINUTE
    assert otherwise.groups <= case.groups_otherwise * MINUTE
    assert otherwise.servers <= case.servers_otherwise * MINUTE


@pytest.mark.django_db
def test_a_live_call_does_not_wait_for_the_budget(
    simulator: Simulated, settings: Settings, clock: time_machine.Traveller
) -> None:
    project = simulated_project(simulator.url)
    settings.CLOUD_PROJECTS = (project,)
    refresh_inventory(watched=WATCHED)
    before = ProjectCopy.objects.get()

    client_for(project).update_server_group(DESIGN_POOL, {"description": "at once"})
    group = client_for(project).show_server_group(DESIGN_POOL)

    assert (int(before.calls_left), group.description) == (0, "at once")
    assert ProjectCopy.objects.get().calls_left == before.calls_left
