"""Read and append to the ledger. A failed read or append raises `LedgerError`.

Only this module and `folding` add rows.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.utils import timezone

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.chain import Head, append, lock_ledger, read_facts
from dashboard.audit.ledger.checkpoints import write_checkpoint
from dashboard.audit.ledger.write_lock import BusyError, WriteQueue, file_lock
from dashboard.audit.models import (
    CORRECTED,
    ChangeIntent,
    ChangeIntentQuerySet,
    ChangeOutcome,
    EventKind,
    Kind,
    OpenChange,
    OpenChangeQuerySet,
    Outcome,
    Value,
    may_be_applied_late,
)

logger = logging.getLogger(__name__)
_queue = WriteQueue()

OBSERVE_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=60))
"""The times after the start of a change at which its group is read again, while the cloud may still apply it."""
MAX_TEXT = 2000
"""Characters kept of a text from outside, so that refused attempts do not fill the ledger."""


class LedgerError(Exception):
    """The ledger cannot be read or written. An action that must be recorded must not happen."""


class OutcomeNotRecordedError(LedgerError):
    """A change was sent, but its outcome could not be recorded. A later read settles it."""


class ChangeUnderWayError(Exception):
    """Another change to this group is under way. Nothing was recorded."""


class LedgerMovedError(Exception):
    """The ledger has a newer change to this group: read the group again. Nothing was recorded."""


@dataclass(frozen=True)
class Change:
    """The change of one field. `field` is its path in the API body."""

    field: str
    label: str
    before: Value
    after: Value


@dataclass(frozen=True)
class Attempt:
    """The content of an intent.

    `group_name` is the name at the time of the change. `key` identifies a submitted form: it is recorded only once.
    """

    project: str
    group_id: str
    group_name: str
    changes: tuple[Change, ...]
    kind: Kind
    reason: str
    by: Actor
    key: str


@dataclass(frozen=True)
class OutsideChange:
    """A change to a group that someone made outside the dashboard. `proof` says how it was found."""

    project: str
    group_id: str
    group_name: str
    changes: tuple[Change, ...]
    proof: str


@dataclass(frozen=True)
class OutcomeDetails:
    """The outcome of a change, its evidence in `proof`, and the cloud's error, if there is one."""

    outcome: Outcome
    proof: str
    http_status: int | None = None
    error_code: str = ""
    error_msg: str = ""
    request_id: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True)
class Event:
    """The content of a system event. `actor` is empty and `actor_id` None if no account is known."""

    kind: EventKind
    actor: str = ""
    actor_id: int | None = None
    address: str = ""
    proof: str = ""
    outcome: Outcome = Outcome.APPLIED
    changes: tuple[Change, ...] = ()


@contextmanager
def reading_ledger() -> Iterator[None]:
    """Turn each error of the database, of the lock files and of the key into a LedgerError."""
    try:
        yield
    except (DatabaseError, InterfaceError, BusyError, OSError, ImproperlyConfigured) as error:
        raise LedgerError(str(error)) from error


@contextmanager
def appending() -> Iterator[None]:
    """Hold the write lock and a transaction. Raises LedgerError.

    A caller in an open transaction does not queue: it holds the lock of the database already, and would block the rest.
    """
    with reading_ledger():
        if connection.in_atomic_block or connection.vendor != "sqlite":
            with transaction.atomic():
                lock_ledger()
                yield
        else:
            with _queue.lock(), file_lock(Path(connection.settings_dict["NAME"])), transaction.atomic():
                yield


def last_intent(project: str, group_id: str) -> ChangeIntent | None:
    """The newest intent for this group."""
    with reading_ledger():
        return ChangeIntent.objects.for_group(project, group_id).first()


def find_change(project: str, group_id: str, number: str) -> ChangeIntent | None:
    """Find an entry of this group by the number in an address."""
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    with reading_ledger():
        return ChangeIntent.objects.for_group(project, group_id).filter(number=int(number)).with_rows().first()


def find_intent(number: int) -> ChangeIntent:
    with reading_ledger():
        return ChangeIntent.objects.with_rows().get(number=number)


def find_by_key(key: str) -> ChangeIntent | None:
    with reading_ledger():
        return ChangeIntent.objects.filter(key=key).first()


@dataclass(frozen=True)
class RecentChanges:
    """The entries that a page about groups shows, by group id.

    If the ledger cannot be read, there are none and `problem` has the reason, so that the page can still be shown.
    """

    last: Mapping[str, ChangeIntent]
    pending: Mapping[str, ChangeIntent]
    history: tuple[ChangeIntent, ...] = ()
    problem: str = ""


def find_recent_changes(
    project: str, group_ids: list[str], *, pending_since: datetime, history: int = 0
) -> RecentChanges:
    """Find the last applied change of each group, unsettled changes since `pending_since`, and the newest entries.

    `history` is the greatest number of newest entries.
    """
    rows = ChangeIntent.objects.all()
    try:
        with reading_ledger():
            newest = rows.filter(project=project, group_id__in=group_ids).with_rows()[:history] if history else ()
            last, pending = rows.recent_per_group(project, group_ids, since=pending_since)
            return RecentChanges(last, pending, history=tuple(newest))
    except LedgerError as error:
        logger.exception("The ledger cannot be read")
        return RecentChanges({}, {}, problem=str(error))


def list_unsettled(*, project: str = "", since: datetime | None = None, before: datetime | None = None) -> list[int]:
    """List the numbers of unsettled changes, oldest first. `audit_verify` compares this list with the ledger."""
    with reading_ledger():
        return list(_unsettled(project, since, before).values_list("number", flat=True))


def _unsettled(project: str, since: datetime | None, before: datetime | None) -> OpenChangeQuerySet:
    rows = OpenChange.objects.unsettled()
    if project:
        rows = rows.filter(project=project)
    if since:
        rows = rows.filter(begun_at__gte=since)
    return rows.filter(begun_at__lt=before) if before else rows


def count_unsettled_and_corrected(project: str, *, unsettled_before: datetime, corrected_since: datetime) -> int:
    """Count the changes of `list_unsettled()` and of `find_corrected()`, in one query."""
    unsettled = _unsettled(project, None, unsettled_before).order_by().values_list("number")
    corrected = find_corrected(project, since=corrected_since).order_by().values_list("number")
    with reading_ledger():
        return unsettled.union(corrected).count()


def list_observed(*, project: str = "", due_at: datetime | None = None) -> list[int]:
    """List the numbers of changes under observation, oldest first. `due_at` selects those with a read due then."""
    rows = OpenChange.objects.observed()
    if project:
        rows = rows.filter(project=project)
    if due_at:
        rows = rows.filter(Q(next_read_at=None) | Q(next_read_at__lte=due_at))
    with reading_ledger():
        return list(rows.values_list("number", flat=True))


def find_corrected(project: str, *, since: datetime) -> ChangeIntentQuerySet:
    """Find changes that the cloud applied after another outcome was recorded, newest first."""
    first = _first_number(since)
    applied_later = ChangeOutcome.objects.filter(
        intent=OuterRef("intent"), number__gt=OuterRef("number"), outcome=Outcome.APPLIED
    )
    earlier = ChangeOutcome.objects.filter(project=project, outcome__in=CORRECTED, intent_id__gte=first)
    return ChangeIntent.objects.filter(number__in=earlier.filter(Exists(applied_later)).values("intent_id"))


def find_recent(project: str, kind: Kind, *, since: datetime) -> ChangeIntentQuerySet:
    """Find the changes of a kind since a time, newest first."""
    return ChangeIntent.objects.filter(project=project, kind=kind, number__gte=_first_number(since))


def _first_number(since: datetime) -> Subquery:
    """The number of the first change since a time."""
    return Subquery(ChangeIntent.objects.filter(at__gte=since).order_by("at", "number").values("number")[:1])


def find_unsettled(project: str, group_id: str, *, begun_before: datetime) -> list[ChangeIntent]:
    """Find the unsettled changes to a group, with their rows."""
    with reading_ledger():
        rows = ChangeIntent.objects.for_group(project, group_id).unsettled()
        return [row for row in rows.with_rows() if row.begun_at < begun_before]


def find_later(intent: ChangeIntent) -> ChangeIntent | None:
    """Find a later change to a field of this one that was applied, or may have been applied.

    A later change that is *not applied so far* counts only if this intent has an outcome. If both set the same value,
    a late application counts for the later change. A change outside the dashboard was found by a read, so a read
    decides.
    """
    may_be_applied = {Outcome.APPLIED, Outcome.ACCEPTED, Outcome.CONFLICT, Outcome.UNKNOWN}
    if intent.is_settled:
        may_be_applied.add(Outcome.NOT_APPLIED)
    fields = {row.field for row in intent.fields.all()}
    with reading_ledger():
        later = ChangeIntent.objects.for_group(intent.project, intent.group_id).filter(number__gt=intent.number)
        later = later.exclude(kind=Kind.OUTSIDE)
        for change in later.order_by("number").with_rows():
            last = change.last_outcome
            counts = last is None or last.outcome in may_be_applied
            if counts and fields & {row.field for row in change.fields.all()}:
                return change
    return None


@contextmanager
def leased(number: int, duration: timedelta) -> Iterator[ChangeIntent | None]:
    """Lease an open change: no other process reads its group meanwhile.

    Yields None if another process has the lease, or if the change is not open. Ignores a lease longer than `duration`:
    no process takes such a lease. Raises OutcomeNotRecordedError: without a lease, an outcome cannot be recorded.
    """
    now = timezone.now()
    until = now + duration
    row = OpenChange.objects.filter(number=number)
    try:
        with reading_ledger():
            is_free = Q(leased_until=None) | Q(leased_until__lt=now) | Q(leased_until__gt=until)
            is_mine = row.filter(is_free).update(leased_until=until) == 1
            intent = ChangeIntent.objects.get(number=number) if is_mine else None
    except LedgerError as error:
        raise OutcomeNotRecordedError(str(error)) from error
    try:
        yield intent
    finally:
        if is_mine:
            _release_lease(number, until)


def _release_lease(number: int, until: datetime) -> None:
    """End a lease, unless another process has taken it since. Without this, it ends at its own time."""
    try:
        with reading_ledger():
            OpenChange.objects.filter(number=number, leased_until=until).update(leased_until=None)
    except LedgerError:
        logger.exception("The lease of change %s ends at %s", number, until)


def record_intent(attempt: Attempt, *, seen_number: int, max_duration: timedelta) -> tuple[ChangeIntent, bool]:
    """Record an intent. Returns the intent, and True if it is new or False if its key was recorded before.

    `seen_number` is the number of the newest intent for this group before the caller read the group. If the ledger has
    a newer one, the read may be outdated: raises LedgerMovedError. An unsettled intent younger than `max_duration` is
    under way: raises ChangeUnderWayError. After a LedgerError, the caller must not send the change.
    """
    with appending():
        if (known := find_by_key(attempt.key)) is not None:
            return known, False
        earlier = ChangeIntent.objects.for_group(attempt.project, attempt.group_id)
        if earlier.begun_after(timezone.now() - max_duration).exists():
            raise ChangeUnderWayError
        if earlier.filter(number__gt=seen_number).exists():
            raise LedgerMovedError
        intent = _append_change(intent_facts(attempt))
    return intent, True


def record_outcome(intent: ChangeIntent, details: OutcomeDetails) -> ChangeOutcome:
    """Record the outcome of an intent. Keeps an outcome that another process recorded meanwhile."""
    try:
        with appending():
            newest = intent.outcomes.order_by("-number").first()
            if newest is not None and not _may_correct(newest.outcome, details.outcome):
                return newest
            head = append_row(
                read_facts(intent.number) | {"key": None, "intent": intent.number} | outcome_facts(details)
            )
            if details.outcome != Outcome.UNKNOWN:
                _schedule(intent, details)
            return ChangeOutcome.objects.get(number=head.number)
    except LedgerError as error:
        raise OutcomeNotRecordedError(str(error)) from error


_CORRECTIONS = {
    Outcome.ACCEPTED: {Outcome.APPLIED, Outcome.NOT_APPLIED, Outcome.CONFLICT},
    Outcome.REJECTED: {Outcome.APPLIED, Outcome.CONFLICT},
    Outcome.NOT_SENT: {Outcome.APPLIED},
    Outcome.NOT_APPLIED: {Outcome.APPLIED},
    Outcome.CONFLICT: {Outcome.APPLIED},
}
"""The outcomes to which a later read may correct an outcome. An unknown outcome may become any other."""


def _may_correct(known: str, found: Outcome) -> bool:
    return known == Outcome.UNKNOWN or found in _CORRECTIONS.get(Outcome(known), set())


def _schedule(intent: ChangeIntent, details: OutcomeDetails) -> None:
    """Observe a change that the cloud may still apply. Take any other change off the list of open changes."""
    begun_at = intent.begun_at
    if may_be_applied_late(details.outcome, details.http_status) and (due := _next_read_at(begun_at)):
        OpenChange.objects.update_or_create(
            number=intent.number,
            defaults={"next_read_at": due},
            create_defaults={
                "project": intent.project,
                "group_id": intent.group_id,
                "begun_at": begun_at,
                "next_read_at": due,
            },
        )
    else:
        OpenChange.objects.filter(number=intent.number).delete()


def _next_read_at(begun_at: datetime) -> datetime | None:
    now = timezone.now()
    return next((begun_at + after for after in OBSERVE_AFTER if begun_at + after > now), None)


def observe_again(intent: ChangeIntent) -> None:
    """Plan the next read of an observed change, or end the observation after the last one. Raises LedgerError."""
    with reading_ledger():
        if due := _next_read_at(intent.begun_at):
            OpenChange.objects.filter(number=intent.number).update(next_read_at=due)
        else:
            end_observation(intent)


def end_observation(intent: ChangeIntent) -> None:
    """End the observation of a change, so that no later read corrects its outcome. Raises LedgerError."""
    with reading_ledger():
        OpenChange.objects.observed().filter(number=intent.number).delete()


def record_closed(attempt: Attempt, details: OutcomeDetails) -> ChangeIntent:
    """Record an attempt that ended before a PATCH was sent: intent and outcome in one row."""
    with appending():
        if (known := find_by_key(attempt.key)) is not None:
            return known
        return _append_change(intent_facts(attempt) | outcome_facts(details))


def record_outside(change: OutsideChange) -> ChangeIntent:
    """Record a change outside the dashboard, in the transaction of the caller if there is one. Raises LedgerError."""
    facts = _group_facts(change.project, change.group_id, change.group_name, change.changes)
    nobody = {"key": None, "actor": "", "actor_id": None, "from_address": "", "kind": Kind.OUTSIDE, "reason": ""}
    with appending():
        return _append_change(facts | nobody | outcome_facts(OutcomeDetails(Outcome.APPLIED, change.proof)))


def record_event(event: Event) -> None:
    """Record a system event, in the transaction of the caller if there is one. Raises LedgerError."""
    with appending():
        append_row(event_facts(event))


def _append_change(facts: dict[str, object]) -> ChangeIntent:
    intent = ChangeIntent.objects.get(number=append_row(facts).number)
    if facts["outcome"] in {None, Outcome.UNKNOWN}:
        group = {"project": intent.project, "group_id": intent.group_id}
        OpenChange.objects.create(number=intent.number, begun_at=timezone.now(), **group)
    return intent


def append_row(facts: Mapping[str, object]) -> Head:
    head = append(facts)
    transaction.on_commit(lambda: write_checkpoint(head))
    return head


def intent_facts(attempt: Attempt) -> dict[str, object]:
    return _group_facts(attempt.project, attempt.group_id, attempt.group_name, attempt.changes) | {
        "key": attempt.key,
        "actor": attempt.by.user.get_username(),
        "actor_id": attempt.by.user.pk,
        "from_address": attempt.by.address,
        "kind": attempt.kind,
        "reason": _clean(attempt.reason),
    }


def _group_facts(project: str, group_id: str, group_name: str, changes: tuple[Change, ...]) -> dict[str, object]:
    return NO_OUTCOME | {
        "intent": None,
        "project": project,
        "group_id": _clean(group_id, 128),
        "group_name": _clean(group_name, 255),
        "changes": _changes(changes),
    }


def event_facts(event: Event) -> dict[str, object]:
    return NO_OUTCOME | {
        "key": None,
        "intent": None,
        "project": "",
        "group_id": "",
        "group_name": "",
        "actor": _clean(event.actor, 150),
        "actor_id": event.actor_id,
        "from_address": event.address,
        "kind": event.kind,
        "reason": "",
        "outcome": event.outcome,
        "proof": _clean(event.proof),
        "changes": _changes(event.changes),
    }


def _changes(changes: tuple[Change, ...]) -> list[dict[str, Value]]:
    return [
        {"field": row.field, "label": row.label, "before": _value(row.before), "after": _value(row.after)}
        for row in changes
    ]


def outcome_facts(details: OutcomeDetails) -> dict[str, object]:
    return {
        "outcome": details.outcome,
        "proof": _clean(details.proof),
        "http_status": details.http_status,
        "error_code": _clean(details.error_code, 64),
        "error_msg": _clean(details.error_msg),
        "request_id": _clean(details.request_id, 128),
        "duration_ms": details.duration_ms,
    }


def _value(value: Value) -> Value:
    return _clean(value) if isinstance(value, str) else value


def _clean(text: str, max_length: int = MAX_TEXT) -> str:
    """Cut a text, and remove what a database cannot store: NUL and lone surrogates."""
    return text.replace("\x00", "")[:max_length].encode("utf-8", "replace").decode()


NO_OUTCOME = outcome_facts(OutcomeDetails(Outcome.UNKNOWN, "")) | {"outcome": None}
"""The facts of an outcome as an intent has them, so that all rows have the same members."""
