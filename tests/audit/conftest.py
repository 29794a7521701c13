"""Fixtures that record entries with the ledger's services, at any time."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.utils import timezone

from dashboard.accounts.models import Actor, User
from dashboard.audit.integrity.archive import archive
from dashboard.audit.ledger.services import Attempt, Change, OutcomeDetails, record_closed, record_outcome
from dashboard.audit.models import ChangeIntent, Kind, Outcome
from tests.ledger import after, grow_ledger

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
SESSIONS = Change("route_policy.max_session", "Maximum sessions", 4, 6)
Enter = Callable[..., ChangeIntent]


def attempt(
    by: Actor,
    *changes: Change,
    key: str = "a key",
    group_id: str = "g-1",
    group_name: str = "design-pool",
    project: str = "default",
    kind: Kind = Kind.EDIT,
    reason: str = "",
) -> Attempt:
    return Attempt(
        project=project,
        group_id=group_id,
        group_name=group_name,
        changes=changes or (SESSIONS,),
        kind=kind,
        reason=reason,
        by=by,
        key=key,
    )


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the ledger's clock."""
    return lambda moment: monkeypatch.setattr(timezone, "now", lambda: moment)


@pytest.fixture
def enter(db: None, monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Records a change with its outcomes: `enter("admin", SESSIONS, outcomes=("unknown", "applied"), at=NOON)`."""
    count = 0

    def make(
        who: str = "administrator",
        *changes: Change,
        outcomes: tuple[str, ...] = ("applied",),
        at: datetime = NOON,
        error_msg: str = "",
        **options: str,
    ) -> ChangeIntent:
        nonlocal count
        count += 1
        user, _ = User.objects.get_or_create(username=who)
        entry = attempt(Actor(user, "192.0.2.7"), *changes, key=f"key {count}", **options)  # type: ignore[arg-type]
        first, *more = (
            OutcomeDetails(Outcome(outcome), f"because {outcome}", error_msg=error_msg) for outcome in outcomes
        )
        with monkeypatch.context() as patch:
            patch.setattr(timezone, "now", lambda: at)
            intent = record_closed(entry, first)
            for details in more:
                record_outcome(intent, details)
        return intent

    return make


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path for an archive file."""
    return tmp_path / "archive.jsonl"


@pytest.fixture
def archived(db: None, file: Path) -> Path:
    """Forty rows, the first twenty of them in an archive file."""
    grow_ledger(40)
    archive(after(20), file, by="OS user ops")
    return file
