"""The only way into the ledger. Everything here adds rows; a failure to add one is a `LedgerError`."""

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
from dashboard.audit.ledger.write_lock import BusyError, Queue, file_lock
from dashboard.audit.models import (
    CORRECTED,
    ChangeIntent,
    ChangeIntentQuerySet,
    ChangeOutcome,
    EventKind,
    Kind,
    OpenChange,
    Outcome,
    Value,
    may_be_applied_late,
)

logger = logging.getLogger(__name__)
_queue = Queue()

OBSERVE_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=60))
"""When a change that the cloud may still apply is read again, counted from its beginning."""
MAX_TEXT = 2000
"""Characters kept of a text that came from outside: a refused attempt must not fill the ledger."""


class LedgerError(Exception):
    """The ledger could not be written. Whatever was to be recorded must not happen."""


class OutcomeNotRecordedError(LedgerError):
    """A change was sent, but its outcome could not be recorded. A later read settles it."""


class ChangeUnderWayError(Exception):
    """Another change to this group has not ended yet. Nothing was recorded."""


class LedgerMovedError(Exception):
    """Something was recorded for this group since it was looked at: look again. Nothing was recorded."""


@dataclass(frozen=True)
class Change:
    """One field on its way from one value to another; `field` is its path in the API body."""

    field: str
    label: str
    before: Value
    after: Value


@dataclass(frozen=True)
class Attempt:
    """What an intent is made of: who wants to change what on which group, and why.

    `group_name` is the name the group has at the time; `key` makes one submit one change, however often it arrives.
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
class OutcomeDetails:
    """The outcome of a change and how it is known, with the cloud's own words if there are any."""

    outcome: Outcome
    proof: str
    http_status: int | None = None
    error_code: str = ""
    error_msg: str = ""
    request_id: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True)
class Event:
    """A system event: who, from which address, and details.

    `who` is empty where nobody is known, `who_id` None where there is no such account.
    """

    kind: EventKind
    who: str = ""
    who_id: int | None = None
    address: str = ""
    told: str = ""
    outcome: Outcome = Outcome.APPLIED
    changes: tuple[Change, ...] = ()


@contextmanager
def reading_ledger() -> Iterator[None]:
    """A ledger that cannot be read is a LedgerError, so that whoever reads it can say so."""
    try:
        yield
    except (DatabaseError, InterfaceError, BusyError, OSError, ImproperlyConfigured) as error:
        raise LedgerError(str(error)) from error


@contextmanager
def appending() -> Iterator[None]:
    """One writer at a time, each sealing its row to the one before, and on the disk before it goes on.

    Inside a transaction that has begun, the database's own lock is held already; queueing with it would block others.
    """
    with reading_ledger():
        if connection.in_atomic_block or connection.vendor != "sqlite":
            with transaction.atomic():
                lock_ledger()
                yield
        else:
            with _queue.turn(), file_lock(Path(connection.settings_dict["NAME"])), transaction.atomic():
                yield


def last_intent(project: str, group_id: str) -> ChangeIntent | None:
    """The newest intent for this group."""
    with reading_ledger():
        return ChangeIntent.objects.for_group(project, group_id).first()


def find_change(project: str, group_id: str, number: str) -> ChangeIntent | None:
    """An entry of this group, by what stands in an address."""
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
    """What the ledger says of the groups on a page, by group id. Without a ledger pages stay up: there is nothing
    then, and `problem` is the reason.
    """

    last: Mapping[str, ChangeIntent]
    pending: Mapping[str, ChangeIntent]
    history: tuple[ChangeIntent, ...] = ()
    problem: str = ""


def find_recent_changes(
    project: str, group_ids: list[str], *, pending_since: datetime, history: int = 0
) -> RecentChanges:
    """The last change of each group that took effect, the changes begun after `pending_since` that are not settled,
    and the newest entries of all of them, `history` at most.
    """
    rows = ChangeIntent.objects.all()
    try:
        with reading_ledger():
            newest = rows.filter(project=project, group_id__in=group_ids).with_rows()[:history] if history else ()
            return RecentChanges(
                last=rows.newest_per_group(project, group_ids),
                pending=rows.pending_per_group(project, group_ids, since=pending_since),
                history=tuple(newest),
            )
    except LedgerError as error:
        logger.exception("The ledger cannot be read")
        return RecentChanges({}, {}, problem=str(error))


def list_unsettled(*, project: str = "", since: datetime | None = None, before: datetime | None = None) -> list[int]:
    """Numbers of the changes with an unknown outcome, oldest first. `audit_verify` compares them with the ledger."""
    rows = OpenChange.objects.unsettled()
    if project:
        rows = rows.filter(project=project)
    if since:
        rows = rows.filter(begun_at__gte=since)
    if before:
        rows = rows.filter(begun_at__lt=before)
    with reading_ledger():
        return list(rows.values_list("number", flat=True))


def list_observed(*, project: str = "", due_at: datetime | None = None) -> list[int]:
    """Numbers of the changes under observation, oldest first; with `due_at` those whose next read is due then."""
    rows = OpenChange.objects.observed()
    if project:
        rows = rows.filter(project=project)
    if due_at:
        rows = rows.filter(Q(next_read_at=None) | Q(next_read_at__lte=due_at))
    with reading_ledger():
        return list(rows.values_list("number", flat=True))


def find_corrected(project: str, *, since: datetime) -> ChangeIntentQuerySet:
    """Changes reported as not made that the cloud applied after all, newest first."""
    first = Subquery(ChangeIntent.objects.filter(at__gte=since).order_by("at", "number").values("number")[:1])
    applied_later = ChangeOutcome.objects.filter(
        intent=OuterRef("intent"), number__gt=OuterRef("number"), outcome=Outcome.APPLIED
    )
    said = ChangeOutcome.objects.filter(project=project, outcome__in=CORRECTED, intent_id__gte=first)
    return ChangeIntent.objects.filter(number__in=said.filter(Exists(applied_later)).values("intent_id"))


def find_unsettled(project: str, group_id: str, *, begun_before: datetime) -> list[ChangeIntent]:
    """The changes to a group with an unknown outcome, with their rows."""
    with reading_ledger():
        rows = ChangeIntent.objects.for_group(project, group_id).unsettled()
        return [row for row in rows.with_rows() if row.begun_at < begun_before]


def find_later(intent: ChangeIntent) -> ChangeIntent | None:
    """A later change to a field of this one that was made, or may have been.

    A later change that is *not applied so far* counts only for an intent that has an outcome already: of two such
    changes to one value, a late application is credited to the later.
    """
    made = {Outcome.APPLIED, Outcome.ACCEPTED, Outcome.CONFLICT, Outcome.UNKNOWN}
    if intent.is_settled:
        made.add(Outcome.NOT_APPLIED)
    fields = {row.field for row in intent.fields.all()}
    with reading_ledger():
        later = ChangeIntent.objects.for_group(intent.project, intent.group_id).filter(number__gt=intent.number)
        for change in later.order_by("number").with_rows():
            last = change.last_outcome
            may_be_made = last is None or last.outcome in made
            if may_be_made and fields & {row.field for row in change.fields.all()}:
                return change
    return None


@contextmanager
def leased(number: int, duration: timedelta) -> Iterator[ChangeIntent | None]:
    """An open change that no other process reads meanwhile; None when another does, or the change is closed.

    A lease longer than `duration` cannot have been taken here, so it is ignored.

    Raises OutcomeNotRecordedError: where no lease can be written down, no outcome can be either.
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
            _give_back(number, until)


def _give_back(number: int, until: datetime) -> None:
    """End a lease early, unless someone else has taken it since; one that is not given back ends by itself."""
    try:
        with reading_ledger():
            OpenChange.objects.filter(number=number, leased_until=until).update(leased_until=None)
    except LedgerError:
        logger.exception("The lease of change %s ends at %s", number, until)


def record_intent(attempt: Attempt, *, seen_number: int, patience: timedelta) -> tuple[ChangeIntent, bool]:
    """Write down what is about to happen; True when the row is new, False when its key was used before.

    Writes to one group queue up here. `seen_number` is what `last_number` said before the group was read: if the
    ledger has moved on since, what was read may be old (`LedgerMovedError`). An unsettled intent younger than
    `patience` is a change under way (`ChangeUnderWayError`). `LedgerError`: nothing may be sent.
    """
    with appending():
        if (known := find_by_key(attempt.key)) is not None:
            return known, False
        earlier = ChangeIntent.objects.for_group(attempt.project, attempt.group_id)
        if earlier.begun_after(timezone.now() - patience).exists():
            raise ChangeUnderWayError
        if earlier.filter(number__gt=seen_number).exists():
            raise LedgerMovedError
        intent = _add(_facts_of(attempt))
    return intent, True


def record_outcome(intent: ChangeIntent, details: OutcomeDetails) -> ChangeOutcome:
    """Record the outcome of an intent. An intent that another process settled meanwhile keeps that outcome."""
    try:
        with appending():
            newest = intent.outcomes.order_by("-number").first()
            if newest is not None and not _may_follow(newest.outcome, details.outcome):
                return newest
            head = _append(read_facts(intent.number) | {"key": None, "intent": intent.number} | _said(details))
            if details.outcome != Outcome.UNKNOWN:
                _schedule(intent, details)
            return ChangeOutcome.objects.get(number=head.number)
    except LedgerError as error:
        raise OutcomeNotRecordedError(str(error)) from error


_MAY_FOLLOW = {
    Outcome.ACCEPTED: {Outcome.APPLIED, Outcome.NOT_APPLIED, Outcome.CONFLICT},
    Outcome.REJECTED: {Outcome.APPLIED, Outcome.CONFLICT},
    Outcome.NOT_SENT: {Outcome.APPLIED},
    Outcome.NOT_APPLIED: {Outcome.APPLIED},
    Outcome.CONFLICT: {Outcome.APPLIED},
}
"""How a later read may correct an outcome, where the cloud or a process was late. An unknown one takes any."""


def _may_follow(known: str, found: Outcome) -> bool:
    return known == Outcome.UNKNOWN or found in _MAY_FOLLOW.get(Outcome(known), set())


def _schedule(intent: ChangeIntent, details: OutcomeDetails) -> None:
    """Observe a change that the cloud may still apply; close one that later reads cannot correct."""
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
    """Plan the next read of an observed change, or end its observation after the last one. Raises LedgerError."""
    with reading_ledger():
        if due := _next_read_at(intent.begun_at):
            OpenChange.objects.filter(number=intent.number).update(next_read_at=due)
        else:
            end_observation(intent)


def end_observation(intent: ChangeIntent) -> None:
    """Keep the outcome of an observed change as it is: no later read can correct it. Raises LedgerError."""
    with reading_ledger():
        OpenChange.objects.observed().filter(number=intent.number).delete()


def record_closed(attempt: Attempt, details: OutcomeDetails) -> ChangeIntent:
    """Write down an attempt that ended before anything was sent: intent and outcome in one row."""
    with appending():
        if (known := find_by_key(attempt.key)) is not None:
            return known
        return _add(_facts_of(attempt) | _said(details))


def record_event(event: Event) -> None:
    """Record a system event. Inside a transaction both or neither are kept. Raises LedgerError."""
    with appending():
        _append(
            NOTHING_SAID
            | {
                "key": None,
                "intent": None,
                "project": "",
                "group_id": "",
                "group_name": "",
                "reason": "",
                "changes": _changes(event.changes),
            }
            | {"actor": _text(event.who, 150), "actor_id": event.who_id, "from_address": event.address}
            | {"kind": event.kind, "outcome": event.outcome, "proof": _text(event.told)}
        )


def _add(facts: dict[str, object]) -> ChangeIntent:
    intent = ChangeIntent.objects.get(number=_append(facts).number)
    if facts["outcome"] in {None, Outcome.UNKNOWN}:
        group = {"project": intent.project, "group_id": intent.group_id}
        OpenChange.objects.create(number=intent.number, begun_at=timezone.now(), **group)
    return intent


def _append(facts: Mapping[str, object]) -> Head:
    head = append(facts)
    transaction.on_commit(lambda: write_checkpoint(head))
    return head


def _facts_of(attempt: Attempt) -> dict[str, object]:
    return NOTHING_SAID | {
        "key": attempt.key,
        "intent": None,
        "project": attempt.project,
        "group_id": _text(attempt.group_id, 128),
        "group_name": _text(attempt.group_name, 255),
        "actor": attempt.by.user.get_username(),
        "actor_id": attempt.by.user.pk,
        "from_address": attempt.by.address,
        "kind": attempt.kind,
        "reason": _text(attempt.reason),
        "changes": _changes(attempt.changes),
    }


def _changes(changes: tuple[Change, ...]) -> list[dict[str, Value]]:
    return [
        {"field": row.field, "label": row.label, "before": _value(row.before), "after": _value(row.after)}
        for row in changes
    ]


def _said(details: OutcomeDetails) -> dict[str, object]:
    return {
        "outcome": details.outcome,
        "proof": _text(details.proof),
        "http_status": details.http_status,
        "error_code": _text(details.error_code, 64),
        "error_msg": _text(details.error_msg),
        "request_id": _text(details.request_id, 128),
        "duration_ms": details.duration_ms,
    }


def _value(value: Value) -> Value:
    return _text(value) if isinstance(value, str) else value


def _text(text: str, longest: int = MAX_TEXT) -> str:
    """What every database and every reader can hold: no NUL, no half of a surrogate pair, no end of paper."""
    return text.replace("\x00", "")[:longest].encode("utf-8", "replace").decode()


NOTHING_SAID = _said(OutcomeDetails(Outcome.UNKNOWN, "")) | {"outcome": None}
"""An intent has the same facts as an outcome, so that every row reads alike."""
