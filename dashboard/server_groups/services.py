"""Change a group: intent, PATCH, verification, outcome, in this order. No other module changes groups.

No transaction includes the PATCH: a rollback would delete the evidence. A process that ends after the intent leaves a
change without an outcome. `settling` then reads the group; it does not send the change again.
"""

import hashlib
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import (
    ChangeUnderWayError,
    LedgerMovedError,
    OutcomeDetails,
    find_by_key,
    find_unsettled,
    last_intent,
    record_closed,
    record_intent,
    record_outcome,
)
from dashboard.audit.models import ChangeIntent, Kind, Outcome, Value
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CircuitOpenError, CloudError, NotFoundError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups import outcome_check
from dashboard.server_groups.fields import BY_PATH, STATUS, missing_siblings
from dashboard.server_groups.ledger_texts import field_labels, known_outcome
from dashboard.server_groups.refusals import Refusal, record_refusal, refuse
from dashboard.server_groups.sending import Sending, WriteRequest, WriteResult, differs, send

QUEUE_SECONDS = 5.0
"""How long a write waits for another one to the same group."""


class ConflictError(Exception):
    """Someone else changed the same fields to other values. The attempt is recorded and nothing was sent."""

    def __init__(self, group: ServerGroup, fields: tuple[str, ...]) -> None:
        super().__init__(f"changed by someone else: {', '.join(fields)}")
        self.group = group
        self.fields = fields


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
    """Set fields of a group to new values with one PATCH, and record it.

    `changes` maps a field's path to its new value. `seen` is the group as the person saw it, or None if they named a
    wanted state without a form. A `key` that was used before sends nothing and returns the first result; if it was
    used for other changes, the attempt is recorded as refused.

    Raises PermissionDenied (recorded), ConflictError (recorded), LedgerError and ChangeUnderWayError (nothing sent),
    NotFoundError and CircuitOpenError (nothing sent, nothing recorded). Every other failure is an outcome.
    """
    scope = f"{by.user.pk}/{project.slug}/{group_id}/{key}"
    request = WriteRequest(
        project, group_id, changes, seen, kind, reason, key=hashlib.sha256(scope.encode()).hexdigest(), by=by
    )
    forbidden = [path for path in changes if not by.may(BY_PATH[path].permission)]
    if forbidden:
        rule = "No permission to change"
        because = f"{rule}: {field_labels(forbidden)}."
        refuse(Refusal(project, group_id, because, by, rule), changes)
    if switches_off(changes) and not reason.strip():
        refuse(Refusal(project, group_id, "Switching off needs a reason.", by), changes)
    if (first := find_by_key(request.key)) is not None:
        return _first_result(request, first)
    return _write_in_queue(request)


def switches_off(changes: Mapping[str, Value]) -> bool:
    """Whether the change interrupts people. It then needs a reason."""
    return changes.get(STATUS.path) is False


def switch_server_group(*, project: Project, group_id: str, on: bool, reason: str, key: str, by: Actor) -> WriteResult:
    """Switch a group on or off (see `update_server_group`). A switch to the current state sends nothing."""
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


def _write_in_queue(request: WriteRequest) -> WriteResult:
    """Write, and try again for QUEUE_SECONDS while another change to the group is in progress."""
    stop_at = time.monotonic() + QUEUE_SECONDS
    while True:
        try:
            return _write(request)
        except (LedgerMovedError, ChangeUnderWayError) as error:
            if time.monotonic() >= stop_at:
                raise ChangeUnderWayError from error
            time.sleep(0.1)


def _write(request: WriteRequest) -> WriteResult:
    newest = last_intent(request.project.slug, request.group_id)
    try:
        before = outcome_check.read_back(request.project, request.group_id, request.changes).group
    except (NotFoundError, CircuitOpenError):
        raise
    except CloudError as error:
        sentence = "The group could not be read first, so nothing was sent."
        return _close(request, request.changes, request.seen, known_outcome(error, Outcome.NOT_SENT, sentence))
    changes = {path: value for path, value in request.changes.items() if before.value(path) != value}
    if not changes:
        return _unchanged(request, before)
    _check_for_conflict(request, changes, before)
    if missing := missing_siblings(changes, before):
        labels = field_labels(field.path for field in missing)
        proof = f"The cloud does not show {labels}. Sending the rest without them could erase them. Nothing was sent."
        return _close(request, changes, before, OutcomeDetails(Outcome.NOT_SENT, proof))
    return _record_and_send(request, changes, before, newest.number if newest else 0)


def _close(
    request: WriteRequest, changes: Mapping[str, Value], group: ServerGroup | None, details: OutcomeDetails
) -> WriteResult:
    """Record a change that ends before anything is sent."""
    return WriteResult(record_closed(request.attempt(changes, group), details), group)


def _unchanged(request: WriteRequest, group: ServerGroup) -> WriteResult:
    """The result if the group has the values already. A concurrent request with the same key may have set them."""
    first = find_by_key(request.key)
    return WriteResult(first if first and not _other_changes(request, first) else None, group)


def _record_and_send(
    request: WriteRequest, changes: Mapping[str, Value], before: ServerGroup, seen_number: int
) -> WriteResult:
    max_duration = timedelta(seconds=outcome_check.CALL_SECONDS + sum(outcome_check.WAITS))
    _settle_earlier(request, before, begun_before=timezone.now() - max_duration)
    attempt = request.attempt(changes, before)
    intent, is_new = record_intent(attempt, seen_number=seen_number, max_duration=max_duration)
    if not is_new:
        return _first_result(request, intent)
    return send(Sending(request, attempt, intent, before))


def _settle_earlier(request: WriteRequest, group: ServerGroup, *, begun_before: datetime) -> None:
    """Settle earlier unknown changes by the group's present values. After the next change no read can settle them."""
    for earlier in find_unsettled(request.project.slug, request.group_id, begun_before=begun_before):
        details = outcome_check.check_later(earlier, group)
        if details is not None and details.outcome != Outcome.UNKNOWN:
            record_outcome(earlier, details)


def _first_result(request: WriteRequest, first: ChangeIntent) -> WriteResult:
    """The first result of a key. Other changes under the same key are refused and recorded."""
    if not (others := _other_changes(request, first)):
        return WriteResult(first, is_repeat=True)
    rule = "The form's key was used before"
    because = f"{rule}, for change {first.number}."
    record_refusal(Refusal(request.project, request.group_id, because, request.by, rule), others)
    return WriteResult(first, is_repeat=True, is_misused=True)


def _other_changes(request: WriteRequest, first: ChangeIntent) -> Mapping[str, Value]:
    """Find the changes of a request that were not in the first request with its key.

    The ledger does not record a requested field that already had its value. So a field that has its value now counts
    as part of the first request, unless the group cannot be read.
    """
    recorded = {row.field: row.after for row in first.fields.all()}
    others = {path: value for path, value in request.changes.items() if (path, value) not in recorded.items()}
    if not others or not others.keys().isdisjoint(recorded):
        return others
    try:
        group = client_for(request.project).show_server_group(request.group_id)
    except CloudError:
        return others
    return {path: value for path, value in others.items() if group.value(path) != value}


def _check_for_conflict(request: WriteRequest, changes: Mapping[str, Value], before: ServerGroup) -> None:
    if request.seen is None:
        return
    fields = tuple(path for path in changes if differs(request.seen.value(path), before.value(path)))
    if fields:
        proof = f"Someone else changed {field_labels(fields)} since the form was opened. Nothing was sent."
        record_closed(request.attempt(changes, before), OutcomeDetails(Outcome.CONFLICT, proof))
        raise ConflictError(before, fields)
