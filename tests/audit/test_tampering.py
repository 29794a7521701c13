"""Who owns the database can get past its guards. What they do then is found, by both verifiers where each can."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction

from dashboard.audit import verify_export
from dashboard.audit.chain import audit_key, canonical, hash_of, mac_of, read_head
from dashboard.audit.checkpoints import Checkpoint
from dashboard.audit.export import all_rows, json_lines
from dashboard.audit.guards import missing_guards
from dashboard.audit.models import OpenChange
from dashboard.audit.schema import TABLE
from dashboard.audit.services import list_unsettled
from dashboard.audit.verification import BrokenError, check_against, verify
from tests.audit.conftest import NOON, Enter
from tests.ledger import facts_of, grow_ledger, hash_at, run, unguarded

ROWS = int(os.environ.get("LEDGER_ROWS", "300"))
"""`make test-crash` takes 100,000."""
PLACES = 2
Facts = dict[str, Any]


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


def test_an_unknown_outcome_that_nobody_would_look_for_is_found(enter: Enter) -> None:
    enter()
    forgotten = enter(outcomes=("unknown",)).number
    enter(outcomes=("not_applied",))
    verify(processes=1)

    run("DELETE FROM audit_openchange")

    with pytest.raises(BrokenError, match=f"Row {forgotten} is not settled, and not on the list"):
        verify(processes=1)


def test_a_number_of_no_change_on_the_list_of_work_stops_nobody(enter: Enter) -> None:
    lost = enter(outcomes=("unknown",))
    OpenChange.objects.create(number=10_000, project="default", group_id="g-1", begun_at=NOON)

    assert list_unsettled() == [lost.number]
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
