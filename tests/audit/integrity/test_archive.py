"""Old rows go into a file and out of the ledger, all or none, and what remains tells so to whoever checks it."""

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
FAR_AWAY = datetime(2100, 1, 1, tzinfo=UTC)


def command(capsys: pytest.CaptureFixture[str], before: datetime, file: Path) -> str:
    capsys.readouterr()
    call_command("audit_archive", "--before", before.isoformat(), str(file))
    return capsys.readouterr().out.strip()


# What it does


def test_old_rows_are_in_the_file_and_no_longer_in_the_ledger(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    grow_ledger(40)
    before, last_hash = list(json_lines(all_rows())), hash_at(20)

    told = command(capsys, after(20), file)

    digest = sha256(file.read_bytes()).hexdigest()
    assert told.splitlines() == [
        f"20 rows, 1 to 20: in {file}, and no longer in the ledger.",
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
    assert marker["proof"] == f"Rows 1 to 20 are in archive.jsonl now, whose SHA-256 is {digest}."


def test_what_remains_is_intact_and_still_refuses_to_be_deleted(archived: Path) -> None:
    assert verify() == verification.Span(21, 41)
    assert verify(5, 10).count == 0
    assert verify(15, 30) == verification.Span(21, 30)
    assert verify(30) == verification.Span(30, 41)
    for table in GUARDED:
        with pytest.raises(DatabaseError), transaction.atomic():
            run(f"DELETE FROM {table}")


def test_the_ledger_goes_on_after_everything_was_archived(file: Path, enter: Enter) -> None:
    for _ in range(3):
        enter()

    archive(FAR_AWAY, file, by="ops")
    enter()

    assert (numbers(), verify().count) == ([4, 5], 2)


def test_a_change_keeps_what_came_of_it(file: Path) -> None:
    grow_ledger(40)

    part, _ = archive(after(21), file, by="ops")

    assert (part.last, numbers()[0]) == (20, 21)


def test_a_change_whose_outcome_came_late_stays_with_all_that_came_after_it(file: Path, enter: Enter) -> None:
    first = enter(group_id="g-1")
    late = enter(group_id="g-2", outcomes=("unknown",), at=NOON + timedelta(days=1))
    between = enter(group_id="g-3", outcomes=("unknown", "unknown"), at=NOON + timedelta(days=2))
    last = enter(group_id="g-4", at=NOON + timedelta(days=3))
    for intent in (late, between):
        record_outcome(intent, OutcomeDetails(Outcome.APPLIED, "read"))

    part, _ = archive(NOON + timedelta(days=4), file, by="ops")

    assert (part.first, part.last) == (first.number, late.number - 1)
    assert ChangeIntent.objects.filter(pk=last.number).exists()


def test_nothing_is_archived_while_nobody_knows_what_came_of_a_change(
    capsys: pytest.CaptureFixture[str], file: Path, enter: Enter
) -> None:
    enter()
    unknown = enter(outcomes=("unknown",)).number
    enter(outcomes=("unknown",))

    with pytest.raises(CommandError, match=f"change {unknown} is unsettled or under observation: settle it first"):
        command(capsys, FAR_AWAY, file)

    assert (numbers(), file.exists()) == ([1, 2, 3], False)


def test_an_unsettled_change_after_the_last_row_is_no_hindrance(file: Path, enter: Enter) -> None:
    enter(at=NOON)
    enter(outcomes=("unknown",), at=NOON + timedelta(days=1))

    archive(NOON + timedelta(hours=1), file, by="ops")

    assert numbers() == [2, 3]


def test_what_cannot_be_done_is_said_and_changes_nothing(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    grow_ledger(20)

    with pytest.raises(CommandError, match=r"Nothing was archived: no row is old enough\."):
        command(capsys, datetime(2020, 1, 1, tzinfo=UTC), file)
    file.write_text("of last year")
    with pytest.raises(CommandError, match="is there already"):
        command(capsys, FAR_AWAY, file)
    with pytest.raises(CommandError, match="No such file") as failed:
        command(capsys, FAR_AWAY, file.parent / "nowhere" / "file")

    assert (failed.value.returncode, file.read_text(), len(numbers())) == (2, "of last year", 20)


def test_a_ledger_that_is_broken_is_not_archived(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    grow_ledger(20)
    with unguarded():
        run("UPDATE ROWS SET facts = replace(facts, 'edit', 'quit') WHERE number = 3")

    with pytest.raises(CommandError, match="Nothing was archived: Row 3 was altered"):
        command(capsys, after(10), file)

    assert (len(numbers()), file.exists()) == (20, False)


def test_a_guard_that_is_missing_is_not_put_back_in_silence(file: Path) -> None:
    grow_ledger(4)
    run(f"DROP TRIGGER {TABLE}_refuses_delete" + (f" ON {TABLE}" if ON_POSTGRESQL else ""))

    with pytest.raises(RefusedError, match=f"{TABLE}_refuses_delete is missing, off or altered"):
        archive(FAR_AWAY, file, by="ops")

    assert len(numbers()) == 4


def test_someone_without_a_name_is_called_by_number(
    capsys: pytest.CaptureFixture[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow_ledger(2)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_001)

    command(capsys, FAR_AWAY, file)

    assert SystemEvent.objects.get().actor == "OS user 4000000001"


# All or nothing


POINTS = {
    "the archive marker": f"INSERT INTO {TABLE}",
    "a guard taken off": "ALTER TABLE audit_touchedfield DISABLE" if ON_POSTGRESQL else "DROP TRIGGER audit_touched",
    "rows deleted": f"DELETE FROM {TABLE}",
    "fields deleted": "DELETE FROM audit_touchedfield",
    "a guard put back": f"ALTER TABLE {TABLE} ENABLE" if ON_POSTGRESQL else f"CREATE TRIGGER {TABLE}",
}


class Crash(Exception):  # noqa: N818 (it is none of ours)
    """The process ends here."""


@contextmanager
def crashing(statement: str, *, is_after: bool) -> Iterator[None]:
    def wrapper(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        is_it = sql.startswith(statement)
        if is_it and not is_after:
            raise Crash
        answer = execute(sql, *rest)
        if is_it:
            raise Crash
        return answer

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


def test_a_guard_that_did_not_come_back_undoes_it_all(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow_ledger(20)
    answers = iter([[], ["the guard is missing"]])
    monkeypatch.setattr(archiving, "missing_guards", lambda: next(answers))

    with pytest.raises(RefusedError, match="afterwards the guard is missing"):
        archive(after(10), file, by="ops")

    assert numbers() == [*range(1, 21)]


def test_the_checkpoint_of_the_archive_marker_is_kept_only_when_it_is_there(
    file: Path, settings: Settings, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    settings.CHECKPOINT_DIRECTORY = str(file.parent)
    grow_ledger(20)

    with django_capture_on_commit_callbacks(execute=True):
        archive(after(10), file, by="ops")

    (points,) = file.parent.glob("checkpoints-*")
    assert list(read_checkpoints([points])) == [Checkpoint.of(read_head())]


def test_of_two_at_once_one_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow_ledger(20)
    other, read_back = file.with_name("other"), archiving._read_back

    def overtaken(path: Path, part: archiving.Part) -> str:
        monkeypatch.setattr(archiving, "_read_back", read_back)
        archive(after(6), other, by="faster")
        return read_back(path, part)

    monkeypatch.setattr(archiving, "_read_back", overtaken)
    with pytest.raises(RefusedError):
        archive(after(10), file, by="ops")

    assert (numbers(), verify().count) == ([*range(7, 22)], 15)


def test_of_two_at_the_very_end_one_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grow_ledger(20)
    take_out = archiving._take_out

    def overtaken(*arguments: Any, by: str) -> None:
        monkeypatch.setattr(archiving, "_take_out", take_out)
        archive(after(6), file.with_name("other"), by="faster")
        take_out(*arguments, by=by)

    monkeypatch.setattr(archiving, "_take_out", overtaken)
    with pytest.raises(RefusedError, match="someone else archived rows meanwhile"):
        archive(after(10), file, by="ops")

    assert (numbers(), verify().count) == ([*range(7, 22)], 15)


def test_rows_archived_while_the_ledger_is_verified_are_not_missing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow_ledger(20)
    real = verification._rows

    def overtaken(span: verification.Span) -> Iterator[verification.Row]:
        monkeypatch.setattr(verification, "_rows", real)
        archive(after(10), file, by="ops")
        return real(span)

    monkeypatch.setattr(verification, "_rows", overtaken)

    assert verify() == verification.Span(11, 21)
