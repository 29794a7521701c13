"""Each database has a file with the SQL of the ledger, which the first migration runs."""

import re
from pathlib import Path

import pytest
from django.db import connection

from dashboard.audit.ledger import schema
from dashboard.audit.ledger.schema import GUARDED, SHOWN, TABLE, guards, name_of, statements, views

FILES = sorted((Path(schema.__file__).parent / "sql").iterdir())
BOTH = ("sqlite", "postgresql")


def created(vendor: str, kind: str) -> list[str]:
    return [name_of(statement) for statement in statements(vendor) if re.match(rf"CREATE (UNIQUE )?{kind} ", statement)]


def test_there_is_one_file_for_each_database() -> None:
    assert [file.name for file in FILES] == ["postgresql.sql", "sqlite.sql"]


@pytest.mark.parametrize("kind", ["TABLE", "INDEX", "VIEW"])
def test_both_databases_have_the_same_tables_indexes_and_views(kind: str) -> None:
    sqlite, postgresql = (created(vendor, kind) for vendor in BOTH)

    assert (sqlite, len(sqlite) >= 2) == (postgresql, True)


def test_both_databases_have_the_same_indexed_columns() -> None:
    sqlite, postgresql = ([line for line in statements(vendor) if " INDEX " in line] for vendor in BOTH)

    assert sqlite == postgresql


@pytest.mark.parametrize("vendor", BOTH)
def test_each_statement_creates_one_object_and_each_shown_column_is_computed(vendor: str) -> None:
    assert len({name_of(statement) for statement in statements(vendor)}) == len(statements(vendor))
    assert all(statement.startswith("CREATE ") for statement in statements(vendor))
    (table,) = (statement for statement in statements(vendor) if name_of(statement) == TABLE)
    assert tuple(re.findall(r"^    (\w+) \w+ GENERATED ALWAYS AS", table, flags=re.MULTILINE)) == SHOWN


@pytest.mark.parametrize("vendor", BOTH)
def test_each_guarded_table_refuses_changes_and_deletions(vendor: str) -> None:
    assert {f"{table}_refuses_{event}" for table in GUARDED for event in ("update", "delete")} <= set(guards(vendor))


@pytest.mark.django_db
def test_the_migration_created_the_tables_of_the_file() -> None:
    tables = set(connection.introspection.table_names(include_views=True))

    assert {*GUARDED, *map(name_of, views(connection.vendor))} <= tables
