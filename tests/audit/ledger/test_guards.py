"""The database refuses to change a row. The start and /readyz report missing guards."""

from contextlib import suppress
from typing import Any

import pytest
from django.core.checks import Tags, run_checks
from django.db import DatabaseError, connection, transaction
from django.test import Client
from pytest_django import Settings

from dashboard.audit.ledger.guards import altered_views, missing_guards
from dashboard.audit.ledger.schema import GUARDED, TABLE, guards
from dashboard.audit.ledger.services import LedgerError
from dashboard.audit.models import ChangeIntent
from dashboard.cloud import client as cloud_client
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.limits import Limits
from dashboard.cloud.projects import Project
from tests.audit.conftest import Enter
from tests.conftest import DESIGN_POOL, Simulated, fault
from tests.ledger import unguarded, without_table

pytestmark = pytest.mark.django_db
ON_POSTGRESQL = connection.vendor == "postgresql"


def run(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


STATEMENTS = [
    *(f"DELETE FROM {table}" for table in GUARDED),
    f"DELETE FROM {TABLE} WHERE number = 1",
    f"UPDATE {TABLE} SET facts = facts",
    f"UPDATE {TABLE} SET mac = 'x' WHERE number = 1",
    "UPDATE audit_touchedfield SET field = 'x'",
    *(
        (f"TRUNCATE {TABLE} CASCADE", "TRUNCATE audit_touchedfield")
        if ON_POSTGRESQL
        else (
            f"REPLACE INTO {TABLE} SELECT number, facts, hash, mac FROM {TABLE}",
            f"INSERT OR REPLACE INTO {TABLE} (number, facts, hash, mac) SELECT number, facts, hash, 'x' FROM {TABLE}",
            f"UPDATE OR REPLACE {TABLE} SET mac = 'x'",
        )
    ),
    (
        f"INSERT INTO {TABLE} (number, facts, hash, mac) SELECT number, facts, hash, mac FROM {TABLE} WHERE true "
        "ON CONFLICT (number) DO UPDATE SET mac = 'x'"
    ),
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_statement_changes_a_row(enter: Enter, statement: str) -> None:
    enter()
    before = run(f"SELECT number, facts, hash, mac FROM {TABLE}")

    with pytest.raises(DatabaseError), transaction.atomic():
        run(statement)

    assert run(f"SELECT number, facts, hash, mac FROM {TABLE}") == before
    assert ChangeIntent.objects.count() == 1


@pytest.mark.parametrize("number", ["2", "0", "-1"])
def test_a_row_has_the_number_of_its_facts(enter: Enter, number: str) -> None:
    enter()

    with pytest.raises(DatabaseError), transaction.atomic():
        run(f"INSERT INTO {TABLE} SELECT {number}, facts, hash, mac FROM {TABLE}")


@pytest.mark.parametrize("guard", sorted(guards(connection.vendor)))
def test_a_missing_guard_is_an_error_at_start_and_makes_the_dashboard_unready(guard: str) -> None:
    assert (run_checks(tags=[Tags.database], databases=["default"]), Client().get("/readyz").status_code) == ([], 200)

    table = next((table for table in GUARDED if guard.startswith(table)), TABLE)
    run(f"DROP TRIGGER {guard}" + (f" ON {table}" if ON_POSTGRESQL else ""))
    (error,) = run_checks(tags=[Tags.database], databases=["default"])
    answer = Client().get("/readyz")

    assert error.msg == f"Ledger: {guard} is missing, off or altered."
    assert (answer.status_code, answer.json()["ledger"]) == (
        503,
        [f"{guard} is missing, off or altered"],
    )


def test_finds_a_disabled_or_replaced_guard() -> None:
    with unguarded():
        pass
    name = f"{TABLE}_refuses_update"
    if ON_POSTGRESQL:
        run(f"ALTER TABLE {TABLE} DISABLE TRIGGER {name}")
    else:
        run(f"DROP TRIGGER {name}")
        run(f"CREATE TRIGGER {name} BEFORE UPDATE ON {TABLE} BEGIN SELECT 1; END")

    assert missing_guards() == [f"{name} is missing, off or altered"]


ALTERED = (
    [
        (
            "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$",
            "audit_refuse is missing, off or altered",
        ),
        (f"ALTER TABLE {TABLE} ALTER COLUMN actor DROP EXPRESSION", "the column actor is not computed from the facts"),
    ]
    if ON_POSTGRESQL
    else [
        ("DROP VIEW audit_systemevent", "audit_systemevent is missing, off or altered"),
        ("DROP INDEX audit_key", "audit_key is missing, off or altered"),
    ]
)


@pytest.mark.parametrize(("statement", "problem"), ALTERED)
def test_finds_altered_functions_columns_views_and_keys(statement: str, problem: str) -> None:
    run(statement)

    assert missing_guards() == [problem]


ADDED = (
    [
        ("CREATE RULE audit_lost AS ON INSERT TO {} DO INSTEAD NOTHING", "audit_lost (rule)"),
        ("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", f"{TABLE} (row security)"),
        (
            (
                "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$; "
                "CREATE TRIGGER audit_lost BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION lose()"
            ),
            "audit_lost (trigger)",
        ),
    ]
    if ON_POSTGRESQL
    else [("CREATE TRIGGER audit_lost BEFORE INSERT ON {} BEGIN SELECT RAISE(IGNORE); END", "audit_lost (trigger)")]
)


@pytest.mark.parametrize(("statement", "added"), ADDED)
def test_finds_triggers_and_rules_that_could_discard_rows(statement: str, added: str) -> None:
    run(statement.format(TABLE))

    assert missing_guards() == [f"{added} is not part of the ledger"]


@pytest.mark.parametrize("statement", [statement for statement, added in ADDED if "security" not in added])
def test_reports_a_row_that_the_database_discards(enter: Enter, statement: str) -> None:
    run(statement.format(TABLE))

    with pytest.raises(LedgerError, match="the database did not take the row"):
        enter()


@pytest.mark.skipif(not ON_POSTGRESQL, reason="SQLite's views are looked at with the guards")
def test_finds_an_altered_view(capsys: pytest.CaptureFixture[str]) -> None:
    assert altered_views() == []
    ((definition,),) = run("SELECT pg_get_viewdef('audit_changeintent'::regclass)")

    run(f"CREATE OR REPLACE VIEW audit_changeintent AS {definition.rstrip(';')} AND actor <> 'mallory'")

    assert altered_views() == ["audit_changeintent is missing or altered"]
    assert run("SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'v'") == [(0,)]


@pytest.mark.skipif(not ON_POSTGRESQL, reason="PostgreSQL's setting")
@pytest.mark.parametrize("statement", STATEMENTS[:4])
def test_guards_work_with_the_settings_of_a_replica(enter: Enter, statement: str) -> None:
    enter()
    run("SET LOCAL session_replication_role = replica")

    with pytest.raises(DatabaseError, match="never changed or deleted"), transaction.atomic():
        run(statement)


def test_expects_no_guards_before_the_migration() -> None:
    run("DELETE FROM django_migrations WHERE app = 'audit'")
    run(f"DROP TRIGGER {TABLE}_refuses_update" + (f" ON {TABLE}" if ON_POSTGRESQL else ""))

    assert run_checks(tags=[Tags.database], databases=["default"]) == []


@pytest.mark.skipif(ON_POSTGRESQL, reason="SQLite's pragma")
def test_finds_disabled_recursive_triggers() -> None:
    run("PRAGMA recursive_triggers=OFF")
    try:
        assert missing_guards() == ["recursive_triggers is off, so REPLACE can delete rows"]
    finally:
        run("PRAGMA recursive_triggers=ON")


@pytest.mark.django_db(transaction=True)
def test_is_not_ready_without_the_ledger() -> None:
    with without_table():
        answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert f"{TABLE} is missing, off or altered" in answer.json()["ledger"]


def test_is_not_ready_without_the_database_but_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_query: str) -> None:
        raise DatabaseError("no route to host")

    monkeypatch.setattr("dashboard.audit.ledger.guards._read", fail)
    answer = Client().get("/readyz")
    (warning,) = run_checks(tags=[Tags.database], databases=["default"])

    assert (answer.status_code, answer.json()["database"]) == (503, "unavailable")
    assert warning.msg == "Ledger: the database cannot be read: no route to host"


def test_readiness_shows_the_state_of_the_cloud_but_does_not_depend_on_it(
    project: Project, simulator: Simulated
) -> None:
    cloud_client._clients[project] = cloud_client.Client(project, Limits(backoff=0.01))
    before = Client().get("/readyz")
    simulator.inject(fault("bad_gateway", "GET", times=None))
    for _ in range(15):
        with suppress(CloudError):
            client_for(project).show_server_group(DESIGN_POOL)
    after = Client().get("/readyz")

    assert [answer.status_code for answer in (before, after)] == [200, 200]
    assert [answer.json()["cloud"] for answer in (before, after)] == [{"ok": 1}, {"locked": 1}]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("k" * 31, ["audit.W002"]), ("the secret key of this dashboard", ["audit.W002"]), ("k" * 32, [])],
)
def test_warns_about_a_weak_key_before_deployment(settings: Settings, key: str, expected: list[str]) -> None:
    settings.SECRET_KEY, settings.AUDIT_KEY = "the secret key of this dashboard", key

    messages = run_checks(tags=[Tags.security], include_deployment_checks=True)

    assert [message.id for message in messages if str(message.id).startswith("audit")] == expected
