"""Fixtures for the inventory: the worker's refresh against the simulator, with a clock that a test moves."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine

from dashboard.cloud.projects import Project
from dashboard.inventory import refresher
from dashboard.inventory.models import ProjectCopy
from dashboard.inventory.refresher import refresh_inventory
from dashboard.server_groups.fields import BY_PATH

WATCHED = tuple(BY_PATH)
START = datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still until a test moves it."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _no_reads_in_progress() -> Iterator[None]:
    yield
    refresher._refreshers.clear()


@pytest.fixture
def refresh(project: Project, clock: time_machine.Traveller) -> Callable[..., ProjectCopy]:
    """Return a function that runs the worker's job for some seconds, once a second, and returns the copy."""

    def run(seconds: int = 1) -> ProjectCopy:
        for _ in range(seconds):
            refresh_inventory(watched=WATCHED)
            clock.shift(1)
        return ProjectCopy.objects.get(slug=project.slug)

    return run
