"""The ledger is checked while the dashboard serves, and its pages say what was found."""

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
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_check, "REST_SECONDS", 0)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    """The spans that were checked, in order."""
    spans: list[Span] = []

    def watched(first: int, last: int, *, processes: int) -> Span:
        assert processes == 1
        spans.append(Span(first, last))
        return verify(first, last, processes=processes)

    monkeypatch.setattr(background_check, "verify", watched)
    return spans


def spoil(statement: str) -> None:
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(statement)


def alter(number: int) -> None:
    spoil(f"UPDATE {TABLE} SET facts = replace(facts, 'edit', 'quit') WHERE number = {number}")


def found() -> tuple[int, int, int | None, str]:
    known = last_verification()
    return known.first, known.last, known.bad_number, known.why


def test_everything_is_checked_at_start_and_then_only_what_is_new(checked: list[Span], enter: Enter) -> None:
    grow_ledger(20)

    run_background_check(started=NOON)
    run_background_check(started=NOON)
    grow = enter().number
    run_background_check(started=NOON)

    assert checked == [Span(1, 20), Span(21, grow)]
    assert found() == (1, grow, None, "")


def test_a_long_ledger_is_checked_in_slices(checked: list[Span], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_check, "SLICE", 8)
    grow_ledger(20)

    run_background_check(started=NOON)

    assert checked == [Span(1, 8), Span(9, 16), Span(17, 20)]


def test_everything_is_checked_again_once_a_day_and_after_a_new_start(checked: list[Span], at: Clock) -> None:
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
    ("statement", "bad_number", "why"),
    [
        (f"UPDATE {TABLE} SET facts = replace(facts, 'edit', 'quit') WHERE number = 7", 7, "was altered"),
        (f"DELETE FROM {TABLE} WHERE number = 7", 7, "is missing"),
        ("DELETE FROM audit_touchedfield WHERE number = 7", 7, "is not found by the fields it touches"),
    ],
)
def test_a_check_of_everything_finds_what_was_spoilt(statement: str, bad_number: int, why: str) -> None:
    grow_ledger(20)
    run_background_check(started=timezone.now())
    spoil(statement)

    run_background_check(started=timezone.now())

    assert (found()[2], found()[3][: len(why)]) == (bad_number, why)


def test_a_new_row_that_is_not_right_is_found_at_once() -> None:
    grow_ledger(20)
    Verification.objects.create(last=12, everything_at=timezone.now())
    Verification.objects.update(last_hash=background_check._hash_of(12))
    alter(17)

    run_background_check(started=NOON)

    assert found()[2] == 17


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        (f"DELETE FROM {TABLE} WHERE number > 16", "was verified before and is missing"),
        (f"UPDATE {TABLE} SET hash = 'another' WHERE number = 20", "is not the row that was verified before"),
    ],
)
def test_an_end_that_was_cut_off_or_replaced_is_found_at_once(statement: str, why: str, enter: Enter) -> None:
    grow_ledger(20)
    run_background_check(started=NOON)
    spoil(statement)
    spoil("DELETE FROM audit_touchedfield WHERE number > 16")

    enter()
    run_background_check(started=NOON)

    assert (found()[2], found()[3]) == (20, why)


def test_what_was_archived_is_not_missing(file: Path, checked: list[Span]) -> None:
    grow_ledger(40)
    run_background_check(started=NOON)
    archive(after(20), file, by="OS user ops")

    run_background_check(started=NOON)
    run_background_check(started=timezone.now())

    assert checked == [Span(1, 40), Span(41, 41), Span(21, 41)]
    assert found() == (21, 41, None, "")


def test_an_end_that_was_archived_is_not_cut_off(file: Path) -> None:
    grow_ledger(20)
    run_background_check(started=NOON)

    archive(datetime(2100, 1, 1, tzinfo=UTC), file, by="OS user ops")
    run_background_check(started=NOON)

    assert found()[1:3] == (21, None)


def test_what_was_broken_stays_so_until_a_check_of_everything_finds_it_intact(
    enter: Enter, checked: list[Span]
) -> None:
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


def test_one_process_checks_at_a_time(checked: list[Span], at: Clock) -> None:
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


def test_who_was_too_slow_does_not_end_the_lease_of_the_next(at: Clock) -> None:
    now = timezone.now()
    slow = background_check._lease()
    slow.__enter__()
    at(now + LEASE + timedelta(seconds=1))

    with background_check._lease() as next_one:
        assert next_one is not None
        slow.__exit__(None, None, None)

        assert last_verification().leased_until == next_one.until


def test_a_lease_that_is_held_is_given_to_nobody_else() -> None:
    with background_check._lease() as mine, background_check._lease() as other:
        assert (mine is None, other is None) == (False, True)
        assert last_verification().leased_until is not None


def test_a_lease_longer_than_any_lease_stops_nobody_and_is_reported(
    checked: list[Span], capsys: pytest.CaptureFixture[str]
) -> None:
    grow_ledger(2)
    Verification.objects.create(leased_until=datetime(2100, 1, 1, tzinfo=UTC))

    assert audit_verify() == 1
    assert "the background check is leased until 2100-01-01 00:00:00 UTC" in capsys.readouterr().out
    run_background_check(started=timezone.now())

    assert (checked, audit_verify()) == ([Span(1, 2)], 0)


def test_a_check_of_many_slices_keeps_its_lease(at: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_long_check_keeps_its_lease(at: Clock) -> None:
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


def test_the_command_notes_what_it_finds() -> None:
    grow_ledger(20)

    assert (audit_verify(), found()) == (0, (1, 20, None, ""))
    alter(7)
    assert (audit_verify("--to", "6"), found()[2]) == (0, None)
    assert (audit_verify("--from", "7"), found()[2]) == (1, None)
    assert (audit_verify(), found()[2]) == (1, 7)


def test_what_only_a_checkpoint_tells_is_not_taken_back_without_one(tmp_path: Path, checked: list[Span]) -> None:
    grow_ledger(20)
    file = _checkpoints_of_now(tmp_path)
    spoil(f"DELETE FROM {TABLE} WHERE number > 16")
    spoil("DELETE FROM audit_touchedfield WHERE number > 16")

    assert audit_verify("--checkpoint", file) == 1
    run_background_check(started=timezone.now())
    run_background_check(started=NOON)

    assert (found()[2], checked) == (20, [Span(1, 16)])
    assert (audit_verify(), found()[2]) == (0, 20)
    assert (audit_verify("--accept"), found()[2]) == (0, None)


def test_an_end_that_was_cut_off_stays_an_alarm_until_someone_accepts_the_ledger_as_it_is() -> None:
    grow_ledger(20)
    run_background_check(started=NOON)
    spoil(f"DELETE FROM {TABLE} WHERE number > 16")
    spoil("DELETE FROM audit_touchedfield WHERE number > 16")
    run_background_check(started=timezone.now())

    assert (audit_verify(), found()[2]) == (1, 20)
    assert (audit_verify("--accept"), found()) == (0, (1, 16, None, ""))


def _checkpoints_of_now(directory: Path) -> str:
    file = directory / "checkpoints.jsonl"
    file.write_text(f"{Checkpoint.of(read_head()).line}\n")
    return str(file)


def test_who_cannot_note_it_verifies_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise DatabaseError("attempt to write a readonly database")

    monkeypatch.setattr(background_check, "_note", fail)

    assert audit_verify() == 0
    assert "could not be noted: attempt to write a readonly database" in capsys.readouterr().err


# What pages say


def said_of_chain(client: Client, below: str = "") -> tuple[str, list[str]]:
    page = read(client.get(LEDGER + below))
    (foot,) = page.by_class("chain")
    return words(foot.text), [words(alert.text) for alert in page.by_class("alert-danger")]


def test_pages_say_how_far_the_ledger_is_verified(
    client_as: Callable[[str], Client], project: Project, enter: Enter
) -> None:
    client, number = client_as("auditor"), enter().number
    before = said_of_chain(client)
    Verification.objects.create(last=12345, at=NOON)

    after = {below: said_of_chain(client, below) for below in ("", f"{number}/", "system/", "attention/")}

    assert before == ("Ledger not verified yet.", [])
    assert set(map(str, after.values())) == {
        str(("Ledger rows 1 to 12,345 verified 14 Mar 2026, 12:00:00 UTC, intact.", []))
    }


def test_a_broken_ledger_is_said_to_be_broken_and_the_activity_begins_with_it(
    client_as: Callable[[str], Client], project: Project
) -> None:
    Verification.objects.create(last=20, at=NOON, bad_number=1007, why="is missing")
    client = client_as("auditor")

    foot, (alert,) = said_of_chain(client)

    assert foot == "Ledger BROKEN at row 1,007: it is missing; run audit_verify."
    assert alert.startswith("The ledger is broken at row 1,007. It is missing.")
    assert said_of_chain(client, "system/") == (foot, [])


def test_a_page_stays_up_where_nobody_can_tell(
    client_as: Callable[[str], Client], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Verification:
        raise DatabaseError("no such table")

    monkeypatch.setattr("dashboard.activity.templatetags.activity.last_verification", fail)

    assert said_of_chain(client_as("auditor")) == ("Ledger not verified yet.", [])
