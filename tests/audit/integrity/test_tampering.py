"""Who owns the database can get past its guards. What they do then is found, by both verifiers where each can."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from dashboard.audit.integrity import verify_export
from dashboard.audit.integrity.archive_markers import FIELDS, LABELS
from dashboard.audit.integrity.confirmation import check_against
from dashboard.audit.integrity.export import all_rows, json_lines
from dashboard.audit.integrity.verification import BrokenError, verify
from dashboard.audit.ledger.chain import Head, audit_key, canonical, hash_of, mac_of, read_head
from dashboard.audit.ledger.checkpoints import Checkpoint
from dashboard.audit.ledger.guards import missing_guards
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.ledger.services import leased, list_unsettled
from dashboard.audit.models import OpenChange
from tests.audit.conftest import NOON, Enter
from tests.audit.integrity.test_export import verified
from tests.ledger import UNSETTLED, facts_of, grow_ledger, hash_at, run, unguarded

ROWS = int(os.environ.get("LEDGER_ROWS", "300"))
"""`make test-crash` takes 100,000."""
PLACES = 2
Facts = dict[str, Any]
Found = tuple[int, str]
ON_POSTGRESQL = connection.vendor == "postgresql"


def put(number: int, facts: Facts) -> None:
    run("UPDATE ROWS SET facts = %s WHERE number = %s", canonical(facts), number)


def seal(number: int, facts: Facts, *, key: bool) -> None:
    """Facts with a hash that is theirs, and with the key also the MAC."""
    put(number, facts)
    digest = hash_of(canonical(facts))
    run("UPDATE ROWS SET hash = %s WHERE number = %s", digest, number)
    if key:
        run("UPDATE ROWS SET mac = %s WHERE number = %s", mac_of(digest), number)


def rewrite_from(number: int, *, key: bool, **changed: object) -> None:
    """This row changed, and every later one made to follow from it."""
    last = read_head().number
    for place in range(number, min(last, number + 40) + 1):
        facts = facts_of(place) | (changed if place == number else {})
        seal(place, facts | {"previous_hash": hash_at(place - 1)}, key=key)


def delete(first: int, last: int) -> None:
    run("DELETE FROM ROWS WHERE number BETWEEN %s AND %s", first, last)


def exchange(number: int) -> None:
    exchanged = [facts_of(number) | {"number": number + 1}, facts_of(number + 1) | {"number": number}]
    for facts in sorted(exchanged, key=lambda facts: bool(facts["key"])):  # no key may be there twice on the way
        put(facts["number"], facts)


def close_the_gap(number: int) -> None:
    delete(number, number)
    last = facts_of(number + 1)
    run(
        "INSERT INTO ROWS (number, facts, hash, mac) SELECT %s, %s, hash, mac FROM ROWS WHERE number = %s",
        number,
        canonical(last | {"number": number, "key": None}),
        number + 1,
    )


def forge_next(_number: int) -> None:
    head = read_head()
    facts = facts_of(head.number) | {"number": head.number + 1, "previous_hash": head.hash, "key": None, "intent": None}
    text = canonical(facts)
    run(
        "INSERT INTO ROWS (number, facts, hash, mac) VALUES (%s, %s, %s, %s)",
        head.number + 1,
        text,
        hash_of(text),
        "0" * 64,
    )


@dataclass(frozen=True)
class Way:
    """`at` is the row that has to be named, counted from the spoilt one; None for the one after the last."""

    spoil: Callable[[int], object]
    at: int | None = 0
    needs_key: bool = False
    """The export alone does not tell: the key has to be at hand."""


def changed(name: str, value: object) -> Callable[[int], None]:
    return lambda number: put(number, facts_of(number) | {name: value})


def with_hash(**members: object) -> Callable[[int], None]:
    return lambda number: seal(number, facts_of(number) | members, key=False)


WAYS = {
    "another value": Way(changed("changes", [{"field": "name", "label": "Name", "before": 1, "after": 2}])),
    "another person": Way(changed("actor", "mallory")),
    "another outcome": Way(changed("outcome", "not_applied")),
    "an error hidden": Way(changed("error_msg", "none at all")),
    "fields exchanged": Way(
        lambda n: put(n, facts_of(n) | {"actor": facts_of(n)["reason"], "reason": facts_of(n)["actor"]})
    ),
    "a member added": Way(changed("approved", True)),
    "another value with a new hash": Way(with_hash(reason="as agreed"), needs_key=True),
    "time moved": Way(changed("at", "2026-01-01T00:00:00.000000Z")),
    "time moved with a new hash": Way(with_hash(at="2025-01-01T00:00:00.000000Z")),
    "number used again": Way(lambda n: put(n + 1, facts_of(n) | {"number": n + 1, "key": None}), at=1),
    "two rows exchanged": Way(exchange),
    "one row taken out": Way(lambda n: delete(n, n)),
    "some rows taken out": Way(lambda n: delete(n, n + 4)),
    "taken out and closed up": Way(close_the_gap),
    "another row's hash": Way(lambda n: run("UPDATE ROWS SET hash = %s WHERE number = %s", hash_at(n - 1), n)),
    "another MAC": Way(lambda n: run("UPDATE ROWS SET mac = %s WHERE number = %s", "f" * 64, n), needs_key=True),
    "tied to another row": Way(lambda n: seal(n, facts_of(n) | {"previous_hash": hash_at(n - 2)}, key=True)),
    "rewritten without the key": Way(lambda n: rewrite_from(n, key=False, actor="mallory"), needs_key=True),
    "a forged row at the end": Way(forge_next, at=None, needs_key=True),
}


@pytest.fixture
def places(db: None) -> list[int]:
    grow_ledger(ROWS)
    verify(processes=1)
    return [Random(seed).randrange(3, ROWS - 60) for seed in range(PLACES)]  # noqa: S311 (places, no secret)


def second_verifier(*, key: bytes = b"", known: dict[int, str] | None = None) -> str:
    """What it says against an export of the ledger; an empty text when it finds nothing."""
    try:
        verify_export.check(json_lines(all_rows()), key, known or {}, is_filtered=False)
    except verify_export.Broken as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", WAYS)
def test_what_is_spoilt_is_found_at_its_place(places: list[int], name: str) -> None:
    way, last = WAYS[name], ROWS
    for place in places:
        expected = last + 1 if way.at is None else place + way.at
        with transaction.atomic():
            with unguarded():
                way.spoil(place)

            with pytest.raises(BrokenError) as broken:
                verify(processes=1)
            told, told_with_key = second_verifier(), second_verifier(key=audit_key())

            transaction.set_rollback(True)
        assert broken.value.number == expected
        assert f"row {expected} " in told_with_key
        assert bool(told) or way.needs_key
    assert (verify(processes=1).count, second_verifier(key=audit_key())) == (ROWS, "")


@pytest.mark.parametrize("cut", [1, 2, 37])
def test_a_tail_that_was_cut_off_or_an_old_copy_put_back_is_found_by_a_checkpoint(places: list[int], cut: int) -> None:
    kept = Checkpoint.of(read_head())
    with unguarded():
        delete(ROWS - cut + 1, ROWS)
        run("DELETE FROM audit_touchedfield WHERE number > %s", ROWS - cut)
        run(  # else a change that lost its outcome would give the cut away
            "INSERT INTO audit_openchange (number, project, group_id, begun_at) SELECT number, project, group_id, at "
            "FROM audit_changeintent AS i WHERE NOT EXISTS (SELECT 1 FROM audit_changeoutcome AS o WHERE "
            "o.intent_id = i.number AND o.outcome <> 'unknown') AND number NOT IN (SELECT number FROM audit_openchange)"
        )

    assert verify(processes=1).last == ROWS - cut
    assert second_verifier(key=audit_key()) == ""
    with pytest.raises(BrokenError, match="the end was cut off"):
        check_against([kept])
    assert "the end was cut off" in second_verifier(known={kept.number: kept.hash})


def test_a_ledger_rewritten_with_the_key_is_found_by_a_checkpoint(db: None) -> None:
    grow_ledger(60)
    kept = [Checkpoint.of(read_head())]
    with unguarded():
        rewrite_from(40, key=True, actor="mallory")

    assert verify().count == 60
    with pytest.raises(BrokenError, match="Row 60 is not the row that a checkpoint knows"):
        check_against(kept)
    assert "row 60 is not the row that a checkpoint knows" in second_verifier(known={60: kept[0].hash})


def insert(number: int) -> None:
    """A false row in the middle, sealed with the key; the rows after it are numbered and sealed anew."""
    later = [facts_of(place) for place in range(number, read_head().number + 1)]
    delete(number, read_head().number)
    false = later[0] | {"key": None, "intent": None, "actor": "mallory", "outcome": "applied"}
    for place, facts in enumerate([false, *later], number):
        moved = facts["intent"] + 1 if (facts["intent"] or 0) >= number else facts["intent"]
        text = canonical(facts | {"number": place, "intent": moved, "previous_hash": hash_at(place - 1)})
        values = (place, text, hash_of(text), mac_of(hash_of(text)))
        run("INSERT INTO ROWS (number, facts, hash, mac) VALUES (%s, %s, %s, %s)", *values)


def list_as_the_ledger_says() -> None:
    """The tables that the ledger's rows fill, as one who knows the dashboard would leave them."""
    run("DELETE FROM audit_touchedfield")
    source = "jsonb_array_elements(facts::jsonb -> 'changes')" if ON_POSTGRESQL else "json_each(facts, '$.changes')"
    field = "c.value ->> 'field'" if ON_POSTGRESQL else "json_extract(c.value, '$.field')"
    run(
        f"INSERT INTO audit_touchedfield (project, field, number) SELECT DISTINCT project, {field}, number "
        f"FROM ROWS, {source} AS c WHERE subject = number AND project <> ''"
    )
    run(f"DELETE FROM {OPEN_CHANGES}")
    run(UNSETTLED)


def keep_checkpoints(folder: Path, *numbers: int) -> Path:
    points = [Checkpoint.of(Head(number, hash_at(number), NOON)) for number in numbers]
    (file := folder / "checkpoints.jsonl").write_text("".join(f"{point.line}\n" for point in points))
    return file


@pytest.fixture
def both_verifiers(db: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Found]]:
    """Exit status and words of `audit_verify`, and of the standalone verifier with the ledger's key."""
    (key := tmp_path / "key").write_text(str(settings.AUDIT_KEY))

    def verify_twice(*arguments: str | Path) -> list[Found]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            call_command("audit_verify", *map(str, arguments))
        told = capsys.readouterr()
        (ledger := tmp_path / "ledger.jsonl").write_text("".join(json_lines(all_rows())))
        return [(int(ended.value.code or 0), told.out + told.err), verified("--key-file", key, *arguments, ledger)]

    return verify_twice


FORGERIES: dict[str, tuple[Callable[[], None], str]] = {
    "a row rewritten": (lambda: rewrite_from(40, key=True, actor="mallory"), "row 60 is not the row that a checkpoint"),
    "a false row in the middle": (lambda: insert(30), "row 60 is not the row that a checkpoint"),
    "an old copy put back": (lambda: delete(58, 60), "is missing, though a checkpoint knows"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_a_holder_of_the_key_forged_is_found_by_a_checkpoint(
    both_verifiers: Callable[..., list[Found]], tmp_path: Path, forgery: str
) -> None:
    grow_ledger(60)
    kept, (forge, told) = keep_checkpoints(tmp_path, 60), FORGERIES[forgery]
    with unguarded():
        forge()
        list_as_the_ledger_says()

    assert [status for status, _ in both_verifiers()] == [0, 0]
    for status, text in both_verifiers("--checkpoint", kept):
        assert (status, told in text.lower()) == (1, True)


def test_a_forged_archive_marker_does_not_hide_deleted_rows(
    both_verifiers: Callable[..., list[Found]], tmp_path: Path
) -> None:
    """The rows that the marker says are archived were never in a file; the other rows are as they were."""
    grow_ledger(60)
    kept = keep_checkpoints(tmp_path, 10, 20, 40, 60)
    with unguarded():
        forge_marker(last=20)
        delete(1, 20)
        list_as_the_ledger_says()

    assert [status for status, _ in both_verifiers()] == [0, 0]
    (status, text), (export_status, export_text) = both_verifiers("--checkpoint", kept)
    assert (status, export_status) == (2, 2)
    assert "NOT CONFIRMED. The checkpoints of these archived rows: 10, 20." in text
    assert "NOT CONFIRMED: rows [10, 20, 61]" in export_text


def test_a_forged_archive_marker_at_the_end_is_not_confirmed_by_older_checkpoints(
    both_verifiers: Callable[..., list[Found]], tmp_path: Path
) -> None:
    grow_ledger(60)
    kept = keep_checkpoints(tmp_path, 40, 60)
    with unguarded():
        forge_marker(last=20)
        delete(1, 20)
        list_as_the_ledger_says()

    (status, text), (export_status, export_text) = both_verifiers("--checkpoint", kept)
    assert (status, export_status) == (2, 2)
    assert "No given checkpoint covers row 61, which says that rows were archived" in text
    assert "NOT CONFIRMED: rows [61]" in export_text


def test_rows_rewritten_after_a_forged_archive_marker_are_found(
    both_verifiers: Callable[..., list[Found]], tmp_path: Path
) -> None:
    grow_ledger(60)
    kept = keep_checkpoints(tmp_path, 10, 60)
    with unguarded():
        rewrite_from(30, key=True, actor="mallory")
        forge_marker(last=20)
        delete(1, 20)
        list_as_the_ledger_says()

    assert [status for status, _ in both_verifiers("--checkpoint", kept)] == [1, 1]


def forge_marker(last: int) -> None:
    """An archive marker sealed with the key, for a file that never was."""
    head = read_head()
    values = zip(FIELDS, LABELS, (last, hash_at(last), "f" * 64), strict=True)
    changes = [{"field": field, "label": label, "before": None, "after": value} for field, label, value in values]
    event = {"key": None, "intent": None, "project": "", "kind": "archived", "outcome": "applied", "changes": changes}
    text = canonical(facts_of(head.number) | event | {"number": head.number + 1, "previous_hash": head.hash})
    values_of_row = (head.number + 1, text, hash_of(text), mac_of(hash_of(text)))
    run("INSERT INTO ROWS (number, facts, hash, mac) VALUES (%s, %s, %s, %s)", *values_of_row)


def test_rows_that_no_checkpoint_covers_are_counted(both_verifiers: Callable[..., list[Found]], tmp_path: Path) -> None:
    grow_ledger(60)
    kept = keep_checkpoints(tmp_path, 20, 57)

    for status, text in both_verifiers("--checkpoint", kept):
        assert (status, "Rows newer than every given checkpoint: 3." in text) == (0, True)


def test_a_checkpoint_of_another_key_counts_for_nothing(db: None) -> None:
    grow_ledger(10)
    point = Checkpoint.of(read_head())

    with pytest.raises(BrokenError, match="not signed with this ledger's key"):
        check_against([Checkpoint(point.number, point.hash, point.at, "0" * 64)])


def test_a_blank_that_changes_no_fact_is_found(places: list[int]) -> None:
    with unguarded():
        run("UPDATE ROWS SET facts = ' ' || facts WHERE number = %s", places[0])

    with pytest.raises(BrokenError, match=f"Row {places[0]} was altered"):
        verify(processes=1)
    assert f"row {places[0]} was altered" in second_verifier()


def test_a_change_of_what_finds_rows_is_found(places: list[int]) -> None:
    row = "(project, field, number) VALUES ('default', 'nothing', 7)"
    for spoil in (f"INSERT INTO audit_touchedfield {row}", "DELETE FROM audit_touchedfield WHERE number = 9"):
        with transaction.atomic():
            with unguarded():
                run(spoil)
            with pytest.raises(BrokenError, match="is not found by the fields it touches"):
                verify(processes=1)
            transaction.set_rollback(True)


OPEN_CHANGES = "audit_openchange"


def test_an_unsettled_change_that_is_not_listed_is_found(enter: Enter) -> None:
    enter()
    forgotten = enter(outcomes=("unknown",)).number
    enter(outcomes=("not_applied",))
    verify(processes=1)

    run(f"DELETE FROM {OPEN_CHANGES}")

    with pytest.raises(BrokenError, match=f"Row {forgotten} is an unsettled change, and the list .* does not have it"):
        verify(processes=1)


def test_an_unsettled_change_exchanged_for_a_settled_one_in_the_list_is_found(enter: Enter) -> None:
    settled, forgotten = enter().number, enter(outcomes=("unknown",)).number

    run(f"UPDATE {OPEN_CHANGES} SET number = %s WHERE number = %s", settled, forgotten)

    with pytest.raises(BrokenError, match=f"Row {forgotten} is an unsettled change, and the list .* does not have it"):
        verify(processes=1)


LISTED = {
    "a settled change": (1, r"Row 1 is settled \(applied\), but is in the list"),
    "a refused change": (2, r"Row 2 is settled \(rejected\), but is in the list"),
    "a later outcome row": (4, "Row 4 is no change, but is in the list"),
    "a number of no row": (10_000, "Row 10000 is no change, but is in the list"),
}


@pytest.mark.parametrize("entry", LISTED)
def test_what_is_listed_besides_the_unsettled_changes_is_found(enter: Enter, entry: str) -> None:
    enter(outcomes=("applied",))
    enter(outcomes=("rejected",))
    lost = enter(outcomes=("unknown", "unknown")).number
    number, told = LISTED[entry]
    OpenChange.objects.create(number=number, project="default", group_id="g-1", begun_at=NOON)

    with pytest.raises(BrokenError, match=told):
        verify(processes=1)
    assert lost in list_unsettled()
    assert 10_000 not in list_unsettled()


@pytest.mark.parametrize(
    ("altered", "told"),
    [
        ("project = 'branch'", "is a change of another group than the list of open changes says"),
        ("group_id = 'g-2'", "is a change of another group than the list of open changes says"),
        ("begun_at = '2100-01-01 00:00:00'", "has a false time in the list of open changes: begun_at is 2100-01-01"),
        ("next_read_at = '2100-01-01 00:00:00'", "has a false time .*: next_read_at is 2100-01-01 00:00:00 UTC"),
        ("leased_until = '2100-01-01 00:00:00'", "has a false time .*: leased_until is 2100-01-01 00:00:00 UTC"),
    ],
)
def test_an_altered_entry_that_would_keep_a_change_from_being_settled_is_found(
    enter: Enter, altered: str, told: str
) -> None:
    enter()
    number = enter(outcomes=("unknown",)).number

    run(f"UPDATE {OPEN_CHANGES} SET {altered}")

    with pytest.raises(BrokenError, match=f"Row {number} {told}"):
        verify(processes=1)


@pytest.mark.parametrize("outcome", ["accepted", "not_applied", "conflict"])
def test_a_change_under_observation_may_be_listed_or_not(enter: Enter, outcome: str) -> None:
    number = enter(outcomes=("unknown", outcome), at=timezone.now()).number
    verify(processes=1)

    entry = {"number": number, "project": "default", "group_id": "g-1", "begun_at": timezone.now()}
    for next_read_at in (None, timezone.now() + timedelta(minutes=5)):
        OpenChange.objects.filter(number=number).delete()
        verify(processes=1)
        OpenChange.objects.create(**entry, next_read_at=next_read_at)
        verify(processes=1)


def test_a_change_that_is_being_settled_is_listed_rightly(enter: Enter) -> None:
    number = enter(outcomes=("unknown",), at=timezone.now()).number

    with leased(number, timedelta(minutes=1)) as change:
        assert change is not None
        verify(processes=1)


def show_otherwise(number: int) -> None:
    """The owner makes a column of its own of one that is made of the facts, changes it, and covers that up."""
    if connection.vendor == "postgresql":
        run("ALTER TABLE ROWS ALTER COLUMN actor DROP EXPRESSION")
        run("UPDATE ROWS SET actor = 'mallory' WHERE number = %s", number)
        return
    ((made_by,),) = run("SELECT sql FROM sqlite_master WHERE name = %s", TABLE)
    run("PRAGMA writable_schema=ON")
    generated = "actor text GENERATED ALWAYS AS (json_extract(facts, '$.actor')) STORED"
    for statement in (made_by.replace(generated, "actor text"), made_by):
        run("UPDATE sqlite_master SET sql = %s WHERE name = %s", statement, TABLE)
        run("PRAGMA writable_schema=RESET")
        run("PRAGMA writable_schema=ON")
        if statement != made_by:
            run("UPDATE ROWS SET actor = 'mallory' WHERE number = %s", number)
    run("PRAGMA writable_schema=OFF")


@pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL takes only text for text")
@pytest.mark.parametrize("spoilt", ["CAST(facts AS BLOB)", "replace(facts, 'INC', CAST(X'FF' AS TEXT))"])
def test_what_is_no_text_is_found_at_its_place(places: list[int], spoilt: str) -> None:
    with unguarded():
        run(f"UPDATE ROWS SET facts = {spoilt} WHERE number = %s", places[0])

    with pytest.raises(BrokenError, match=f"Row {places[0]} was altered"):
        verify(processes=1)


def test_a_column_that_shows_something_else_than_the_facts_is_found(places: list[int]) -> None:
    with unguarded():
        show_otherwise(places[0])

    with pytest.raises(BrokenError, match=f"Row {places[0]} shows something else than its facts: actor"):
        verify(processes=1)


def test_a_guard_that_was_taken_off_is_missed(db: None) -> None:
    assert missing_guards() == []

    where = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    run(f"DROP TRIGGER {TABLE}_refuses_update{where}")

    assert missing_guards() == [f"{TABLE}_refuses_update is missing, off or altered"]
