"""The only way into the ledger. Everything here adds rows; a failure to add one is a `LedgerError`."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from dashboard.accounts.models import Actor
from dashboard.audit.models import ChangeIntent, ChangeOutcome, FieldChange, Kind, Outcome, Value

logger = logging.getLogger(__name__)

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


@contextmanager
def reading_ledger() -> Iterator[None]:
    """A ledger that cannot be read is a LedgerError, so that whoever reads it can say so."""
    try:
        yield
    except DatabaseError as error:
        raise LedgerError(str(error)) from error


@contextmanager
def _appending() -> Iterator[None]:
    """One writer at a time: SQLite's BEGIN IMMEDIATE does it there, a table lock on PostgreSQL."""
    with reading_ledger(), transaction.atomic(durable=True):
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE audit_changeintent IN SHARE ROW EXCLUSIVE MODE")
        yield


def last_intent(project: str, group_id: str) -> ChangeIntent | None:
    """The newest intent for this group."""
    with reading_ledger():
        return ChangeIntent.objects.for_group(project, group_id).first()


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


def record_intent(attempt: Attempt, *, seen_number: int, patience: timedelta) -> tuple[ChangeIntent, bool]:
    """Write down what is about to happen; True when the row is new, False when its key was used before.

    Writes to one group queue up here. `seen_number` is what `last_number` said before the group was read: if the
    ledger has moved on since, what was read may be old (`LedgerMovedError`). An unsettled intent younger than
    `patience` is a change under way (`ChangeUnderWayError`). `LedgerError`: nothing may be sent.
    """
    with _appending():
        if (known := find_by_key(attempt.key)) is not None:
            return known, False
        earlier = ChangeIntent.objects.for_group(attempt.project, attempt.group_id)
        if earlier.filter(at__gte=timezone.now() - patience).unsettled().exists():
            raise ChangeUnderWayError
        if earlier.filter(number__gt=seen_number).exists():
            raise LedgerMovedError
        return _add_intent(attempt), True


def record_outcome(intent: ChangeIntent, verdict: Verdict) -> ChangeOutcome:
    """Write down what came of an intent. An intent that someone else settled meanwhile keeps that outcome."""
    try:
        with _appending():
            newest = intent.outcomes.order_by("-number").first()
            if newest is not None and newest.outcome != Outcome.UNKNOWN:
                return newest
            return _add_outcome(intent, verdict)
    except LedgerError as error:
        raise OutcomeNotRecordedError(str(error)) from error


def record_closed(attempt: Attempt, verdict: Verdict) -> ChangeIntent:
    """Write down an attempt that ended before anything was sent: intent and outcome at once."""
    with _appending():
        if (known := find_by_key(attempt.key)) is not None:
            return known
        intent = _add_intent(attempt)
        _add_outcome(intent, verdict)
    return intent


def _add_intent(attempt: Attempt) -> ChangeIntent:
    intent = ChangeIntent.objects.create(
        key=attempt.key,
        at=timezone.now(),
        project=attempt.project,
        group_id=attempt.group_id[:128],
        group_name=attempt.group_name[:255],
        actor=attempt.by.user.get_username(),
        actor_id=attempt.by.user.pk,
        from_address=attempt.by.address,
        kind=attempt.kind,
        reason=attempt.reason[:MAX_TEXT],
    )
    FieldChange.objects.bulk_create(
        FieldChange(intent=intent, field=change.field, label=change.label, before=change.before, after=change.after)
        for change in attempt.changes
    )
    return intent


def _add_outcome(intent: ChangeIntent, verdict: Verdict) -> ChangeOutcome:
    return ChangeOutcome.objects.create(
        intent=intent,
        at=timezone.now(),
        outcome=verdict.outcome,
        proof=verdict.proof,
        http_status=verdict.http_status,
        error_code=verdict.error_code[:64],
        error_msg=verdict.error_msg[:MAX_TEXT],
        request_id=verdict.request_id[:128],
        duration_ms=verdict.duration_ms,
    )
