"""What was recorded before the ledger was sealed is taken over whole, and says so."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from dashboard.audit.export import all_rows
from dashboard.audit.guards import missing_guards
from dashboard.audit.models import ChangeIntent, HouseEvent, OpenChange
from dashboard.audit.verification import verify

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
LEDGER = ("audit_ledgerrow", "audit_touchedfield", "audit_openchange")
VIEWS = ("audit_changeintent", "audit_changeoutcome", "audit_houseevent", "audit_fieldchange")
FUNCTIONS = ("audit_moment(text)", "audit_refuse()", "audit_note_fields()")


@pytest.fixture
def before() -> Iterator[ProjectState]:
    """The database as it was before; the test brings it to what it is now."""
    with connection.cursor() as cursor:
        for view in VIEWS:
            cursor.execute(f"DROP VIEW {view}")
        for table in LEDGER:
            cursor.execute(f"DROP TABLE {table}")
        for function in FUNCTIONS if connection.vendor == "postgresql" else ():
            cursor.execute(f"DROP FUNCTION {function}")
    state = MigrationExecutor(connection).loader.project_state(("audit", "0001_initial"))
    with connection.schema_editor() as editor:
        for name in ("ChangeIntent", "ChangeOutcome", "FieldChange"):
            editor.create_model(state.apps.get_model("audit", name))
    yield state
    assert missing_guards() == []


def seal(state: ProjectState) -> None:
    migration = MigrationExecutor(connection).loader.get_migration("audit", "0002_sealed")
    with connection.schema_editor(atomic=True) as editor:
        migration.apply(state, editor)


def record(state: ProjectState, number: int, *, begun: int, outcomes: dict[int, str]) -> None:
    """A change of two fields, as it was recorded then; seconds after noon, and what came of it at which of them."""
    models = {name: state.apps.get_model("audit", name) for name in ("ChangeIntent", "ChangeOutcome", "FieldChange")}
    intent: Any = models["ChangeIntent"].objects.create(
        key=f"form {number}",
        at=NOON + timedelta(seconds=begun),
        project="default",
        group_id=f"g-{number}",
        group_name="设计",
        actor="admin",
        actor_id=1,
        from_address="192.0.2.7",
        kind="edit",
        reason="INC-1",
    )
    for field, old, new in (("name", "old", "new"), ("route_policy.max_session", None, 4)):
        models["FieldChange"].objects.create(intent=intent, field=field, label=field, before=old, after=new)
    for second, outcome in outcomes.items():
        models["ChangeOutcome"].objects.create(
            intent=intent, at=NOON + timedelta(seconds=second), outcome=outcome, proof="read", http_status=200
        )


def test_all_rows_are_sealed_in_the_order_of_time(before: ProjectState) -> None:
    record(before, 1, begun=0, outcomes={20: "unknown", 30: "applied"})
    record(before, 2, begun=10, outcomes={})
    record(before, 3, begun=25, outcomes={26: "unknown"})

    seal(before)

    rows = [json.loads(row.json) for row in all_rows()]
    assert verify().count == 7
    assert [(row["at"][17:19], row["group_id"], row["intent"], row["outcome"]) for row in rows[:-1]] == [
        ("00", "g-1", None, None),
        ("10", "g-2", None, None),
        ("20", "g-1", 1, "unknown"),
        ("25", "g-3", None, None),
        ("26", "g-3", 4, "unknown"),
        ("30", "g-1", 1, "applied"),
    ]
    assert rows[0]["changes"] == [
        {"field": "name", "label": "name", "before": "old", "after": "new"},
        {"field": "route_policy.max_session", "label": "route_policy.max_session", "before": None, "after": 4},
    ]
    told = "6 rows from before the ledger was chained and keyed were sealed as they stood."
    assert [event.proof for event in HouseEvent.objects.all()] == [told]


def test_what_is_not_settled_is_still_on_the_list_of_work(before: ProjectState) -> None:
    record(before, 1, begun=0, outcomes={1: "applied"})
    record(before, 2, begun=5, outcomes={})

    seal(before)

    (left,) = OpenChange.objects.all()
    assert (left.group_id, left.begun_at) == ("g-2", NOON + timedelta(seconds=5))
    assert ChangeIntent.objects.unsettled().get().group_id == "g-2"


def test_an_empty_one_stays_empty(before: ProjectState) -> None:
    seal(before)

    assert verify().count == 0
