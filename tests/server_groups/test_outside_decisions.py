"""Which differences a change in the ledger explains, which ones wait for its outcome, and which ones are recorded."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import (
    Change,
    OutcomeDetails,
    last_intent,
    record_closed,
    record_intent,
    record_outcome,
)
from dashboard.audit.models import ChangeIntent, Kind, Outcome, Value
from dashboard.inventory.models import Difference, GroupCopy
from dashboard.server_groups.outside import record_outside_changes
from tests.audit.conftest import attempt

pytestmark = pytest.mark.django_db

GROUP, STANDBY = "g-1", "g-2"
AFTER_AN_HOUR = timedelta(minutes=62)
Pause = Callable[[timedelta], None]


@pytest.fixture
def by(acting: Callable[[str], Actor]) -> Actor:
    return acting("administrator")


def sent(by: Actor, *outcomes: str, field: str = "description", before: str = "old", after: str = "new") -> None:
    """Record a change of the group that was sent, with its outcomes."""
    newest, change = last_intent("default", GROUP), Change(field, field, before, after)
    entry = attempt(by, change, group_id=GROUP, key=uuid.uuid4().hex)
    seen_number = newest.number if newest else 0
    intent, _ = record_intent(entry, seen_number=seen_number, max_duration=timedelta(0))
    for outcome in outcomes:
        record_outcome(intent, OutcomeDetails(Outcome(outcome), "because"))


def found(
    after: str = "new",
    *,
    before: str = "old",
    path: str = "description",
    group_id: str = GROUP,
    since: datetime | None = None,
    until: datetime | None = None,
) -> None:
    """Store a difference, if not said otherwise between two reads of a minute ago and of now."""
    now = timezone.now()
    times = {"since": since or now - timedelta(minutes=1), "until": until or now}
    group = {"project": "default", "group_id": group_id, "group_name": "design-pool"}
    Difference.objects.create(path=path, before=before, after=after, **group, **times)


def recorded() -> list[tuple[Value, Value]]:
    """The old and the new value of each entry from outside, oldest first."""
    entries = ChangeIntent.objects.filter(kind=Kind.OUTSIDE).order_by("number").with_rows()
    return [(row.before, row.after) for entry in entries for row in entry.fields.all()]


def decided() -> str:
    """The decision about the only difference."""
    record_outside_changes()
    if Difference.objects.exists():
        return "waits"
    return "recorded" if recorded() else "dropped"


@pytest.mark.parametrize(
    ("outcomes", "at_once", "after_an_hour"),
    [
        ((), "waits", "dropped"),
        (("unknown",), "waits", "dropped"),
        (("unknown", "applied"), "dropped", "dropped"),
        (("unknown", "not_applied"), "waits", "recorded"),
        (("unknown", "conflict"), "waits", "dropped"),
        (("unknown", "not_applied", "applied"), "dropped", "dropped"),
        (("accepted",), "waits", "dropped"),
        (("rejected",), "recorded", "recorded"),
        (("not_sent",), "recorded", "recorded"),
    ],
)
def test_the_outcome_of_the_change_to_the_same_value_decides(
    by: Actor, pause: Pause, outcomes: tuple[str, ...], at_once: str, after_an_hour: str
) -> None:
    sent(by, *outcomes)
    found()

    first = decided()
    pause(AFTER_AN_HOUR)

    assert (first, decided()) == (at_once, after_an_hour)


@pytest.mark.parametrize("outcome", [Outcome.CONFLICT, Outcome.NOT_SENT, Outcome.DENIED])
def test_a_change_that_ended_before_the_patch_explains_nothing(by: Actor, outcome: Outcome) -> None:
    kind = Kind.DENIED if outcome == Outcome.DENIED else Kind.EDIT
    entry = attempt(by, Change("description", "Description", "old", "new"), group_id=GROUP, kind=kind)
    record_closed(entry, OutcomeDetails(outcome, "because"))
    found()

    assert decided() == "recorded"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(20, "dropped", id="a read that may be stale"),
        pytest.param(40, "recorded", id="a read that showed another value again"),
    ],
)
def test_a_change_explains_only_what_the_reads_show_after_it(
    by: Actor, pause: Pause, seconds: int, expected: str
) -> None:
    sent(by, "applied")
    verified_at = timezone.now()
    pause(timedelta(minutes=2))
    found(since=verified_at + timedelta(seconds=seconds))

    assert decided() == expected


def test_a_change_back_to_the_old_value_is_recorded(by: Actor) -> None:
    sent(by, "applied")
    found("old", before="new", since=timezone.now())

    assert decided() == "recorded"
    assert recorded() == [("new", "old")]


def test_a_change_of_another_field_or_group_explains_nothing(by: Actor) -> None:
    sent(by, field="name")
    sent(by, "applied")
    found(group_id="another")
    found(path="ou_name")

    record_outside_changes()

    assert recorded() == [("old", "new"), ("old", "new")]


def test_differences_of_a_field_keep_their_order(by: Actor) -> None:
    sent(by, "unknown")
    found("new")
    found("third", before="new")
    found("theirs", before="", path="ou_name")

    record_outside_changes()
    while_unknown, waiting = recorded(), Difference.objects.count()
    record_outcome(ChangeIntent.objects.get(kind=Kind.EDIT), OutcomeDetails(Outcome.APPLIED, "because"))
    record_outside_changes()

    assert (while_unknown, waiting) == ([("", "theirs")], 2)
    assert recorded() == [("", "theirs"), ("new", "third")]
    assert Difference.objects.count() == 0


@pytest.mark.parametrize(("path", "expected"), [("app_type", "dropped"), ("description", "recorded")])
def test_a_primary_group_explains_only_the_fields_that_cascade(by: Actor, path: str, expected: str) -> None:
    now, members = timezone.now(), {"id": STANDBY, "primary_server_group_ids": [GROUP]}
    GroupCopy.objects.create(project="default", group_id=STANDBY, data=members, read_at=now, first_seen_at=now)
    sent(by, "applied", field=path)
    found(path=path, group_id=STANDBY)

    assert decided() == expected


def test_a_field_that_the_table_no_longer_has_is_recorded() -> None:
    found(path="was_a_field")

    assert decided() == "recorded"
    assert ChangeIntent.objects.get().fields.get().label == "was_a_field"


def test_each_interval_of_a_group_has_its_own_entry() -> None:
    now = timezone.now()
    for path, minutes in (("description", 1), ("name", 5), ("ou_name", 1)):
        found(path=path, since=now - timedelta(minutes=minutes), until=now)

    record_outside_changes()

    entries = ChangeIntent.objects.order_by("number").with_rows()
    assert [[row.field for row in entry.fields.all()] for entry in entries] == [["name"], ["description", "ou_name"]]
