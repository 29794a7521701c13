"""The background check of the ledger, and its result on pages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from dashboard.audit.integrity import background_check
from dashboard.audit.integrity.archive import archive
from dashboard.audit.integrity.background_check import EVERYTHING_EVERY, LEASE, last_verification, run_background_check
from dashboard.audit.integrity.verification import Span, verify
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.checkpoints import Checkpoint
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.models import Verification
from dashboard.cloud.projects import Project
from tests.audit.conftest import NOON, Enter
from tests.ledger import after, grow_ledger, unguarded
from tests.markup import read, words

pytestmark = pytest.mark.django_db
LEDGER = "/projects/default/audit/"
Clock = Callable[[datetime], None]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_check, "PAUSE_SECONDS", 0)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    """The verified spans, in order."""
    spans: list[Span] = []

    def recorded(first: int, last: int, *, processes: int) -> Span:
        assert processes == 1
        spans.append(Span(first, last))
        return verify(first, last, processes=processes)

    monkeypatch.setattr(background_check, "verify", recorded)
    return spans


def tamper(statement: str) -> None:
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(statement)


def alter(number: int) -> None:
    tamper(f"UPDATE {TABLE} SET facts = replace(facts, 'edit', 'quit') WHERE number = {number}")


def found() -> tuple[int, int, int | None, str]:
    known = last_verification()
    return known.first, known.last, known.bad_number, known.problem


def test_verifies_all_rows_at_start_and_then_only_new_rows(checked: list[Span], enter: Enter) -> None:
    grow_ledger(20)

    run_background_check(started=NOON)
    run_background_check(started=NOON)
    grow = enter().number
    run_background_check(started=NOON)

    assert checked == [Span(1, 20), Span(21, grow)]
    assert found() == (1, grow, None, "")


def test_verifies_a_long_ledger_in_slices(checked: list[Span], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_check, "SLICE", 8)
    grow_ledger(20)

    run_background_check(started=NOON)

    assert checked == [Span(1, 8), Span(9, 16), Span(17, 20)]


def test_verifies_all_rows_again_after_a_day_and_after_a_new_start(checked: list[Span], at: Clock) -> None:
    grow_ledger(2)
    now = timezone.now()
    run_background_check(started=now)

    at(now + EVERYTHING_EVERY - timedelta(minutes=1))
    run_background_check(started=now)
    at(now + EVERYTHING_EVERY + timedelta(minutes=1))
    run_background_check(started=now)
    run_background_check(started=now + EVERYTHING_EVERY + timedelta(minutes=2))

    assert checked == [Span(1, 2)] * 3


@pytest.mark.parametrize(
    ("statement", "bad_number", "problem"),
    [
        (f"UPDATE {TABLE} SET facts = replace(facts, 'edit', 'quit') WHERE number = 7", 7, "altered"),
        (f"DELETE FROM {TABLE} WHERE number = 7", 7, "missing"),
        ("DELETE FROM audit_touchedfield WHERE number = 7", 7, "wrong_index"),
    ],
)
def test_a_verification_of_all_rows_finds_altered_rows(statement: str, bad_number: int, problem: str) -> None:
    grow_ledger(20)
    run_background_check(started=timezone.now())
    tamper(statement)

    run_background_check(started=timezone.now())

    assert found()[2:] == (bad_number, problem)


def test_finds_an_altered_new_row_at_once() -> None:
    grow_ledger(20)
    Verification.objects.create(last=12, everything_at=timezone.now())
    Verification.objects.update(last_hash=background_check._hash_of(12))
    alter(17)

    run_background_check(started=NOON)

    assert found()[2] == 17


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (f"DELETE FROM {TABLE} WHERE number > 16", "deleted"),
        (f"UPDATE {TABLE} SET hash = 'another' WHERE number = 20", "replaced"),
    ],
)
def test_finds_a_deleted_or_replaced_end_at_once(statement: str, problem: str, enter: Enter) -> None:
    grow_ledger(20)
    run_background_check(started=NOON)
    tamper(statement)
    tamper("DELETE FROM audit_touchedfield WHERE number > 16")

    enter()
    run_background_check(started=NOON)

    assert found()[2:] == (20, problem)


def test_archived_rows_are_not_missing(file: Path, checked: list[Span]) -> None:
    grow_ledger(40)
    run_background_check(started=NOON)
    archive(after(20), file, by="OS user ops")

    run_background_check(started=NOON)
    run_background_check(started=timezone.now())

    assert checked == [Span(1, 40), Span(41, 41), Span(21, 41)]
    assert found() == (21, 41, None, "")


def test_an_archived_end_is_not_missing(file: Path) -> None:
    grow_ledger(20)
    run_background_check(started=NOON)

    archive(datetime(2100, 1, 1, tzinfo=UTC), file, by="OS user ops")
    run_background_check(started=NOON)

    assert found()[1:3] == (21, None)


def test_a_problem_stays_until_a_verification_of_all_rows_finds_none(enter: Enter, checked: list[Span]) -> None:
    grow_ledger(20)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT facts FROM {TABLE} WHERE number = 7")
        (facts,) = cursor.fetchone()
    alter(7)
    run_background_check(started=NOON)
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET facts = %s WHERE number = 7", [facts])
    enter()

    run_background_check(started=NOON)
    before = found()[2]
    run_background_check(started=timezone.now())

    assert (before, found()) == (7, (1, 21, None, ""))


def test_only_one_process_verifies_at_a_time(checked: list[Span], at: Clock) -> None:
    grow_ledger(2)
    now = timezone.now()

    with background_check._lease() as mine:
        assert mine is not None
        run_background_check(started=now)
        mine.renew()
        assert checked == []
        at(now + LEASE + timedelta(seconds=1))
        run_background_check(started=now)

    assert checked == [Span(1, 2)]


def test_a_slow_process_does_not_end_the_lease_of_the_next(at: Clock) -> None:
    now = timezone.now()
    slow = background_check._lease()
    slow.__enter__()
    at(now + LEASE + timedelta(seconds=1))

    with background_check._lease() as next_one:
        assert next_one is not None
        slow.__exit__(None, None, None)

        assert last_verification().leased_until == next_one.until


def test_only_one_process_gets_the_lease() -> None:
    with background_check._lease() as mine, background_check._lease() as other:
        assert (mine is None, other is None) == (False, True)
        assert last_verification().leased_until is not None


def test_ignores_and_reports_a_lease_that_is_too_long(checked: list[Span], capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(2)
    Verification.objects.create(leased_until=datetime(2100, 1, 1, tzinfo=UTC))

    assert audit_verify() == 1
    assert "the background check is leased until 2100-01-01 00:00:00 UTC" in capsys.readouterr().out
    run_background_check(started=timezone.now())

    assert (checked, audit_verify()) == ([Span(1, 2)], 0)


def test_a_verification_of_many_slices_renews_its_lease(at: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    grow_ledger(20)
    now = timezone.now()
    ends: list[datetime | None] = []

    def slowly(first: int, last: int, *, processes: int) -> Span:
        ends.append(last_verification().leased_until)
        at(now + LEASE * 0.9 * len(ends))
        return verify(first, last, processes=processes)

    at(now)
    monkeypatch.setattr(background_check, "SLICE", 8)
    monkeypatch.setattr(background_check, "verify", slowly)

    run_background_check(started=NOON)

    assert ends == [now + LEASE, now + LEASE * 1.9, now + LEASE * 2.8]


def test_a_long_verification_renews_its_lease(at: Clock) -> None:
    now = timezone.now()
    at(now)
    with background_check._lease() as lease:
        assert lease is not None
        at(now + LEASE * 0.9)

        lease.renew()

        assert last_verification().leased_until == now + LEASE * 0.9 + LEASE
    assert last_verification().leased_until is None


def audit_verify(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", *arguments)
    return int(ended.value.code or 0)


def test_the_command_saves_its_result() -> None:
    grow_ledger(20)

    assert (audit_verify(), found()) == (0, (1, 20, None, ""))
    alter(7)
    assert (audit_verify("--to", "6"), found()[2]) == (0, None)
    assert (audit_verify("--from", "7"), found()[2]) == (1, None)
    assert (audit_verify(), found()[2]) == (1, 7)


def test_a_problem_from_a_checkpoint_stays_without_a_checkpoint(tmp_path: Path, checked: list[Span]) -> None:
    grow_ledger(20)
    file = _checkpoints_of_now(tmp_path)
    tamper(f"DELETE FROM {TABLE} WHERE number > 16")
    tamper("DELETE FROM audit_touchedfield WHERE number > 16")

    assert audit_verify("--checkpoint", file) == 1
    run_background_check(started=timezone.now())
    run_background_check(started=NOON)

    assert (found()[2], checked) == (20, [Span(1, 16)])
    assert (audit_verify(), found()[2]) == (0, 20)
    assert (audit_verify("--accept"), found()[2]) == (0, None)


def test_the_alarm_about_deleted_rows_stays_until_it_is_accepted() -> None:
    grow_ledger(20)
    run_background_check(started=NOON)
    tamper(f"DELETE FROM {TABLE} WHERE number > 16")
    tamper("DELETE FROM audit_touchedfield WHERE number > 16")
    run_background_check(started=timezone.now())

    assert (audit_verify(), found()[2]) == (1, 20)
    assert (audit_verify("--accept"), found()) == (0, (1, 16, None, ""))


def _checkpoints_of_now(directory: Path) -> str:
    file = directory / "checkpoints.jsonl"
    file.write_text(f"{Checkpoint.of(read_head()).line}\n")
    return str(file)


def test_verifies_although_the_result_cannot_be_saved(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise DatabaseError("attempt to write a readonly database")

    monkeypatch.setattr(background_check, "_save", fail)

    assert audit_verify() == 0
    assert "could not be saved: attempt to write a readonly database" in capsys.readouterr().err


# Pages


def chain_texts(client: Client, below: str = "") -> tuple[str, list[str]]:
    page = read(client.get(LEDGER + below))
    (foot,) = page.by_class("chain")
    return words(foot.text), [words(alert.text) for alert in page.by_class("alert-danger")]


def test_pages_show_how_far_the_ledger_is_verified(
    client_as: Callable[[str], Client], project: Project, enter: Enter
) -> None:
    client, number = client_as("auditor"), enter().number
    before = chain_texts(client)
    Verification.objects.create(last=12345, at=NOON)

    after = {below: chain_texts(client, below) for below in ("", f"{number}/", "system/", "attention/")}

    assert before == ("Ledger not verified yet.", [])
    assert set(map(str, after.values())) == {
        str(("Ledger rows 1 to 12,345 verified 14 Mar 2026, 12:00:00 UTC, intact.", []))
    }


def test_pages_show_a_broken_ledger_and_activity_shows_an_alert(
    client_as: Callable[[str], Client], project: Project
) -> None:
    Verification.objects.create(last=20, at=NOON, bad_number=1007, problem="missing")
    client = client_as("auditor")

    foot, (alert,) = chain_texts(client)

    assert foot == "Ledger BROKEN. Row 1007 is missing. Run audit_verify."
    assert alert.startswith("The ledger is broken. Row 1007 is missing.")
    assert chain_texts(client, "system/") == (foot, [])


def test_a_page_is_shown_without_the_result_of_the_verification(
    client_as: Callable[[str], Client], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Verification:
        raise DatabaseError("no such table")

    monkeypatch.setattr("dashboard.activity.templatetags.activity.last_verification", fail)

    assert chain_texts(client_as("auditor")) == ("Ledger not verified yet.", [])
