"""The PostgreSQL role of docs/operation.md can run the dashboard, but can only append to the ledger."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger.guards import missing_guards
from dashboard.audit.ledger.schema import GUARDED, TABLE
from tests.audit.conftest import Enter

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no roles"),
]
FORBIDDEN = (
    *(
        f"{statement} {table}{rest}"
        for table in GUARDED
        for statement, rest in (
            ("DELETE FROM", ""),
            ("UPDATE", " SET number = 7"),
            ("TRUNCATE", ""),
            ("DROP TABLE", ""),
            ("ALTER TABLE", " DISABLE TRIGGER ALL"),
            ("ALTER TABLE", " RENAME TO renamed"),
            (f"DROP TRIGGER {table}_refuses_update ON", ""),
        )
    ),
    "CREATE OR REPLACE VIEW audit_changeintent AS SELECT 1 AS number",
    "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$",
    "SET session_replication_role = replica",
    "DELETE FROM django_migrations",
)


@pytest.fixture
def as_the_dashboard(db: None) -> Iterator[None]:
    """Create the role of docs/operation.md and become it. The rollback of the test removes it."""
    page = (settings.BASE_DIR / "docs/operation.md").read_text(encoding="utf-8")
    (statements,) = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    with connection.cursor() as cursor:
        cursor.execute(statements)
        cursor.execute("SET LOCAL ROLE streamwarden_app")
        yield
        cursor.execute("RESET ROLE")


@pytest.mark.usefixtures("as_the_dashboard")
def test_the_role_can_record_read_and_verify(enter: Enter) -> None:
    enter()

    assert (verify().count > 0, missing_guards()) == (True, [])


@pytest.mark.parametrize("statement", FORBIDDEN)
@pytest.mark.usefixtures("as_the_dashboard")
def test_the_role_cannot_change_the_ledger_or_its_guards(enter: Enter, statement: str) -> None:
    enter()

    refused = pytest.raises(DatabaseError, match=r"permission denied|must be owner")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert (verify().count > 0, missing_guards()) == (True, [])


@pytest.mark.usefixtures("as_the_dashboard")
def test_the_role_can_write_each_table_except_the_ledger() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
            "AND NOT has_table_privilege(format('%I.%I', schemaname, tablename), 'UPDATE, DELETE')"
        )
        kept = {name for (name,) in cursor.fetchall()}
    assert kept == {TABLE, "audit_touchedfield", "django_migrations"}


@pytest.mark.usefixtures("as_the_dashboard")
def test_archiving_needs_the_credentials_of_the_owner(enter: Enter, file: Path) -> None:
    enter()

    with pytest.raises(CommandError, match=r"run this with .* the credentials of streamwarden"):
        call_command("audit_archive", "--before", "2100-01-01", str(file))

    assert (verify().count > 0, missing_guards(), file.exists()) == (True, [], False)
