"""A database owner can remove the guards. Both verifiers find the changes that this makes possible."""

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
from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger.chain import Head, audit_key, canonical, hash_of, mac_of, read_head
from dashboard.audit.ledger.checkpoints import Checkpoint
from dashboard.audit.ledger.guards import missing_guards
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.ledger.services import leased, list_unsettled
from dashboard.audit.models import OpenChange
from dashboard.audit.problems import BrokenError
from tests.audit.conftest import NOON, Enter
from tests.audit.integrity.test_export import verified
from tests.ledger import UNSETTLED, facts_of, grow_ledger, hash_at, run, unguarded

ROWS = int(os.environ.get("LEDGER_ROWS", "300"))
"""`make test-crash` uses 100,000."""
PLACES = 2
Facts = dict[str, Any]
Found = tuple[int, str]
ON_POSTGRESQL = connection.vendor == "postgresql"


def put(number: int, facts: Facts) -> None:
    run("UPDATE ROWS SET facts = %s WHERE number = %s", canonical(facts), number)


def seal(number: int, facts: Facts, *, key: bool) -> None:
    """Store facts with their hash, and with their MAC if the attacker has the key."""
    put(number, facts)
    digest = hash_of(canonical(facts))
    run("UPDATE ROWS SET hash = %s WHERE number = %s", digest, number)
    if key:
        run("UPDATE ROWS SET mac = %s WHERE number = %s", mac_of(digest), number)


def rewrite_from(number: int, *, key: bool, **changed: object) -> None:
    """Change a row, and seal the next 40 rows again so that each follows from the one before."""
    last = read_head().number
    for place in range(number, min(last, number + 40) + 1):
        facts = facts_of(place) | (changed if place == number else {})
        seal(place, facts | {"previous_hash": hash_at(place - 1)}, key=key)


def delete(first: int, last: int) -> None:
    run("DELETE FROM ROWS WHERE number BETWEEN %s AND %s", first, last)


def swap(number: int) -> None:
    swapped = [facts_of(number) | {"number": number + 1}, facts_of(number + 1) | {"number": number}]
    for facts in sorted(swapped, key=lambda facts: bool(facts["key"])):  # in this order, no key is stored twice
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
class Attack:
    """`at` is the expected bad row, counted from the altered row. None means the row after the last one."""

    run: Callable[[int], object]
    at: int | None = 0
    needs_key: bool = False
    """Whether the verifier of exports needs the key to find it."""


def changed(name: str, value: object) -> Callable[[int], None]:
    return lambda number: put(number, facts_of(number) | {name: value})


def with_hash(**members: object) -> Callable[[int], None]:
    return lambda number: seal(number, facts_of(number) | members, key=False)


ATTACKS = {
    "another value": Attack(changed("changes", [{"field": "name", "label": "Name", "before": 1, "after": 2}])),
    "another person": Attack(changed("actor", "mallory")),
    "another outcome": Attack(changed("outcome", "not_applied")),
    "an error hidden": Attack(changed("error_msg", "none at all")),
    "fields swapped": Attack(
        lambda n: put(n, facts_of(n) | {"actor": facts_of(n)["reason"], "reason": facts_of(n)["actor"]})
    ),
    "a member added": Attack(changed("approved", True)),
    "another value with a new hash": Attack(with_hash(reason="as agreed"), needs_key=True),
    "time moved": Attack(changed("at", "2026-01-01T00:00:00.000000Z")),
    "time moved with a new hash": Attack(with_hash(at="2025-01-01T00:00:00.000000Z")),
    "number used again": Attack(lambda n: put(n + 1, facts_of(n) | {"number": n + 1, "key": None}), at=1),
    "two rows swapped": Attack(swap),
    "one row deleted": Attack(lambda n: delete(n, n)),
    "some rows deleted": Attack(lambda n: delete(n, n + 4)),
    "one row deleted and the gap closed": Attack(close_the_gap),
    "another row's hash": Attack(lambda n: run("UPDATE ROWS SET hash = %s WHERE number = %s", hash_at(n - 1), n)),
    "another MAC": Attack(lambda n: run("UPDATE ROWS SET mac = %s WHERE number = %s", "f" * 64, n), needs_key=True),
    "linked to another row": Attack(lambda n: seal(n, facts_of(n) | {"previous_hash": hash_at(n - 2)}, key=True)),
    "rewritten without the key": Attack(lambda n: rewrite_from(n, key=False, actor="mallory"), needs_key=True),
    "a forged row at the end": Attack(forge_next, at=None, needs_key=True),
}


@pytest.fixture
def places(db: None) -> list[int]:
    grow_ledger(ROWS)
    verify(processes=1)
    return [Random(seed).randrange(3, ROWS - 60) for seed in range(PLACES)]  # noqa: S311 (not a secret)


def second_verifier(*, key: bytes = b"", known: dict[int, str] | None = None) -> str:
    """Return the problem that the standalone verifier finds in an export; an empty text if it finds none."""
    try:
        verify_export.check(json_lines(all_rows()), key, known or {}, is_filtered=False)
    except verify_export.Broken as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ATTACKS)
def test_finds_the_row_that_was_altered(places: list[int], name: str) -> None:
    attack, last = ATTACKS[name], ROWS
    for place in places:
        expected = last + 1 if attack.at is None else place + attack.at
        with transaction.atomic():
            with unguarded():
                attack.run(place)

            with pytest.raises(BrokenError) as broken:
                verify(processes=1)
            found, found_with_key = second_verifier(), second_verifier(key=audit_key())

            transaction.set_rollback(True)
        assert broken.value.number == expected
        assert f"row {expected} " in found_with_key
        assert bool(found) or attack.needs_key
    assert (verify(processes=1).count, second_verifier(key=audit_key())) == (ROWS, "")


@pytest.mark.parametrize("cut", [1, 2, 37])
def test_a_checkpoint_finds_a_deleted_end_or_a_restored_copy(places: list[int], cut: int) -> None:
    kept = Checkpoint.of(read_head())
    with unguarded():
        delete(ROWS - cut + 1, ROWS)
        run("DELETE FROM audit_touchedfield WHERE number > %s", ROWS - cut)
        run(  # otherwise a change without its outcome shows the deletion
            "INSERT INTO audit_openchange (number, project, group_id, begun_at) SELECT number, project, group_id, at "
            "FROM audit_changeintent AS i WHERE NOT EXISTS (SELECT 1 FROM audit_changeoutcome AS o WHERE "
            "o.intent_id = i.number AND o.outcome <> 'unknown') AND number NOT IN (SELECT number FROM audit_openchange)"
        )

    assert verify(processes=1).last == ROWS - cut
    assert second_verifier(key=audit_key()) == ""
    with pytest.raises(BrokenError, match="the end of the ledger was deleted"):
        check_against([kept])
    assert "the end was deleted" in second_verifier(known={kept.number: kept.hash})


def test_a_checkpoint_finds_a_ledger_rewritten_with_the_key(db: None) -> None:
    grow_ledger(60)
    kept = [Checkpoint.of(read_head())]
    with unguarded():
        rewrite_from(40, key=True, actor="mallory")

    assert verify().count == 60
    with pytest.raises(BrokenError, match="Row 60 does not match a checkpoint"):
        check_against(kept)
    assert "row 60 does not match a checkpoint" in second_verifier(known={60: kept[0].hash})


def insert(number: int) -> None:
    """Insert a false row sealed with the key. Number and seal the rows after it again."""
    later = [facts_of(place) for place in range(number, read_head().number + 1)]
    delete(number, read_head().number)
    false = later[0] | {"key": None, "intent": None, "actor": "mallory", "outcome": "applied"}
    for place, facts in enumerate([false, *later], number):
        moved = facts["intent"] + 1 if (facts["intent"] or 0) >= number else facts["intent"]
        text = canonical(facts | {"number": place, "intent": moved, "previous_hash": hash_at(place - 1)})
        values = (place, text, hash_of(text), mac_of(hash_of(text)))
        run("INSERT INTO ROWS (number, facts, hash, mac) VALUES (%s, %s, %s, %s)", *values)


def list_as_the_ledger_says() -> None:
    """Make the tables that are derived from the ledger match it, as an attacker would."""
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
    """Run `audit_verify` and the standalone verifier with the key. Returns exit status and output of each."""
    (key := tmp_path / "key").write_text(str(settings.AUDIT_KEY))

    def verify_twice(*arguments: str | Path) -> list[Found]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            call_command("audit_verify", *map(str, arguments))
        output = capsys.readouterr()
        (ledger := tmp_path / "ledger.jsonl").write_text("".join(json_lines(all_rows())))
        return [(int(ended.value.code or 0), output.out + output.err), verified("--key-file", key, *arguments, ledger)]

    return verify_twice


FORGERIES: dict[str, tuple[Callable[[], None], str]] = {
    "a row rewritten": (lambda: rewrite_from(40, key=True, actor="mallory"), "row 60 does not match a checkpoint"),
    "a false row in the middle": (lambda: insert(30), "row 60 does not match a checkpoint"),
    "an old copy restored": (lambda: delete(58, 60), "is missing, but a checkpoint names"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_checkpoint_finds_rows_forged_with_the_key(
    both_verifiers: Callable[..., list[Found]], tmp_path: Path, forgery: str
) -> None:
    grow_ledger(60)
    kept, (forge, problem) = keep_checkpoints(tmp_path, 60), FORGERIES[forgery]
    with unguarded():
        forge()
        list_as_the_ledger_says()

    assert [status for status, _ in both_verifiers()] == [0, 0]
    for status, text in both_verifiers("--checkpoint", kept):
        assert (status, problem in text.lower()) == (1, True)


def test_a_forged_archive_marker_does_not_hide_deleted_rows(
    both_verifiers: Callable[..., list[Found]], tmp_path: Path
) -> None:
    """There is no archive file of the deleted rows. The other rows are unchanged."""
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


def test_older_checkpoints_do_not_confirm_a_forged_archive_marker(
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


def test_finds_rows_rewritten_after_a_forged_archive_marker(
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
    """Write an archive marker sealed with the key, for a file that does not exist."""
    head = read_head()
    values = zip(FIELDS, LABELS, (last, hash_at(last), "f" * 64), strict=True)
    changes = [{"field": field, "label": label, "before": None, "after": value} for field, label, value in values]
    event = {"key": None, "intent": None, "project": "", "kind": "archived", "outcome": "applied", "changes": changes}
    text = canonical(facts_of(head.number) | event | {"number": head.number + 1, "previous_hash": head.hash})
    values_of_row = (head.number + 1, text, hash_of(text), mac_of(hash_of(text)))
    run("INSERT INTO ROWS (number, facts, hash, mac) VALUES (%s, %s, %s, %s)", *values_of_row)


def test_counts_rows_that_no_checkpoint_covers(both_verifiers: Callable[..., list[Found]], tmp_path: Path) -> None:
    grow_ledger(60)
    kept = keep_checkpoints(tmp_path, 20, 57)

    for status, text in both_verifiers("--checkpoint", kept):
        assert (status, "Rows newer than every given checkpoint: 3." in text) == (0, True)


def test_rejects_a_checkpoint_with_another_key(db: None) -> None:
    grow_ledger(10)
    point = Checkpoint.of(read_head())

    with pytest.raises(BrokenError, match="not signed with the key of this ledger"):
        check_against([Checkpoint(point.number, point.hash, point.at, "0" * 64)])


def test_finds_an_added_space(places: list[int]) -> None:
    with unguarded():
        run("UPDATE ROWS SET facts = ' ' || facts WHERE number = %s", places[0])

    with pytest.raises(BrokenError, match=f"Row {places[0]} was altered"):
        verify(processes=1)
    assert f"row {places[0]} was altered" in second_verifier()


def test_finds_a_change_of_the_index_of_changed_fields(places: list[int]) -> None:
    row = "(project, field, number) VALUES ('default', 'nothing', 7)"
    for statement in (f"INSERT INTO audit_touchedfield {row}", "DELETE FROM audit_touchedfield WHERE number = 9"):
        with transaction.atomic():
            with unguarded():
                run(statement)
            with pytest.raises(BrokenError, match="differs from the index of changed fields"):
                verify(processes=1)
            transaction.set_rollback(True)


OPEN_CHANGES = "audit_openchange"


def test_finds_an_unsettled_change_that_is_not_listed(enter: Enter) -> None:
    enter()
    unlisted = enter(outcomes=("unknown",)).number
    enter(outcomes=("not_applied",))
    verify(processes=1)

    run(f"DELETE FROM {OPEN_CHANGES}")

    with pytest.raises(
        BrokenError, match=f"Row {unlisted} is an unsettled change, but is not in the list of open changes"
    ):
        verify(processes=1)


def test_finds_an_unsettled_change_replaced_by_a_settled_one_in_the_list(enter: Enter) -> None:
    settled, unlisted = enter().number, enter(outcomes=("unknown",)).number

    run(f"UPDATE {OPEN_CHANGES} SET number = %s WHERE number = %s", settled, unlisted)

    with pytest.raises(
        BrokenError, match=f"Row {unlisted} is an unsettled change, but is not in the list of open changes"
    ):
        verify(processes=1)


LISTED = {
    "a settled change": (1, r"Row 1 is settled \(applied\), but is in the list"),
    "a refused change": (2, r"Row 2 is settled \(rejected\), but is in the list"),
    "a later outcome row": (4, "Row 4 is not a change, but is in the list"),
    "a number of no row": (10_000, "Row 10000 is not a change, but is in the list"),
}


@pytest.mark.parametrize("item", LISTED)
def test_finds_false_items_in_the_list_of_open_changes(enter: Enter, item: str) -> None:
    enter(outcomes=("applied",))
    enter(outcomes=("rejected",))
    lost = enter(outcomes=("unknown", "unknown")).number
    number, problem = LISTED[item]
    OpenChange.objects.create(number=number, project="default", group_id="g-1", begun_at=NOON)

    with pytest.raises(BrokenError, match=problem):
        verify(processes=1)
    assert lost in list_unsettled()
    assert 10_000 not in list_unsettled()


@pytest.mark.parametrize(
    ("altered", "problem"),
    [
        ("project = 'branch'", "has another group in the list of open changes"),
        ("group_id = 'g-2'", "has another group in the list of open changes"),
        ("begun_at = '2100-01-01 00:00:00'", "has a false time in the list of open changes: begun_at is 2100-01-01"),
        ("next_read_at = '2100-01-01 00:00:00'", "has a false time .*: next_read_at is 2100-01-01 00:00:00 UTC"),
        ("leased_until = '2100-01-01 00:00:00'", "has a false time .*: leased_until is 2100-01-01 00:00:00 UTC"),
    ],
)
def test_finds_an_altered_item_that_hides_a_change_from_settling(enter: Enter, altered: str, problem: str) -> None:
    enter()
    number = enter(outcomes=("unknown",)).number

    run(f"UPDATE {OPEN_CHANGES} SET {altered}")

    with pytest.raises(BrokenError, match=f"Row {number} {problem}"):
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


def test_accepts_the_lease_of_a_change_that_is_being_settled(enter: Enter) -> None:
    number = enter(outcomes=("unknown",), at=timezone.now()).number

    with leased(number, timedelta(minutes=1)) as change:
        assert change is not None
        verify(processes=1)


def alter_column(number: int) -> None:
    """Turn a computed column into a plain one and change it. On SQLite, restore the definition afterwards."""
    if connection.vendor == "postgresql":
        run("ALTER TABLE ROWS ALTER COLUMN actor DROP EXPRESSION")
        run("UPDATE ROWS SET actor = 'mallory' WHERE number = %s", number)
        return
    ((definition,),) = run("SELECT sql FROM sqlite_master WHERE name = %s", TABLE)
    run("PRAGMA writable_schema=ON")
    generated = "actor text GENERATED ALWAYS AS (json_extract(facts, '$.actor')) STORED"
    for statement in (definition.replace(generated, "actor text"), definition):
        run("UPDATE sqlite_master SET sql = %s WHERE name = %s", statement, TABLE)
        run("PRAGMA writable_schema=RESET")
        run("PRAGMA writable_schema=ON")
        if statement != definition:
            run("UPDATE ROWS SET actor = 'mallory' WHERE number = %s", number)
    run("PRAGMA writable_schema=OFF")


@pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL takes only text for text")
@pytest.mark.parametrize("expression", ["CAST(facts AS BLOB)", "replace(facts, 'INC', CAST(X'FF' AS TEXT))"])
def test_finds_the_row_with_invalid_text(places: list[int], expression: str) -> None:
    with unguarded():
        run(f"UPDATE ROWS SET facts = {expression} WHERE number = %s", places[0])

    with pytest.raises(BrokenError, match=f"Row {places[0]} was altered"):
        verify(processes=1)


def test_finds_a_column_that_differs_from_the_facts(places: list[int]) -> None:
    with unguarded():
        alter_column(places[0])

    with pytest.raises(BrokenError, match=f"Row {places[0]} has columns that differ from its facts: actor"):
        verify(processes=1)


def test_finds_a_deleted_guard(db: None) -> None:
    assert missing_guards() == []

    where = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    run(f"DROP TRIGGER {TABLE}_refuses_update{where}")

    assert missing_guards() == [f"{TABLE}_refuses_update is missing, off or altered"]
