"""Fixtures of the write path tests: clients with short timeouts, a movable clock, and a compact view of the ledger."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.utils import timezone

from dashboard.audit.models import ChangeIntent
from dashboard.cloud import client as cloud_client
from dashboard.cloud.client import Client
from dashboard.cloud.limits import Limits
from dashboard.cloud.projects import Project
from dashboard.server_groups import outcome_check
from dashboard.simulator.catalogue import PROJECTS
from dashboard.simulator.data import seed_groups
from tests.conftest import PROJECT_ID
from tests.inventory_copy import CopyBeforeLists, copy_everything
from tests.ledger import empty_disk, fill_disk, without_table

GROUP_IDS = {seeded.sample.name: seeded.id for seeded in seed_groups(PROJECTS[PROJECT_ID], 42, 1)}
"""The simulator's groups of the first project: id by name."""


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger without times, numbers and durations."""

    kind: str
    actor: str
    group: str
    changes: dict[str, tuple[Any, Any]]
    outcomes: list[str]
    reason: str = ""


def entry_of(intent: ChangeIntent) -> Entry:
    return Entry(
        kind=intent.kind,
        actor=intent.actor,
        group=intent.group_name,
        changes={row.field: (row.before, row.after) for row in intent.fields.all()},
        outcomes=[row.outcome for row in intent.outcomes.all()],
        reason=intent.reason,
    )


def ledger() -> list[Entry]:
    """Every entry, oldest first."""
    return [entry_of(intent) for intent in ChangeIntent.objects.order_by("number")]


@contextmanager
def later(age: timedelta) -> Iterator[None]:
    """Let signatures be this much older."""
    with patch("django.core.signing.time.time", return_value=time.time() + age.total_seconds()):
        yield


@pytest.fixture(autouse=True)
def _real_waits(_no_waiting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the real waits of settling. No test waits for them, and a slow machine is not too late for them."""
    monkeypatch.setattr(outcome_check, "WAITS", (1.0, 2.0, 4.0, 8.0))


@pytest.fixture
def impatient(project: Project) -> Project:
    """The same project with a client that has short timeouts."""
    cloud_client._clients[project] = Client(project, Limits(connect=1.0, read=0.5, whole=1.5, backoff=0.01))
    return project


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Move the clock of the ledger forward."""
    passed = [timedelta()]
    real = timezone.now

    def later() -> datetime:
        return real() + passed[0]

    def let(time: timedelta) -> None:
        passed[0] += time

    monkeypatch.setattr(timezone, "now", later)
    return let


@pytest.fixture
def committed(transactional_db: None) -> None:
    """A database with real commits, for threads and failing writes."""


@pytest.fixture
def broken(committed: None) -> Iterator[Callable[[str], None]]:
    """Let the ledger refuse rows of a kind, like a full disk."""
    kinds: list[str] = []

    def refuse_rows(kind: str) -> None:
        kinds.append(kind)
        fill_disk(kind)

    yield refuse_rows
    for kind in kinds:
        empty_disk(kind)


@pytest.fixture
def missing(committed: None) -> Iterator[Callable[[], None]]:
    """Remove the ledger's table."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(without_table())


@pytest.fixture
def without_copying(project: Project, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy as it is now. Later views of the list do not read the cloud first, as in production."""
    copy_everything(project)
    monkeypatch.setattr(CopyBeforeLists, "is_on", False)
