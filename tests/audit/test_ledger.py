"""The ledger only grows, and it remembers names as they were."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import Model

from dashboard.accounts.models import Actor
from dashboard.audit.models import AppendOnlyError, ChangeIntent, ChangeOutcome, FieldChange, Kind, Outcome
from dashboard.audit.services import (
    Attempt,
    Change,
    ChangeUnderWayError,
    LedgerMovedError,
    Verdict,
    last_intent,
    record_closed,
    record_intent,
    record_outcome,
)

PATIENCE = timedelta(seconds=30)


def attempt(by: Actor, key: str = "k-1", group_id: str = "g-1") -> Attempt:
    changes = (Change("route_policy.max_session", "Maximum sessions", 6, 8),)
    return Attempt("default", group_id, "design-pool", changes, Kind.EDIT, "INC-1", by, key)


@pytest.fixture
def intent(acting: Callable[[str], Actor]) -> ChangeIntent:
    recorded, _ = record_intent(attempt(acting("administrator")), seen_number=0, patience=PATIENCE)
    record_outcome(recorded, Verdict(Outcome.APPLIED, "A read shows it."))
    return recorded


def test_names_are_copied_and_outlive_the_person(intent: ChangeIntent, acting: Callable[[str], Actor]) -> None:
    acting("administrator").user.delete()

    (row,) = ChangeIntent.objects.all()
    (field,) = row.fields.all()
    assert (row.actor, row.from_address, row.group_name, row.reason) == (
        "administrator",
        "192.0.2.7",
        "design-pool",
        "INC-1",
    )
    assert (field.field, field.label, field.before, field.after) == (
        "route_policy.max_session",
        "Maximum sessions",
        6,
        8,
    )


@pytest.mark.parametrize("model", [ChangeIntent, FieldChange, ChangeOutcome])
def test_no_row_is_changed_or_deleted(intent: ChangeIntent, model: type[Model]) -> None:
    row = model._default_manager.get()

    for change in (
        row.save,
        row.delete,
        lambda: model._default_manager.update(pk=9),
        lambda: model._default_manager.all().delete(),
        lambda: model._default_manager.bulk_create([], ignore_conflicts=True),
    ):
        with pytest.raises(AppendOnlyError):
            change()

    assert model._default_manager.get() == row


def test_the_newest_outcome_counts_and_a_settled_one_stays(acting: Callable[[str], Actor]) -> None:
    recorded, _ = record_intent(attempt(acting("administrator")), seen_number=0, patience=PATIENCE)

    for outcome in (Outcome.UNKNOWN, Outcome.APPLIED, Outcome.NOT_APPLIED):
        record_outcome(recorded, Verdict(outcome, "seen"))

    assert [row.outcome for row in recorded.outcomes.all()] == ["unknown", "applied"]
    assert recorded.is_settled


def test_a_key_is_used_once(intent: ChangeIntent, acting: Callable[[str], Actor]) -> None:
    again, is_new = record_intent(attempt(acting("administrator")), seen_number=intent.number, patience=PATIENCE)
    closed = record_closed(attempt(acting("administrator")), Verdict(Outcome.CONFLICT, "seen"))

    assert (again, is_new, closed) == (intent, False, intent)
    assert ChangeIntent.objects.count() == 1


def test_a_change_waits_for_the_one_before_it(acting: Callable[[str], Actor]) -> None:
    first, _ = record_intent(attempt(acting("administrator")), seen_number=0, patience=PATIENCE)

    with pytest.raises(ChangeUnderWayError):
        record_intent(attempt(acting("administrator"), "k-2"), seen_number=first.number, patience=PATIENCE)
    record_outcome(first, Verdict(Outcome.APPLIED, "seen"))
    with pytest.raises(LedgerMovedError):
        record_intent(attempt(acting("administrator"), "k-2"), seen_number=0, patience=PATIENCE)
    _, elsewhere = record_intent(attempt(acting("administrator"), "k-3", "g-2"), seen_number=0, patience=PATIENCE)

    assert elsewhere
    assert last_intent("default", "g-1") == first


def test_rows_say_what_they_are(intent: ChangeIntent) -> None:
    assert str(intent) == f"{intent.number}: administrator, design-pool"
    assert str(intent.fields.get()) == "Maximum sessions: 6 to 8"
    assert str(intent.outcomes.get()) == "Applied: A read shows it."
