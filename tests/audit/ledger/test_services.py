"""The services that append to the ledger: what they record, what they refuse, and that they write all or nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import (
    Change,
    ChangeUnderWayError,
    LedgerError,
    LedgerMovedError,
    OutcomeDetails,
    find_recent_changes,
    record_closed,
    record_intent,
    record_outcome,
)
from dashboard.audit.models import ACCEPTED_PROOF, ChangeIntent, ChangeOutcome, Kind, Outcome
from tests.audit.conftest import NOON, SESSIONS, Enter, attempt
from tests.ledger import fill_disk

pytestmark = pytest.mark.django_db
People = Callable[[str], Actor]
MAX_DURATION = timedelta(seconds=30)


def record(by: Actor, *, seen_number: int = 0, **options: Any) -> tuple[ChangeIntent, bool]:
    return record_intent(attempt(by, **options), seen_number=seen_number, max_duration=MAX_DURATION)


def test_an_intent_copies_all_names(acting: People) -> None:
    by = acting("administrator")
    changes = (SESSIONS, Change("description", "Description", "", "研发 <b>"), Change("ou_name", "OU", None, True))

    intent, is_new = record_intent(
        attempt(by, *changes, reason="INC-4711", kind=Kind.SWITCH), seen_number=0, max_duration=MAX_DURATION
    )
    by.user.username = "renamed"
    by.user.save()

    kept = ChangeIntent.objects.get()
    assert (intent, is_new) == (kept, True)
    assert (kept.actor, kept.actor_id, kept.from_address) == ("administrator", by.user.pk, "192.0.2.7")
    assert (kept.project, kept.group_id, kept.group_name) == ("default", "g-1", "design-pool")
    assert (kept.kind, kept.reason) == ("switch", "INC-4711")
    assert list(kept.fields.values_list("field", "label", "before", "after")) == [
        ("route_policy.max_session", "Maximum sessions", 4, 6),
        ("description", "Description", "", "研发 <b>"),
        ("ou_name", "OU", None, True),
    ]


def test_a_used_key_returns_the_first_entry(acting: People) -> None:
    first, _ = record(acting("administrator"))

    again = record(acting("administrator"), reason="another")
    closed = record_closed(attempt(acting("administrator")), OutcomeDetails(Outcome.DENIED, ""))

    assert (again, closed) == ((first, False), first)
    assert ChangeOutcome.objects.count() == 0


@pytest.mark.parametrize("outcome", [None, Outcome.UNKNOWN])
def test_refuses_a_change_while_another_is_under_way(acting: People, outcome: Outcome | None) -> None:
    first, _ = record(acting("administrator"))
    if outcome:
        record_outcome(first, OutcomeDetails(outcome, ""))

    with pytest.raises(ChangeUnderWayError):
        record(acting("help desk"), key="another", seen_number=first.number)

    assert ChangeIntent.objects.count() == 1


def test_accepts_a_change_after_an_old_unsettled_one(acting: People, at: Callable[[datetime], None]) -> None:
    first, _ = record(acting("administrator"))

    at(datetime.now(UTC) + MAX_DURATION + timedelta(seconds=1))
    _, is_new = record(acting("help desk"), key="another", seen_number=first.number)

    assert is_new


@pytest.mark.parametrize("other", [{"group_id": "g-2"}, {"project": "elsewhere"}])
def test_accepts_a_change_while_one_of_another_group_is_under_way(acting: People, other: dict[str, Any]) -> None:
    record(acting("administrator"), **other)

    _, is_new = record(acting("administrator"), key="another")

    assert is_new


def test_refuses_an_intent_after_a_newer_entry(acting: People, enter: Enter) -> None:
    enter()

    with pytest.raises(LedgerMovedError):
        record(acting("administrator"), seen_number=0)


def test_keeps_the_first_settled_outcome(acting: People) -> None:
    intent, _ = record(acting("administrator"))

    rows = [
        record_outcome(intent, OutcomeDetails(outcome, ""))
        for outcome in (Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.APPLIED, Outcome.CONFLICT)
    ]

    assert [row.outcome for row in rows] == ["unknown", "unknown", "applied", "applied"]
    assert rows[2] == rows[3]


def test_an_outcome_has_the_error_of_the_cloud(acting: People) -> None:
    intent, _ = record(acting("administrator"))
    details = OutcomeDetails(Outcome.REJECTED, "The cloud refused.", 400, "WKS.1", "<b>no</b>", "req-1", 12)

    row = record_outcome(intent, details)

    kept = ChangeOutcome.objects.get()
    assert kept == row
    assert (kept.proof, kept.http_status, kept.error_code, kept.error_msg, kept.request_id, kept.duration_ms) == (
        "The cloud refused.",
        400,
        "WKS.1",
        "<b>no</b>",
        "req-1",
        12,
    )


@pytest.mark.parametrize(
    ("status", "proof", "is_accepted"),
    [
        (200, f"{ACCEPTED_PROOF} no read has shown the new values yet.", True),
        (200, "The response (HTTP 200) is not one that the cloud sends for a change.", False),
        (None, "", False),
        (500, ACCEPTED_PROOF, False),
    ],
)
def test_only_a_200_in_the_clouds_own_form_means_accepted(
    acting: People, status: int | None, proof: str, is_accepted: bool
) -> None:
    intent, _ = record(acting("administrator"))

    row = record_outcome(intent, OutcomeDetails(Outcome.UNKNOWN, proof, status))

    assert row.is_accepted is is_accepted


def test_cuts_long_texts(acting: People) -> None:
    intent = record_closed(
        attempt(acting("administrator"), group_id="g" * 500, group_name="n" * 500, reason="r" * 5000),
        OutcomeDetails(Outcome.REJECTED, "", 400, "c" * 500, "m" * 5000, "i" * 500),
    )

    outcome = intent.outcomes.get()
    lengths = [len(text) for text in (intent.group_id, intent.group_name, intent.reason)]
    assert lengths == [128, 255, 2000]
    assert [len(text) for text in (outcome.error_code, outcome.error_msg, outcome.request_id)] == [64, 2000, 128]


def test_records_an_attempt_without_fields(acting: People) -> None:
    by = acting("viewer")
    nothing = attempt(by)
    nothing = type(nothing)(**{**vars(nothing), "changes": ()})

    intent = record_closed(nothing, OutcomeDetails(Outcome.DENIED, "No permission."))

    assert (list(intent.fields.all()), intent.outcomes.get().outcome) == ([], "denied")


def test_writes_an_entry_and_its_index_together_or_not_at_all(acting: People) -> None:
    by = acting("administrator")
    fill_disk("audit_touchedfield")

    with pytest.raises(LedgerError, match="disk is full"):
        record(by)

    assert ChangeIntent.objects.count() == 0


def test_recent_changes_need_the_same_queries_for_any_number_of_groups(enter: Enter) -> None:
    def queries(count: int) -> int:
        ids = [f"g-{number}" for number in range(count)]
        with CaptureQueriesContext(connection) as captured:
            find_recent_changes("default", ids, pending_since=NOON - timedelta(minutes=1), history=10)
        return len(captured)

    for number in range(20):
        enter(group_id=f"g-{number}", outcomes=("unknown",) if number % 2 else ("applied",))

    assert queries(20) == queries(2)


def test_finds_only_recent_changes_of_the_requested_groups(enter: Enter) -> None:
    applied, pending = enter(), enter(outcomes=("unknown",))
    enter(group_id="g-2")
    enter(project="elsewhere")

    recent = find_recent_changes("default", ["g-1"], pending_since=NOON - timedelta(minutes=1), history=1)

    assert (recent.last, recent.pending, recent.history, recent.problem) == (
        {"g-1": applied},
        {"g-1": pending},
        (pending,),
        "",
    )
