"""`audit_archive` moves old rows to a file, all or none, and records this in the ledger."""

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from dashboard.audit.integrity import archive as archiving
from dashboard.audit.integrity import verification
from dashboard.audit.integrity.archive import RefusedError, archive
from dashboard.audit.integrity.export import all_rows, json_lines
from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.checkpoints import Checkpoint, read_checkpoints
from dashboard.audit.ledger.guards import missing_guards
from dashboard.audit.ledger.schema import GUARDED, TABLE
from dashboard.audit.ledger.services import OutcomeDetails, record_outcome
from dashboard.audit.models import ChangeIntent, Outcome, SystemEvent, TouchedField
from tests.audit.conftest import NOON, Enter
from tests.ledger import after, facts_of, grow_ledger, hash_at, numbers, run, unguarded

pytestmark = pytest.mark.django_db
People = Callable[[str], Client]
ON_POSTGRESQL = connection.vendor == "postgresql"
FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


def command(capsys: pytest.CaptureFixture[str], before: datetime, file: Path) -> str:
    capsys.readouterr()
    call_command("audit_archive", "--before", before.isoformat(), str(file))
    return capsys.readouterr().out.strip()


# Success and refusal


def test_moves_old_rows_from_the_ledger_to_the_file(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    grow_ledger(40)
    before, last_hash = list(json_lines(all_rows())), hash_at(20)

    output = command(capsys, after(20), file)

    digest = sha256(file.read_bytes()).hexdigest()
    assert output.splitlines() == [
        f"Moved 20 rows, 1 to 20, from the ledger to {file}.",
        f"SHA-256 of the file: {digest}",
    ]
    assert file.read_text().splitlines(keepends=True) == before[:20]
    assert list(json_lines(all_rows()))[:-1] == before[20:]
    assert (numbers(), missing_guards()) == ([*range(21, 42)], [])
    assert not TouchedField.objects.filter(number__lte=20).exists()
    marker = facts_of(41)
    assert (marker["kind"], marker["project"], marker["actor"]) == (
        "archived",
        "",
        f"OS user {pwd.getpwuid(os.getuid()).pw_name}",
    )
    assert marker["changes"] == [
        {"field": "archive.last_row", "label": "Last archived row", "before": None, "after": 20},
        {"field": "archive.last_hash", "label": "Its hash", "before": None, "after": last_hash},
        {"field": "archive.file_sha256", "label": "SHA-256 of the file", "before": None, "after": digest},
    ]
    assert marker["proof"] == f"Rows 1 to 20 were moved to archive.jsonl (SHA-256 {digest})."


def test_the_remaining_rows_are_intact_and_guarded(archived: Path) -> None:
    assert verify() == verification.Span(21, 41)
    assert verify(5, 10).count == 0
    assert verify(15, 30) == verification.Span(21, 30)
    assert verify(30) == verification.Span(30, 41)
    for table in GUARDED:
        with pytest.raises(DatabaseError), transaction.atomic():
            run(f"DELETE FROM {table}")


def test_the_ledger_continues_after_all_rows_were_archived(file: Path, enter: Enter) -> None:
    for _ in range(3):
        enter()

    archive(FAR_FUTURE, file, by="ops")
    enter()

    assert (numbers(), verify().count) == ([4, 5], 2)


def test_keeps_a_change_together_with_its_outcome(file: Path) -> None:
    grow_ledger(40)

    part, _ = archive(after(21), file, by="ops")

    assert (part.last, numbers()[0]) == (20, 21)


def test_keeps_a_change_with_a_late_outcome_and_all_later_rows(file: Path, enter: Enter) -> None:
    first = enter(group_id="g-1")
    late = enter(group_id="g-2", outcomes=("unknown",), at=NOON + timedelta(days=1))
    between = enter(group_id="g-3", outcomes=("unknown", "unknown"), at=NOON + timedelta(days=2))
    last = enter(group_id="g-4", at=NOON + timedelta(days=3))
    for intent in (late, between):
        record_outcome(intent, OutcomeDetails(Outcome.APPLIED, "read"))

    part, _ = archive(NOON + timedelta(days=4), file, by="ops")

    assert (part.first, part.last) == (first.number, late.number - 1)
    assert ChangeIntent.objects.filter(pk=last.number).exists()


def test_archives_nothing_while_a_change_is_unsettled(
    capsys: pytest.CaptureFixture[str], file: Path, enter: Enter
) -> None:
    enter()
    unknown = enter(outcomes=("unknown",)).number
    enter(outcomes=("unknown",))

    with pytest.raises(CommandError, match=f"change {unknown} is unsettled or under observation: settle it first"):
        command(capsys, FAR_FUTURE, file)

    assert (numbers(), file.exists()) == ([1, 2, 3], False)


def test_archives_the_rows_before_an_unsettled_change(file: Path, enter: Enter) -> None:
    enter(at=NOON)
    enter(outcomes=("unknown",), at=NOON + timedelta(days=1))

    archive(NOON + timedelta(hours=1), file, by="ops")

    assert numbers() == [2, 3]


def test_a_refused_archive_changes_nothing(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    grow_ledger(20)

    with pytest.raises(CommandError, match=r"Nothing was archived: no row is old enough\."):
        command(capsys, datetime(2020, 1, 1, tzinfo=UTC), file)
    file.write_text("of last year")
    with pytest.raises(CommandError, match="exists already"):
        command(capsys, FAR_FUTURE, file)
    with pytest.raises(CommandError, match="No such file") as failed:
        command(capsys, FAR_FUTURE, file.parent / "nowhere" / "file")

    assert (failed.value.returncode, file.read_text(), len(numbers())) == (2, "of last year", 20)


def test_does_not_archive_a_broken_ledger(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    grow_ledger(20)
    with unguarded():
        run("UPDATE ROWS SET facts = replace(facts, 'edit', 'quit') WHERE number = 3")

    with pytest.raises(CommandError, match="Nothing was archived: Row 3 was altered"):
        command(capsys, after(10), file)

    assert (len(numbers()), file.exists()) == (20, False)


def test_does_not_archive_while_a_guard_is_missing(file: Path) -> None:
    grow_ledger(4)
    run(f"DROP TRIGGER {TABLE}_refuses_delete" + (f" ON {TABLE}" if ON_POSTGRESQL else ""))

    with pytest.raises(RefusedError, match=f"{TABLE}_refuses_delete is missing, off or altered"):
        archive(FAR_FUTURE, file, by="ops")

    assert len(numbers()) == 4


def test_records_the_number_of_a_user_without_a_name(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow_ledger(2)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)

    command(capsys, FAR_FUTURE, file)

    assert SystemEvent.objects.get().actor == "OS user 4000000001"


# All or nothing


POINTS = {
    "the archive marker": f"INSERT INTO {TABLE}",
    "a guard disabled": "ALTER TABLE audit_touchedfield DISABLE" if ON_POSTGRESQL else "DROP TRIGGER audit_touched",
    "rows deleted": f"DELETE FROM {TABLE}",
    "fields deleted": "DELETE FROM audit_touchedfield",
    "a guard restored": f"ALTER TABLE {TABLE} ENABLE" if ON_POSTGRESQL else f"CREATE TRIGGER {TABLE}",
}


class Crash(Exception):  # noqa: N818 (raised only by this test)
    """Stands for the end of the process."""


@contextmanager
def crashing(statement: str, *, is_after: bool) -> Iterator[None]:
    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        is_it = sql.startswith(statement)
        if is_it and not is_after:
            raise Crash
        result = execute(sql, *rest)
        if is_it:
            raise Crash
        return result

    with connection.execute_wrapper(wrapper), pytest.raises(Crash):
        yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_leaves_all_or_nothing(file: Path, point: str, is_after: bool) -> None:
    grow_ledger(20)
    fields = TouchedField.objects.count()

    with crashing(POINTS[point], is_after=is_after):
        archive(after(10), file, by="ops")

    assert (numbers(), TouchedField.objects.count()) == ([*range(1, 21)], fields)
    assert (missing_guards(), verify().count) == ([], 20)
    archive(after(10), file.with_name("again"), by="ops")
    assert (numbers(), verify().count) == ([*range(11, 22)], 11)


def test_rolls_back_if_a_guard_is_missing_afterwards(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow_ledger(20)
    results = iter([[], ["the guard is missing"]])
    monkeypatch.setattr(archiving, "missing_guards", lambda: next(results))

    with pytest.raises(RefusedError, match="after the deletion, the guard is missing"):
        archive(after(10), file, by="ops")

    assert numbers() == [*range(1, 21)]


def test_writes_the_checkpoint_of_the_archive_marker_after_the_commit(
    file: Path, settings: Settings, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    settings.CHECKPOINT_DIRECTORY = str(file.parent)
    grow_ledger(20)

    with django_capture_on_commit_callbacks(execute=True):
        archive(after(10), file, by="ops")

    (points,) = file.parent.glob("checkpoints-*")
    assert list(read_checkpoints([points])) == [Checkpoint.of(read_head())]


def test_refuses_the_slower_of_two_archives(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow_ledger(20)
    other, read_back = file.with_name("other"), archiving._read_back

    def interrupted(path: Path, part: archiving.Part) -> str:
        monkeypatch.setattr(archiving, "_read_back", read_back)
        archive(after(6), other, by="faster")
        return read_back(path, part)

    monkeypatch.setattr(archiving, "_read_back", interrupted)
    with pytest.raises(RefusedError):
        archive(after(10), file, by="ops")

    assert (numbers(), verify().count) == ([*range(7, 22)], 15)


def test_refuses_an_archive_after_another_one_at_the_last_moment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow_ledger(20)
    delete = archiving._delete

    def interrupted(*arguments: Any, by: str) -> None:
        monkeypatch.setattr(archiving, "_delete", delete)
        archive(after(6), file.with_name("other"), by="faster")
        delete(*arguments, by=by)

    monkeypatch.setattr(archiving, "_delete", interrupted)
    with pytest.raises(RefusedError, match="another process archived rows meanwhile"):
        archive(after(10), file, by="ops")

    assert (numbers(), verify().count) == ([*range(7, 22)], 15)


def test_rows_archived_during_verification_are_not_missing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow_ledger(20)
    real = verification._rows

    def interrupted(span: verification.Span) -> Iterator[verification.Row]:
        monkeypatch.setattr(verification, "_rows", real)
        archive(after(10), file, by="ops")
        return real(span)

    monkeypatch.setattr(verification, "_rows", interrupted)

    assert verify() == verification.Span(11, 21)
