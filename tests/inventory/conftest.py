"""Fixtures for the inventory: the worker's refresh with the simulator, and a clock that only a test moves."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.utils import timezone

from dashboard.cloud.projects import Project
from dashboard.inventory import refresher
from dashboard.inventory.models import ProjectCopy
from dashboard.inventory.refresher import refresh_inventory
from dashboard.server_groups.fields import BY_PATH

WATCHED = tuple(BY_PATH)
START = datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)

Refresh = Callable[..., ProjectCopy]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _no_reads_in_progress() -> Iterator[None]:
    yield
    refresher._refreshers.clear()


@pytest.fixture
def refresh(project: Project, clock: time_machine.Traveller) -> Refresh:
    """Return a function that runs the worker's job once a second, and returns the copy.

    With `is_viewed`, someone looks at the list all the time.
    """

    def run(seconds: int = 1, *, is_viewed: bool = False) -> ProjectCopy:
        for _ in range(seconds):
            if is_viewed:
                ProjectCopy.objects.filter(slug=project.slug).update(viewed_at=timezone.now())
            refresh_inventory(watched=WATCHED)
            clock.shift(1)
        return ProjectCopy.objects.get(slug=project.slug)

    return run
