"""The only place that changes a group: intent, PATCH, verification, outcome, in this order.

The cloud answers `200 null`, which proves nothing, so a read verifies each write. No transaction spans the PATCH: a
rollback would delete the evidence. A process that dies in between leaves an intent without an outcome, which `settling`
settles by reading, never by sending again.

A PATCH is sent a second time in two cases only, each once, at most SEND_WITHIN after its intent and after a new read of
the group: the token had expired and was renewed (401), or the gateway reported too many calls (429).
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import NoReturn

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import (
    Attempt,
    Change,
    ChangeUnderWayError,
    LedgerError,
    LedgerMovedError,
    OutcomeDetails,
    find_by_key,
    find_unsettled,
    last_intent,
    record_closed,
    record_intent,
    record_outcome,
)
from dashboard.audit.models import ACCEPTED_PROOF, ChangeIntent, Kind, Outcome, Value
from dashboard.cloud.client import Answer, client_for
from dashboard.cloud.error_messages import Responsible, describe_response, explain
from dashboard.cloud.errors import (
    CircuitOpenError,
    CloudError,
    NotFoundError,
    NotSentError,
    OutcomeUnknownError,
    SendAgainError,
)
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups import outcome_check
from dashboard.server_groups.fields import BY_PATH, FIELDS, STATUS, missing_siblings, payload

logger = logging.getLogger(__name__)

SEND_WITHIN = timedelta(seconds=10)
"""A change is not sent later than this after its intent: a reader may already have recorded it as not sent."""
QUEUE_SECONDS = 5.0
"""How long a write waits for another one to the same group."""
VERIFY_SECONDS = 3.0
"""After so long a page starts no further read: a cloud that is silent would hold it for a deadline a read."""


class ConflictError(Exception):
    """Someone else changed the same fields to something else meanwhile. Recorded; nothing was sent."""

    def __init__(self, group: ServerGroup, fields: tuple[str, ...]) -> None:
        super().__init__(f"changed meanwhile: {', '.join(fields)}")
        self.group = group
        self.fields = fields


@dataclass(frozen=True)
class WriteResult:
    """The result of a write. `intent` is None when the group already was as wanted: nothing sent, nothing recorded."""

    intent: ChangeIntent | None
    group: ServerGroup | None = None
    changed_by_others: tuple[str, ...] = ()
    """Labels of the fields that others changed since the person looked."""
    is_repeat: bool = False
    """The key was used before: this is the first answer again."""
    is_misused: bool = False
    """The key was used before for something else. Refused and recorded; `intent` is what it was used for."""


@dataclass(frozen=True)
class _Order:
    project: Project
    group_id: str
    changes: Mapping[str, Value]
    seen: ServerGroup | None
    kind: Kind
    reason: str
    key: str
    by: Actor

    def attempt(self, changes: Mapping[str, Value], before: ServerGroup | None) -> Attempt:
        return Attempt(
            project=self.project.slug,
            group_id=self.group_id,
            group_name=(before and before.name) or _last_known_name(self.project, self.group_id),
            changes=tuple(
                Change(path, BY_PATH[path].label, before.value(path) if before else None, value)
                for path, value in changes.items()
            ),
            kind=self.kind,
            reason=self.reason,
            by=self.by,
            key=self.key,
        )


@dataclass(frozen=True)
class _Sending:
    """A write whose intent is in the ledger; `before` was read a moment ago."""

    order: _Order
    attempt: Attempt
    intent: ChangeIntent
    before: ServerGroup

    @property
    def payload(self) -> dict[str, object]:
        return payload({change.field: change.after for change in self.attempt.changes}, self.before)


def update_server_group(
    *,
    project: Project,
    group_id: str,
    changes: Mapping[str, Value],
    seen: ServerGroup | None,
    reason: str,
    key: str,
    by: Actor,
    kind: Kind = Kind.EDIT,
) -> WriteResult:
    """Bring fields of a group to new values with one PATCH, and record it.

    `changes` maps a field's path to its new value; `seen` is the group as the person saw it, None when they named a
    wanted state instead of editing what they saw. The same `key` again returns the first answer.

    A key that was used before for something else changes nothing either, which is recorded. Raises PermissionDenied
    (recorded), ConflictError (recorded), LedgerError and ChangeUnderWayError (nothing sent),
    NotFoundError and CircuitOpenError (nothing sent, nothing recorded). Every other failure is an outcome.
    """
    scope = f"{by.user.pk}/{project.slug}/{group_id}/{key}"
    order = _Order(
        project, group_id, changes, seen, kind, reason, key=hashlib.sha256(scope.encode()).hexdigest(), by=by
    )
    forbidden = [BY_PATH[path].label for path in changes if not by.may(BY_PATH[path].permission)]
    if forbidden:
        refuse(
            project=project,
            group_id=group_id,
            attempted=changes,
            because=f"No permission to change: {', '.join(forbidden)}.",
            by=by,
        )
    if (first := find_by_key(order.key)) is not None:
        return _answer_again(order, first)
    return _when_its_turn_comes(order)


def switch_server_group(*, project: Project, group_id: str, on: bool, reason: str, key: str, by: Actor) -> WriteResult:
    """Bring a group to the wanted state; see `update_server_group`. Asking for the state it has is harmless."""
    return update_server_group(
        project=project,
        group_id=group_id,
        changes={STATUS.path: on},
        seen=None,
        reason=reason,
        key=key,
        by=by,
        kind=Kind.SWITCH,
    )


def refuse(*, project: Project, group_id: str, attempted: Mapping[str, Value], because: str, by: Actor) -> NoReturn:
    """Record an attempt that is not allowed, and raise PermissionDenied; without a ledger it is refused too."""
    record_refusal(project=project, group_id=group_id, attempted=attempted, because=because, by=by)
    raise PermissionDenied(because)


def record_refusal(*, project: Project, group_id: str, attempted: Mapping[str, Value], because: str, by: Actor) -> None:
    """Record an attempt that goes no further; a ledger that is away lets none through either."""
    try:
        attempt = Attempt(
            project=project.slug,
            group_id=group_id,
            group_name=_last_known_name(project, group_id),
            changes=tuple(Change(path, BY_PATH[path].label, None, value) for path, value in attempted.items()),
            kind=Kind.DENIED,
            reason="",
            by=by,
            key=uuid.uuid4().hex,
        )
        record_closed(attempt, OutcomeDetails(Outcome.DENIED, because))
    except LedgerError:
        logger.exception("A refused attempt by %s could not be recorded", by.user.pk)


def _when_its_turn_comes(order: _Order) -> WriteResult:
    give_up = time.monotonic() + QUEUE_SECONDS
    while True:
        try:
            return _write(order)
        except (LedgerMovedError, ChangeUnderWayError) as error:
            if time.monotonic() >= give_up:
                raise ChangeUnderWayError from error
            time.sleep(0.1)


def _write(order: _Order) -> WriteResult:
    newest = last_intent(order.project.slug, order.group_id)
    try:
        before = outcome_check.read_back(order.project, order.group_id, order.changes)
    except (NotFoundError, CircuitOpenError):
        raise
    except CloudError as error:
        details = _details(error, Outcome.NOT_SENT, "The group could not be read first, so nothing was sent.")
        return WriteResult(record_closed(order.attempt(order.changes, order.seen), details), order.seen)
    changes = {path: value for path, value in order.changes.items() if before.value(path) != value}
    if not changes:
        # The other half of a double click may have made the change since the key was looked for.
        first = find_by_key(order.key)
        return WriteResult(first if first and not _asked_besides(order, first) else None, before)
    _check_for_conflict(order, changes, before)
    if missing := missing_siblings(changes, before):
        labels = ", ".join(field.label for field in missing)
        told = f"The cloud does not show {labels}. Sending the rest without them could erase them. Nothing was sent."
        return WriteResult(
            record_closed(order.attempt(changes, before), OutcomeDetails(Outcome.NOT_SENT, told)), before
        )
    patience = timedelta(seconds=outcome_check.CALL_SECONDS + sum(outcome_check.WAITS))
    _settle_earlier(order, before, begun_before=timezone.now() - patience)
    attempt = order.attempt(changes, before)
    intent, is_new = record_intent(attempt, seen_number=newest.number if newest else 0, patience=patience)
    if not is_new:
        return _answer_again(order, intent)
    return _send(_Sending(order, attempt, intent, before))


def _settle_earlier(order: _Order, group: ServerGroup, *, begun_before: datetime) -> None:
    """Settle changes that were cut short while it is possible: after the next change no read can."""
    for earlier in find_unsettled(order.project.slug, order.group_id, begun_before=begun_before):
        details = outcome_check.check_later(earlier, group)
        if details is not None and details.outcome != Outcome.UNKNOWN:
            record_outcome(earlier, details)


def _answer_again(order: _Order, first: ChangeIntent) -> WriteResult:
    """The first answer to a key again; what is asked for besides goes no further."""
    if not (asked := _asked_besides(order, first)):
        return WriteResult(first, is_repeat=True)
    record_refusal(
        project=order.project,
        group_id=order.group_id,
        attempted=asked,
        because=f"The form's key was used before, for change {first.number}.",
        by=order.by,
    )
    return WriteResult(first, is_repeat=True, is_misused=True)


def _asked_besides(order: _Order, first: ChangeIntent) -> Mapping[str, Value]:
    """What an order asks for that was not asked for when its key was used first.

    The ledger does not say of a field that it was asked for but held its value already. So a field that holds it is
    taken for one of those; a group that cannot be read is given no such benefit.
    """
    recorded = {row.field: row.after for row in first.fields.all()}
    asked = {path: value for path, value in order.changes.items() if (path, value) not in recorded.items()}
    if not asked or not asked.keys().isdisjoint(recorded):
        return asked
    try:
        group = client_for(order.project).show_server_group(order.group_id)
    except CloudError:
        return asked
    return {path: value for path, value in asked.items() if group.value(path) != value}


def _check_for_conflict(order: _Order, changes: Mapping[str, Value], before: ServerGroup) -> None:
    if order.seen is None:
        return
    fields = tuple(path for path in changes if _has_moved(order.seen.value(path), before.value(path)))
    if fields:
        labels = ", ".join(BY_PATH[path].label for path in fields)
        told = f"Someone else changed {labels} since the form was opened. Nothing was sent."
        record_closed(order.attempt(changes, before), OutcomeDetails(Outcome.CONFLICT, told))
        raise ConflictError(before, fields)


def _send(sending: _Sending, *, stopped: SendAgainError | None = None) -> WriteResult:
    """Send the change and record its outcome. `stopped` is what happened to a first PATCH, if this is the second."""
    left = _seconds_to_send(sending)
    if left <= 0 and stopped is not None:
        return _give_up(sending, stopped)
    if left <= 0:
        record_outcome(
            sending.intent, OutcomeDetails(Outcome.NOT_SENT, "It took too long until the change could be sent.")
        )
        return WriteResult(sending.intent)
    try:
        answer = client_for(sending.order.project).update_server_group(
            sending.order.group_id, sending.payload, send_within=left
        )
    except SendAgainError as error:
        return _give_up(sending, error) if stopped else _send_again(sending, error)
    except OutcomeUnknownError as error:
        details = _details(error, Outcome.UNKNOWN, f"{describe_response(error)} The change may have been applied.")
        record_outcome(sending.intent, details)
        return _verify(sending)
    except NotSentError as error:
        if stopped is not None:
            return _give_up(sending, stopped)
        record_outcome(sending.intent, _details(error, Outcome.NOT_SENT, "Nothing reached the cloud."))
        return WriteResult(sending.intent)
    except CloudError as error:
        return _read_after_refusal(sending, error)
    return _verify(sending, accepted=answer)


def _seconds_to_send(sending: _Sending) -> float:
    return (sending.intent.begun_at + SEND_WITHIN - timezone.now()).total_seconds()


def _send_again(sending: _Sending, stopped: SendAgainError) -> WriteResult:
    """Send the PATCH that the gateway stopped once more, if a read shows that nothing changed meanwhile."""
    if stopped.retry_after >= _seconds_to_send(sending):
        return _give_up(sending, stopped)
    time.sleep(stopped.retry_after)
    changes, before = sending.attempt.changes, sending.before
    try:
        now = _read(sending)
    except CloudError:
        return _give_up(sending, stopped)
    if (details := outcome_check.check_read(changes, now, is_accepted=False, is_last=False)) is not None:
        return _record(sending, now, details)
    is_hidden = any(now.value(change.field) is None for change in changes)
    if is_hidden or missing_siblings({change.field: change.after for change in changes}, now):
        return _give_up(sending, stopped)
    moved = [change.label for change in changes if _has_moved(before.value(change.field), now.value(change.field))]
    if moved:
        told = f"Someone else changed {', '.join(moved)} before the change could be sent again, so it was not."
        return _record(sending, now, _details(stopped, Outcome.CONFLICT, told))
    return _send(replace(sending, before=now), stopped=stopped)


def _give_up(sending: _Sending, stopped: SendAgainError) -> WriteResult:
    """The gateway stopped the change, and it is not sent again. A read says what the cloud holds."""
    if stopped.http_status != HTTPStatus.TOO_MANY_REQUESTS:
        return _read_after_refusal(sending, stopped)
    wait = f" It asks to wait {stopped.retry_after:.0f} s." if stopped.retry_after >= 1 else ""
    return _verify(sending, otherwise=_details(stopped, Outcome.NOT_SENT, f"The gateway stopped the change.{wait}"))


def _read_after_refusal(sending: _Sending, error: CloudError) -> WriteResult:
    """Record the refusal at once; what the cloud holds comes from a read after it, which may correct the outcome."""
    refused = _details(error, Outcome.REJECTED, "The cloud refused the change.")
    record_outcome(sending.intent, refused)
    try:
        group = _read(sending)
    except CloudError:
        return WriteResult(sending.intent)
    details = outcome_check.check_read(sending.attempt.changes, group, is_accepted=False, is_last=True)
    if details is not None and details.outcome in {Outcome.APPLIED, Outcome.CONFLICT}:
        record_outcome(sending.intent, details)
    return WriteResult(sending.intent, group)


def _verify(
    sending: _Sending, *, accepted: Answer | None = None, otherwise: OutcomeDetails | None = None
) -> WriteResult:
    """Read until the change shows, for as long as a page may wait. The first read is at once unless bytes were lost.

    `otherwise` is the outcome when the last read shows the old values; without it, a later read has to tell.
    """
    group = None
    give_up = time.monotonic() + VERIFY_SECONDS
    for wait in (*((0.0,) if accepted or otherwise else ()), *outcome_check.WAITS_IN_REQUEST):
        if time.monotonic() >= give_up:
            break
        time.sleep(wait)
        try:
            group = _read(sending)
        except CloudError:
            continue
        details = outcome_check.check_read(
            sending.attempt.changes, group, is_accepted=accepted is not None, is_last=False
        )
        if details is not None:
            return _record(sending, group, _with_answer(details, accepted))
    if accepted is not None:
        pending = OutcomeDetails(Outcome.UNKNOWN, f"{ACCEPTED_PROOF} no read has shown the new values yet.")
        record_outcome(sending.intent, _with_answer(pending, accepted))
    if otherwise is not None:
        record_outcome(sending.intent, _after_last_read(sending, group, otherwise))
    return WriteResult(sending.intent, group)


def _after_last_read(sending: _Sending, group: ServerGroup | None, otherwise: OutcomeDetails) -> OutcomeDetails:
    if group is None:
        return replace(otherwise, outcome=Outcome.UNKNOWN, proof=f"{otherwise.proof} The group could not be read.")
    found = outcome_check.check_read(sending.attempt.changes, group, is_accepted=False, is_last=True)
    if found is None or found.outcome != Outcome.NOT_APPLIED:
        return found or otherwise
    return replace(otherwise, proof=f"{otherwise.proof} {found.proof}")


def _read(sending: _Sending) -> ServerGroup:
    paths = [change.field for change in sending.attempt.changes]
    return outcome_check.read_back(sending.order.project, sending.order.group_id, paths)


def _record(sending: _Sending, group: ServerGroup, details: OutcomeDetails) -> WriteResult:
    moved = _moved(sending, group)
    record_outcome(sending.intent, _with_moved(details, moved))
    return WriteResult(sending.intent, group, moved)


def _with_answer(details: OutcomeDetails, answer: Answer | None) -> OutcomeDetails:
    if answer is None:
        return details
    return replace(
        details, http_status=answer.http_status, request_id=answer.request_id, duration_ms=answer.duration_ms
    )


def _with_moved(details: OutcomeDetails, moved: tuple[str, ...]) -> OutcomeDetails:
    told = f"{details.proof} Changed by others meanwhile: {', '.join(moved)}."
    return replace(details, proof=told) if moved else details


def _moved(sending: _Sending, after: ServerGroup) -> tuple[str, ...]:
    """Labels of the fields that this write did not touch and that hold another value than the person saw."""
    seen, changes = sending.order.seen or sending.before, sending.order.changes
    return tuple(
        field.label
        for field in FIELDS
        if field.path not in changes and _has_moved(seen.value(field.path), after.value(field.path))
    )


def _has_moved(seen: Value, now: Value) -> bool:
    """A value that one of the reads does not show cannot be compared."""
    return None not in (seen, now) and seen != now


def _details(error: CloudError, outcome: Outcome, told: str) -> OutcomeDetails:
    words = explain(error)
    needs = f" It needs {' and '.join(words.actions)}." if words.actions else ""
    responsible = "" if words.responsible in {Responsible.TIME, Responsible.YOU} else f" Ask {words.responsible.value}."
    return OutcomeDetails(
        outcome,
        told if outcome == Outcome.UNKNOWN else f"{told} {words.cause}{needs}{responsible}",
        http_status=error.http_status,
        error_code=error.error_code,
        error_msg=error.error_msg,
        request_id=error.request_id,
        duration_ms=error.duration_ms,
    )


def _last_known_name(project: Project, group_id: str) -> str:
    newest = last_intent(project.slug, group_id)
    return newest.group_name if newest else group_id
