"""Check the guards of the ledger in the database: triggers, views, computed columns. Used at start and by `/readyz`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from dashboard.audit.ledger import schema

SHORTEST_KEY = 32
_TABLES = ", ".join(f"'{table}'" for table in schema.GUARDED)
_CLASSES = ", ".join(f"to_regclass('{table}')" for table in schema.GUARDED)
_TRIGGERS = (
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'A' "
    f"AND tgrelid IN ({_CLASSES})"
)
_ADDED = {
    "sqlite": f"SELECT name, 'trigger' FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({_TABLES})",
    "postgresql": (
        f"SELECT tgname, 'trigger' FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN ({_CLASSES}) UNION ALL "
        f"SELECT rulename, 'rule' FROM pg_rewrite WHERE ev_class IN ({_CLASSES}) UNION ALL "
        f"SELECT relname, 'row security' FROM pg_class WHERE oid IN ({_CLASSES}) AND relrowsecurity"
    ),
}
_GENERATED = (
    "SELECT attname, attgenerated::text FROM pg_attribute "
    f"WHERE attrelid = to_regclass('{schema.TABLE}') AND attgenerated = 's'"
)


def missing_guards() -> list[str]:
    """List missing and altered guards, and added triggers or rules that could discard rows.

    Raises DatabaseError when the database is unavailable.
    """
    missing = {"sqlite": _missing_on_sqlite, "postgresql": _missing_on_postgresql}[connection.vendor]()
    ours = schema.guards(connection.vendor)
    added = {name: what for name, what in _read(_ADDED[connection.vendor]).items() if name not in ours}
    return [*missing, *(f"{name} ({what}) is not part of the ledger" for name, what in added.items())]


def altered_views() -> list[str]:
    """List missing and altered views on PostgreSQL. On SQLite, `missing_guards` checks them.

    PostgreSQL stores a view in its own wording. So each view is compared with a temporary one from the same statement.
    """
    if connection.vendor == "sqlite":
        return []
    problems = []
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in schema.views("postgresql"):
            name = schema.name_of(statement)
            cursor.execute("SELECT pg_get_viewdef(to_regclass(%s))", [name])
            (found,) = cursor.fetchone()
            cursor.execute(statement.replace("CREATE VIEW", "CREATE TEMPORARY VIEW", 1))
            cursor.execute("SELECT pg_get_viewdef(to_regclass(%s))", [f"pg_temp.{name}"])
            if cursor.fetchone() != (found,):
                problems.append(f"{name} is missing or altered")
        transaction.set_rollback(True)
    return problems


def _missing_on_sqlite() -> list[str]:
    """Compare the statements that SQLite stores, except for plain indexes: these concern only speed."""
    statements = [sql for sql in schema.statements("sqlite") if not sql.startswith("CREATE INDEX")]
    present = _read("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    problems = _differences({schema.name_of(sql): sql for sql in statements}, present)
    if not _read("SELECT 'is on', recursive_triggers FROM pragma_recursive_triggers WHERE recursive_triggers"):
        problems.append("recursive_triggers is off, so REPLACE can delete rows")
    return problems


def _missing_on_postgresql() -> list[str]:
    """Compare triggers, functions and computed columns. PostgreSQL stores a table in its own wording."""
    bodies = {schema.name_of(sql): sql.split("$$")[1] for sql in schema.functions("postgresql")}
    generated = _read(_GENERATED)
    return [
        *_differences(
            {name: both.split(";")[0] for name, both in schema.guards("postgresql").items()}, _read(_TRIGGERS)
        ),
        *_differences(bodies, _read("SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'audit%%'")),
        *(f"the column {name} is not computed from the facts" for name in schema.SHOWN if name not in generated),
    ]


def _read(query: str) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(query, [])
        return dict(cursor.fetchall())


def _differences(expected: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    return [
        f"{name} is missing, off or altered"
        for name, expected_sql in expected.items()
        if _normalize(present.get(name, "")) != _normalize(expected_sql)
    ]


def _normalize(statement: str) -> str:
    """Remove what the databases add: PostgreSQL the schema's name and blanks, SQLite quotes around renamed names."""
    return re.sub(r"\s+", " ", statement.replace("public.", "").replace('"', "")).strip()


def _is_migrated() -> bool:
    """Whether the migrations have created the guards."""
    loader = MigrationLoader(connection)
    return set(loader.graph.leaf_nodes("audit")) <= set(loader.applied_migrations)


@register(Tags.security, deploy=True)
def check_key(**_options: Any) -> list[CheckMessage]:
    """Warn about a key that can be guessed, or that is also the secret key, which more people know."""
    if len(settings.AUDIT_KEY) >= SHORTEST_KEY and settings.AUDIT_KEY != settings.SECRET_KEY:
        return []
    problem = f"STREAMWARDEN_AUDIT_KEY is shorter than {SHORTEST_KEY} characters or the same as the secret key."
    return [
        checks.Warning(problem, hint="python -c 'import secrets; print(secrets.token_urlsafe(64))'", id="audit.W002")
    ]


@register(Tags.database)
def check_guards(*, databases: Sequence[str] | None, **_options: Any) -> list[CheckMessage]:
    """Check the guards with `check --database default`, `migrate`, and before the server starts."""
    if not databases or "default" not in databases:
        return []
    try:
        problems = [*missing_guards(), *altered_views()] if _is_migrated() else []
    except DatabaseError as error:
        # No error: pages report an unavailable database, and work again when it is available, without a restart.
        return [checks.Warning(f"Ledger: the database cannot be read: {error}", id="audit.W001")]
    return [
        Error(
            f"Ledger: {problem}.",
            hint="Someone changed the database. Check the rows with `manage.py audit_verify`.",
            id="audit.E001",
        )
        for problem in problems
    ]
