"""Helpers that prepare the ledger: remove its guards, fill its disk, make it unavailable, add rows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from dashboard.audit.ledger.chain import GENESIS
from dashboard.audit.ledger.schema import GUARDED, TABLE, guards
from tests.made_up import made_up_rows


def run(statement: str, *values: str | int) -> list[Any]:
    """Run a statement in the database. `ROWS` is replaced with the name of the table."""
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("ROWS", TABLE), values)
        return cursor.fetchall() if cursor.description else []


def facts_of(number: int) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(run("SELECT facts FROM ROWS WHERE number = %s", number)[0][0])
    return facts


def hash_at(number: int) -> str:
    return str(run("SELECT hash FROM ROWS WHERE number = %s", number)[0][0]) if number else GENESIS


def after(number: int) -> datetime:
    """Return the time just after a row."""
    return datetime.fromisoformat(facts_of(number)["at"]) + timedelta(microseconds=1)


def numbers() -> list[int]:
    return [number for (number,) in run("SELECT number FROM ROWS ORDER BY number")]


@contextmanager
def unguarded() -> Iterator[None]:
    """Remove the guards, as a database owner can, and restore them at the end."""
    statements = guards(connection.vendor)
    with connection.cursor() as cursor:
        for name in statements:
            table = next((table for table in GUARDED if name.startswith(table)), GUARDED[0])
            cursor.execute(f"DROP TRIGGER {name}" + (f" ON {table}" if connection.vendor == "postgresql" else ""))
        yield
        for statement in statements.values():
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
    # AFTER, because generated columns have no value in a BEFORE trigger.
    "postgresql": ("AFTER", "EXECUTE FUNCTION audit_disk_is_full()"),
}
_FULL_FUNCTION = (
    "CREATE OR REPLACE FUNCTION audit_disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ "
    "BEGIN RAISE EXCEPTION 'database or disk is full'; END $$"
)


def fill_disk(rows: str) -> None:
    """Make every insert into a view or table fail, as on a full disk."""
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
        pytest.skip("in PostgreSQL, views follow a renamed table")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA legacy_alter_table=ON")  # otherwise the views follow the renamed table
        cursor.execute(f"ALTER TABLE {GUARDED[0]} RENAME TO audit_renamed")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE audit_renamed RENAME TO {GUARDED[0]}")
            cursor.execute("PRAGMA legacy_alter_table=OFF")


UNSETTLED = f"""
    INSERT INTO audit_openchange (number, project, group_id, begun_at)
    SELECT number, project, group_id, at FROM {GUARDED[0]} AS intent
    WHERE subject = number AND project <> '' AND 'unknown' = coalesce(
        (SELECT outcome FROM {GUARDED[0]} WHERE subject = intent.number ORDER BY number DESC LIMIT 1), 'unknown')
"""


def grow_ledger(count: int, seed: int = 1) -> None:
    """Fill an empty ledger with generated rows."""
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {GUARDED[0]} (number, facts, hash, mac) VALUES (%s, %s, %s, %s)",
            made_up_rows(count, seed),  # type: ignore[arg-type]  # an iterator is enough
        )
        cursor.execute(UNSETTLED)
