"""What a test may do to the ledger that no one else may: take its guards off, fill its disk, take it away."""

import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.db import connection

from dashboard.audit.chain import GENESIS, audit_key, canonical, hash_of, written
from dashboard.audit.schema import GUARDED, TABLE, guards
from dashboard.audit.services import NOTHING_SAID


def run(statement: str, *values: str | int) -> list[Any]:
    """Straight to the database; ROWS is the ledger's table."""
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("ROWS", TABLE), values)
        return cursor.fetchall() if cursor.description else []


def facts_of(number: int) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(run("SELECT facts FROM ROWS WHERE number = %s", number)[0][0])
    return facts


def hash_at(number: int) -> str:
    return str(run("SELECT hash FROM ROWS WHERE number = %s", number)[0][0]) if number else GENESIS


def after(number: int) -> datetime:
    """A time at which this row is old, and the next one is not."""
    return datetime.fromisoformat(facts_of(number)["at"]) + timedelta(microseconds=1)


def numbers() -> list[int]:
    return [number for (number,) in run("SELECT number FROM ROWS ORDER BY number")]


@contextmanager
def unguarded() -> Iterator[None]:
    """As the owner of the database can: the guards are gone for a while, and back in place afterwards."""
    made = guards(connection.vendor)
    with connection.cursor() as cursor:
        for name in made:
            table = next((table for table in GUARDED if name.startswith(table)), GUARDED[0])
            cursor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if connection.vendor == "postgresql" else ""))
        yield
        for statement in made.values():
            cursor.execute(statement)


def empty_ledger() -> None:
    with unguarded(), connection.cursor() as cursor:
        for table in GUARDED:
            cursor.execute(f"DELETE FROM {table}")


_REFUSED = {
    "audit_changeintent": (GUARDED[0], "NEW.subject = NEW.number"),
    "audit_changeoutcome": (GUARDED[0], "NEW.outcome IS NOT NULL"),
    "audit_touchedfield": (GUARDED[1], "true"),
}
_FULL = {
    "sqlite": ("BEFORE", "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"),
    # AFTER: generated columns have no value before.
    "postgresql": ("AFTER", "EXECUTE FUNCTION audit_disk_is_full()"),
}
_FULL_FUNCTION = (
    "CREATE OR REPLACE FUNCTION audit_disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "BEGIN RAISE EXCEPTION 'database or disk is full'; END $$"
)


def fill_disk(rows: str) -> None:
    """Rows of a kind (the view or table they show in) are refused from now on."""
    table, condition = _REFUSED[rows]
    when, action = _FULL[connection.vendor]
    each = "" if connection.vendor == "sqlite" else "FOR EACH ROW "
    if connection.vendor == "sqlite":
        condition = condition.replace("NEW.subject = NEW.number", "json_extract(NEW.facts, '$.intent') IS NULL")
        condition = condition.replace("NEW.outcome", "json_extract(NEW.facts, '$.outcome')")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_FULL_FUNCTION)
        cursor.execute(f"CREATE TRIGGER full_{rows} {when} INSERT ON {table} {each}WHEN ({condition}) {action}")


def empty_disk(rows: str) -> None:
    where = f" ON {_REFUSED[rows][0]}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER IF EXISTS full_{rows}{where}")


@contextmanager
def without_table() -> Iterator[None]:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's views follow a table to its new name: it cannot be missing")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA legacy_alter_table=ON")  # else the views would follow here too
        cursor.execute(f"ALTER TABLE {GUARDED[0]} RENAME TO audit_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE audit_away RENAME TO {GUARDED[0]}")
            cursor.execute("PRAGMA legacy_alter_table=OFF")


NAMES = ("design-pool", "finance-eu", "研发设计组", "qa-windows")
ACTORS = ("alice", "bob", "helpdesk", "admin", "carol")
FIELDS = {
    "name": "Name",
    "description": "Description",
    "server_group_status": "Status",
    "route_policy.max_session": "Maximum sessions",
    "route_policy.cpu_threshold": "CPU threshold",
    "system_disk_size": "System disk size",
}


def made_up_rows(count: int, seed: int = 1, *, groups: int = 300) -> Iterator[tuple[int, str, str, str]]:
    """Number, facts, hash and MAC of a ledger as it could be: changes of some groups, each with what came of it."""
    random, previous, key = Random(seed), GENESIS, audit_key()  # noqa: S311 (made-up rows, no secret)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    intent: dict[str, object] = {}
    for number in range(1, count + 1):
        at += timedelta(microseconds=random.randrange(1, 60_000_000))
        facts = _outcome(random, intent) if number % 2 == 0 else _intent(random, number, groups)
        facts = facts | {"number": number, "at": written(at), "previous_hash": previous}
        intent = facts
        text = canonical(facts)
        previous = hash_of(text)
        yield number, text, previous, hmac.digest(key, previous.encode(), "sha256").hex()


def _intent(random: Random, number: int, groups: int) -> dict[str, object]:
    group = random.randrange(groups)
    fields = random.sample(sorted(FIELDS), random.choice((1, 1, 1, 2, 3)))
    changes = [
        {"field": field, "label": FIELDS[field], "before": number % 90, "after": number % 91} for field in fields
    ]
    return NOTHING_SAID | {
        "key": f"key-{number}",
        "intent": None,
        "project": "default",
        "group_id": f"7b1d2c52-4f0e-4c57-9a3b-{group:012d}",
        "group_name": f"{NAMES[group % len(NAMES)]}-{group}",
        "actor": random.choice(ACTORS),
        "actor_id": 1,
        "from_address": "192.0.2.7",
        "kind": "edit",
        "reason": f"INC-{number} {random.choice(('more sessions for', 'as agreed with', 'night shift of'))} {group}",
        "changes": changes,
    }


def _outcome(random: Random, intent: dict[str, object]) -> dict[str, object]:
    outcome = random.choices(("applied", "rejected", "not_applied", "conflict", "not_sent"), (90, 4, 3, 2, 1))[0]
    said = {"outcome": outcome, "proof": "A read at 2026-03-14 10:42:09 UTC shows the new values.", "http_status": 200}
    return intent | {"key": None, "intent": intent["number"], "request_id": f"{random.getrandbits(64):016x}"} | said


def grow_ledger(count: int, seed: int = 1) -> None:
    """Fill an empty ledger with made-up rows."""
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {GUARDED[0]} (number, facts, hash, mac) VALUES (%s, %s, %s, %s)",
            made_up_rows(count, seed),  # type: ignore[arg-type]  # the database takes them one by one
        )
