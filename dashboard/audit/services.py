"""The only way into the ledger. Everything here adds rows; a failure to add one is a `LedgerError`."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from dashboard.accounts.models import Actor
from dashboard.audit.chain import Head, append, lock_ledger, read_facts
from dashboard.audit.checkpoints import write_down
from dashboard.audit.models import ChangeIntent, ChangeOutcome, EventKind, Kind, Outcome, Unsettled, Value
from dashboard.audit.turnstile import BusyError, Queue, file_turn

logger = logging.getLogger(__name__)
_queue = Queue()

MAX_TEXT = 2000
"""Characters kept of a text that came from outside: a refused attempt must not fill the ledger."""


class LedgerError(Exception):
    """The ledger could not be written. Whatever was to be recorded must not happen."""


class OutcomeNotRecordedError(LedgerError):
    """A change was sent, but what came of it could not be written down. A later read settles it."""


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
class Verdict:
    """What came of a change and how that is known, with the cloud's own words where it said any."""

    outcome: Outcome
    proof: str
    http_status: int | None = None
    error_code: str = ""
    error_msg: str = ""
    request_id: str = ""
    duration_ms: int | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened to the house: who, from which address, and what is to be said of it besides.

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
            with _queue.turn(), file_turn(Path(connection.settings_dict["NAME"])), transaction.atomic():
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
class Traces:
    """What the ledger says of the groups on a page, by group id. Without a ledger pages stay up: there is nothing
    then, and `problem` is the reason.
    """

    last: Mapping[str, ChangeIntent]
    pending: Mapping[str, ChangeIntent]
    history: tuple[ChangeIntent, ...] = ()
    problem: str = ""


def find_traces(project: str, group_ids: list[str], *, pending_since: datetime, history: int = 0) -> Traces:
    """The last change of each group that took effect, the changes begun after `pending_since` that are not settled,
    and the newest entries of all of them, `history` at most.
    """
    rows = ChangeIntent.objects.all()
    try:
        with reading_ledger():
            newest = rows.filter(project=project, group_id__in=group_ids).with_rows()[:history] if history else ()
            return Traces(
                last=rows.newest_per_group(project, group_ids),
                pending=rows.pending_per_group(project, group_ids, since=pending_since),
                history=tuple(newest),
            )
    except LedgerError as error:
        logger.exception("The ledger cannot be read")
        return Traces({}, {}, problem=str(error))


def list_unsettled(*, project: str = "", since: datetime | None = None, before: datetime | None = None) -> list[int]:
    """Numbers of the changes of which nobody knows what came of them, oldest first.

    Anyone who may write the list could put a number on it that is none of a change; `audit_verify` finds what is not
    on it.
    """
    rows = Unsettled.objects.filter(Exists(ChangeIntent.objects.filter(number=OuterRef("number"))))
    if project:
        rows = rows.filter(project=project)
    if since:
        rows = rows.filter(at__gte=since)
    if before:
        rows = rows.filter(at__lt=before)
    with reading_ledger():
        return list(rows.values_list("number", flat=True))


def find_unsettled(project: str, group_id: str, *, begun_before: datetime) -> list[ChangeIntent]:
    """The changes to a group of which nobody knows yet what came of them, with their rows."""
    with reading_ledger():
        rows = ChangeIntent.objects.for_group(project, group_id).unsettled()
        return [row for row in rows.with_rows() if row.begun_at < begun_before]


def find_later(intent: ChangeIntent) -> ChangeIntent | None:
    """A later change to a field of this one that was made, or may have been."""
    fields = {row.field for row in intent.fields.all()}
    with reading_ledger():
        later = ChangeIntent.objects.for_group(intent.project, intent.group_id).filter(number__gt=intent.number)
        for change in later.order_by("number").with_rows():
            last = change.last_outcome
            may_be_made = last is None or last.outcome in {Outcome.APPLIED, Outcome.CONFLICT, Outcome.UNKNOWN}
            if may_be_made and fields & {row.field for row in change.fields.all()}:
                return change
    return None


@contextmanager
def leased(number: int, duration: timedelta) -> Iterator[ChangeIntent | None]:
    """An unsettled change that nobody else tries to settle meanwhile; None when someone does, or has.

    Raises OutcomeNotRecordedError: where no lease can be written down, no outcome can be either.
    """
    now = timezone.now()
    until = now + duration
    row = Unsettled.objects.filter(number=number)
    try:
        with reading_ledger():
            is_free = Q(leased_until=None) | Q(leased_until__lt=now)
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
            Unsettled.objects.filter(number=number, leased_until=until).update(leased_until=None)
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


def record_outcome(intent: ChangeIntent, verdict: Verdict) -> ChangeOutcome:
    """Write down what came of an intent. An intent that someone else settled meanwhile keeps that outcome."""
    try:
        with appending():
            newest = intent.outcomes.order_by("-number").first()
            if newest is not None and not _may_follow(newest.outcome, verdict.outcome):
                return newest
            head = _append(read_facts(intent.number) | {"key": None, "intent": intent.number} | _said(verdict))
            if verdict.outcome != Outcome.UNKNOWN:
                Unsettled.objects.filter(number=intent.number).delete()
            return ChangeOutcome.objects.get(number=head.number)
    except LedgerError as error:
        raise OutcomeNotRecordedError(str(error)) from error


def _may_follow(known: str, found: Outcome) -> bool:
    """A change that no read showed may show later still, where a process or the cloud was held up for long."""
    return known == Outcome.UNKNOWN or (known == Outcome.NOT_APPLIED and found == Outcome.APPLIED)


def record_closed(attempt: Attempt, verdict: Verdict) -> ChangeIntent:
    """Write down an attempt that ended before anything was sent: intent and outcome in one row."""
    with appending():
        if (known := find_by_key(attempt.key)) is not None:
            return known
        return _add(_facts_of(attempt) | _said(verdict))


def record_event(event: Event) -> None:
    """Write down what happened to the house. Inside a transaction both or neither are kept. Raises LedgerError."""
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
        Unsettled.objects.create(number=intent.number, at=timezone.now(), **group)
    return intent


def _append(facts: Mapping[str, object]) -> Head:
    head = append(facts)
    transaction.on_commit(lambda: write_down(head))
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


def _said(verdict: Verdict) -> dict[str, object]:
    return {
        "outcome": verdict.outcome,
        "proof": _text(verdict.proof),
        "http_status": verdict.http_status,
        "error_code": _text(verdict.error_code, 64),
        "error_msg": _text(verdict.error_msg),
        "request_id": _text(verdict.request_id, 128),
        "duration_ms": verdict.duration_ms,
    }


def _value(value: Value) -> Value:
    return _text(value) if isinstance(value, str) else value


def _text(text: str, longest: int = MAX_TEXT) -> str:
    """What every database and every reader can hold: no NUL, no half of a surrogate pair, no end of paper."""
    return text.replace("\x00", "")[:longest].encode("utf-8", "replace").decode()


NOTHING_SAID = _said(Verdict(Outcome.UNKNOWN, "")) | {"outcome": None}
"""An intent has the same facts as an outcome, so that every row reads alike."""
