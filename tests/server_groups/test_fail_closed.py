"""On each bad day of the ledger no PATCH leaves, pages stay up, the cause is named, and no restart is needed after."""

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
BadDay = Callable[[], AbstractContextManager[None]]


@contextmanager
def locked() -> Iterator[None]:
    """Another program is writing and does not end."""
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
class Day:
    happens: BadDay
    cause: str
    is_readable: bool = True
    is_ready: bool = True


OF_SQLITE = {
    "locked": Day(locked, "database is locked"),
    "table missing": Day(without_table, "no such table", is_readable=False, is_ready=False),
}
OF_POSTGRESQL = {"locked": Day(held_by_another_session, "lock timeout")}
BAD_DAYS = {
    **(OF_SQLITE if ON_SQLITE else OF_POSTGRESQL),
    "trigger raising": Day(trigger_raising, "database or disk is full", is_ready=False),
    "key missing": Day(no_key, "STREAMWARDEN_AUDIT_KEY is missing"),
}
"""What a process of its own is needed for (full and read-only disks, databases that go away) is in `tests/crash`."""


@pytest.mark.parametrize("name", BAD_DAYS)
@pytest.mark.parametrize("fields", [{"status": "off", "reason": "INC-1"}, {"name": "TEST"}], ids=["switch", "edit"])
def test_without_a_ledger_nothing_leaves_and_pages_stay_up(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated, name: str, fields: dict[str, str]
) -> None:
    day, client, page = (
        BAD_DAYS[name],
        client_as("administrator"),
        address("switch/" if "status" in fields else "edit/"),
    )

    with day.happens():
        refused = client.post(page, fields)
        pages = [client.get(shown).status_code for shown in (address(group_id=None), address(), "/healthz")]
        ledger, readiness = client.get("/projects/default/audit/"), client.get("/readyz").status_code
        sent = len(simulator.patches)

    assert (refused.status_code, sent, pages) == (503, 0, [200, 200, 200])
    assert day.cause in said(refused)
    assert "A change that cannot be recorded is not sent: nothing was changed." in said(refused)
    assert (ledger.status_code, readiness) == (200 if day.is_readable else 503, 200 if day.is_ready else 503)
    assert day.is_readable or "The ledger cannot be read" in said(ledger)
    assert client.post(page, fields).status_code == 302
    assert (len(simulator.patches), ChangeIntent.objects.count()) == (1, 1)
    assert verify().count > 0


@pytest.mark.skipif(ON_SQLITE, reason="a file does not hang up")
def test_a_database_that_goes_away_between_intent_and_outcome(
    client_as: Callable[[str], Client],
    project: Project,
    simulator: Simulated,
    monkeypatch: pytest.MonkeyPatch,
    pause: Callable[[timedelta], None],
) -> None:
    client, real = client_as("administrator"), CloudClient.update_server_group

    def hang_up(self: CloudClient, group_id: str, payload: dict[str, object]) -> UpdateResponse:
        answer = real(self, group_id, payload)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        other.close()
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(CloudClient, "update_server_group", hang_up)
        answer = client.post(address("edit/"), {"name": "TEST"})
    connection.close()  # as the end of a request does
    pause(timedelta(seconds=outcome_check.CALL_SECONDS + 16))
    (tried,) = settle_unsettled()

    assert (answer.status_code, len(simulator.patches)) == (503, 1)
    assert "The change was sent, but its outcome could not be recorded." in said(answer)
    assert entry_of(tried.intent).outcomes == ["applied"]
    assert ChangeIntent.objects.count() == 1
