"""Whether the database still guards the ledger, checked at start-up and by `/readyz`."""

import re
from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connection

from dashboard.audit.schema import TABLE, guards


def missing_guards() -> list[str]:
    """What the ledger should be guarded by and is not. Raises DatabaseError when the database is away."""
    expected = guards(connection.vendor)
    present = _triggers()
    problems = [
        f"the guard {name} is missing, off or altered"
        for name, made_by in expected.items()
        if _plain(present.get(name, "")) != _plain(made_by)
    ]
    if connection.vendor == "sqlite" and not _pragma("recursive_triggers"):
        problems.append("recursive_triggers is off, so that REPLACE passes the guards")
    return problems


def _triggers() -> dict[str, str]:
    query = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": (
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal "
            "AND tgenabled IN ('O', 'A')"  # one that is switched off, even for replication only, guards nothing
        ),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())


def _plain(statement: str) -> str:
    """PostgreSQL names the schema and writes its own blanks."""
    return re.sub(r"\s+", " ", statement.replace("public.", "")).strip()


def _pragma(name: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return cursor.fetchone()[0]


@register(Tags.database)
def check_guards(*, databases: Sequence[str] | None, **_options: Any) -> list[CheckMessage]:
    """Runs where the database is asked for: `check --database default`, `migrate`, and before the server starts."""
    if not databases or "default" not in databases:
        return []
    try:
        if TABLE not in connection.introspection.table_names():
            return []  # before the first migration
        problems = missing_guards()
    except DatabaseError as error:
        # A database that is away comes back without a restart; pages stay up and say so.
        return [checks.Warning(f"Ledger: the database cannot be read: {error}", id="audit.W001")]
    return [
        Error(
            f"Ledger: {problem}.",
            hint="Someone changed the database; `manage.py audit_verify` looks at the rows.",
            id="audit.E001",
        )
        for problem in problems
    ]
