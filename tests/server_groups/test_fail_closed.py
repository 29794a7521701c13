"""While the ledger is unavailable no PATCH is sent, pages work and name the cause. No restart is needed afterwards."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.test import Client, override_settings

from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger.chain import ADVISORY_LOCK
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.client import Client as CloudClient
from dashboard.cloud.client import UpdateResponse
from dashboard.cloud.projects import Project
from dashboard.server_groups import outcome_check
from dashboard.server_groups.settling import settle_unsettled
from tests.conftest import Simulated, address
from tests.ledger import empty_disk, fill_disk, without_table
from tests.markup import said
from tests.server_groups.conftest import entry_of

pytestmark = pytest.mark.django_db(transaction=True)
ON_SQLITE = connection.vendor == "sqlite"
LedgerFault = Callable[[], AbstractContextManager[None]]


@contextmanager
def locked() -> Iterator[None]:
    """Another program holds the write lock."""
    pragma("busy_timeout=100")
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()
    pragma("busy_timeout=10000")


@contextmanager
def trigger_raising() -> Iterator[None]:
    fill_disk("audit_changeintent")
    try:
        yield
    finally:
        empty_disk("audit_changeintent")


@contextmanager
def held_by_another_session() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")
        other = connections.create_connection("default")
        with other.cursor() as holder:
            holder.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        yield
        other.close()
        cursor.execute("SET lock_timeout = '10s'")


@contextmanager
def no_key() -> Iterator[None]:
    with override_settings(AUDIT_KEY=""):
        yield


def pragma(text: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {text}")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True)
class Case:
    fault: LedgerFault
    cause: str
    is_readable: bool = True
    is_ready: bool = True


SQLITE_CASES = {
    "locked": Case(locked, "database is locked"),
    "table missing": Case(without_table, "no such table", is_readable=False, is_ready=False),
}
POSTGRESQL_CASES = {"locked": Case(held_by_another_session, "lock timeout")}
CASES = {
    **(SQLITE_CASES if ON_SQLITE else POSTGRESQL_CASES),
    "trigger raising": Case(trigger_raising, "database or disk is full", is_ready=False),
    "key missing": Case(no_key, "STREAMWARDEN_AUDIT_KEY is missing"),
}
"""`tests/crash` has the faults that need a separate process: full and read-only disks, databases that stop."""


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fields", [{"status": "off", "reason": "INC-1"}, {"name": "TEST"}], ids=["switch", "edit"])
def test_an_unavailable_ledger_stops_changes_but_no_pages(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated, name: str, fields: dict[str, str]
) -> None:
    case, client, page = (
        CASES[name],
        client_as("administrator"),
        address("switch/" if "status" in fields else "edit/"),
    )

    with case.fault():
        refused = client.post(page, fields)
        pages = [client.get(shown).status_code for shown in (address(group_id=None), address(), "/healthz")]
        ledger, readiness = client.get("/projects/default/audit/"), client.get("/readyz").status_code
        sent = len(simulator.patches)

    assert (refused.status_code, sent, pages) == (503, 0, [200, 200, 200])
    assert case.cause in said(refused)
    assert "Nothing was changed: the dashboard does not send a change that it cannot record." in said(refused)
    assert (ledger.status_code, readiness) == (200 if case.is_readable else 503, 200 if case.is_ready else 503)
    assert case.is_readable or "The ledger cannot be read" in said(ledger)
    assert client.post(page, fields).status_code == 302
    assert (len(simulator.patches), ChangeIntent.objects.count()) == (1, 1)
    assert verify().count > 0


@pytest.mark.skipif(ON_SQLITE, reason="a file does not hang up")
def test_a_database_that_fails_between_intent_and_outcome(
    client_as: Callable[[str], Client],
    project: Project,
    simulator: Simulated,
    monkeypatch: pytest.MonkeyPatch,
    pause: Callable[[timedelta], None],
) -> None:
    client, real = client_as("administrator"), CloudClient.update_server_group

    def hang_up(
        self: CloudClient, group_id: str, payload: dict[str, object], *, send_within: float | None = None
    ) -> UpdateResponse:
        response = real(self, group_id, payload, send_within=send_within)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        other.close()
        return response

    with monkeypatch.context() as patch:
        patch.setattr(CloudClient, "update_server_group", hang_up)
        response = client.post(address("edit/"), {"name": "TEST"})
    connection.close()  # as at the end of a request
    pause(timedelta(seconds=outcome_check.CALL_SECONDS + 16))
    (tried,) = settle_unsettled()

    assert (response.status_code, len(simulator.patches)) == (503, 1)
    assert "The change was sent, but its outcome could not be recorded." in said(response)
    assert entry_of(tried.intent).outcomes == ["applied"]
    assert ChangeIntent.objects.count() == 1
