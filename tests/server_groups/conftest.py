"""What the tests of the write path share: clients with little patience, and a ledger that is read at a glance."""

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
from tests.ledger import empty_disk, fill_disk, without_table

GROUP_IDS = {seeded.sample.name: seeded.id for seeded in seed_groups(PROJECTS[PROJECT_ID], 42, 1)}
"""The simulator's groups of the first project: id by name."""


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger as a reader has it; times, numbers and durations left out."""

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
    """Lets what was signed before be that old."""
    with patch("django.core.signing.time.time", return_value=time.time() + age.total_seconds()):
        yield


@pytest.fixture(autouse=True)
def _real_ladder(_no_waiting: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody stands on the rungs below a request; as they are, a slow machine is not too late for them."""
    monkeypatch.setattr(outcome_check, "WAITS", (1.0, 2.0, 4.0, 8.0))


@pytest.fixture
def impatient(project: Project) -> Project:
    """The same project, with a client that waits for the cloud no longer than a test wants to."""
    cloud_client._clients[project] = Client(project, Limits(connect=1.0, read=0.5, whole=1.5, backoff=0.01))
    return project


@pytest.fixture
def pause(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets time pass for the ledger: what happened before is that much longer ago."""
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
    """A database in which what is written is committed, as threads and failing writes need it."""


@pytest.fixture
def broken(committed: None) -> Iterator[Callable[[str], None]]:
    """Makes the ledger refuse rows of a kind, as a full disk does."""
    kinds: list[str] = []

    def refuse_rows(kind: str) -> None:
        kinds.append(kind)
        fill_disk(kind)

    yield refuse_rows
    for kind in kinds:
        empty_disk(kind)


@pytest.fixture
def missing(committed: None) -> Iterator[Callable[[], None]]:
    """Takes the ledger's table away."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(without_table())
