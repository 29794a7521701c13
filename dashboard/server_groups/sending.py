"""Send a change whose intent is in the ledger, verify it by reads, and record its outcome.

The response to a PATCH is `200 null`, which does not confirm that the change was applied. So a read verifies it.

A PATCH is sent a second time in two cases only: the token had expired and was renewed (401), or the gateway reported
too many calls (429). The second PATCH follows a new read of the group, at most SEND_WITHIN after the intent, and is
the last one.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus

from django.utils import timezone

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import Attempt, OutcomeDetails, last_intent, record_outcome
from dashboard.audit.models import ACCEPTED_PROOF, ChangeIntent, Kind, Outcome, Value
from dashboard.cloud.client import UpdateResponse, client_for
from dashboard.cloud.errors import CloudError, NotSentError, OutcomeUnknownError, SendAgainError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups import outcome_check
from dashboard.server_groups.copy_updates import store_outcome
from dashboard.server_groups.fields import FIELDS, missing_siblings, payload
from dashboard.server_groups.ledger_texts import field_change, field_labels, known_outcome, unknown_outcome

SEND_WITHIN = timedelta(seconds=10)
"""Do not send a change later than this after its intent: a reader may already have recorded it as not sent."""
VERIFY_SECONDS = 3.0
"""After this time a page starts no further read. Each read of a silent cloud lasts until the deadline of the call."""


@dataclass(frozen=True)
class WriteRequest:
    """The arguments of a write. `key` is unique for one person, one group and one form."""

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
            group_name=(before and before.name) or last_known_name(self.project, self.group_id),
            changes=tuple(
                field_change(path, before.value(path) if before else None, value) for path, value in changes.items()
            ),
            kind=self.kind,
            reason=self.reason,
            by=self.by,
            key=self.key,
        )


@dataclass(frozen=True)
class WriteResult:
    """The result of a write. `intent` is None if the group already had the values: nothing is sent or recorded."""

    intent: ChangeIntent | None
    group: ServerGroup | None = None
    changed_by_others: tuple[str, ...] = ()
    """Paths of the fields that others changed since the person saw the group."""
    is_repeat: bool = False
    """The key was used before. This is the first result again."""
    is_misused: bool = False
    """The key was used before for other changes. Refused and recorded; `intent` is the first change."""


@dataclass(frozen=True)
class Sending:
    """A change whose intent is in the ledger. `before` is the group as the last read showed it."""

    request: WriteRequest
    attempt: Attempt
    intent: ChangeIntent
    before: ServerGroup

    @property
    def changes(self) -> dict[str, Value]:
        return {change.field: change.after for change in self.attempt.changes}

    @property
    def payload(self) -> dict[str, object]:
        return payload(self.changes, self.before)


def send(sending: Sending, *, stopped: SendAgainError | None = None) -> WriteResult:
    """Send a change, verify it and record its outcome. Raises OutcomeNotRecordedError.

    `stopped` is the error of the first PATCH, if this is the second.
    """
    left = _seconds_to_send(sending)
    if left <= 0:
        late = OutcomeDetails(Outcome.NOT_SENT, "The change could not be sent in time, so it was not sent.")
        return _record_not_sent(sending, late, stopped)
    client, group_id = client_for(sending.request.project), sending.request.group_id
    try:
        response = client.update_server_group(group_id, sending.payload, send_within=left)
    except SendAgainError as error:
        return _stop_sending(sending, error) if stopped else _send_again(sending, error)
    except OutcomeUnknownError as error:
        record_outcome(sending.intent, unknown_outcome(error))
        return _verify(sending)
    except NotSentError as error:
        details = known_outcome(error, Outcome.NOT_SENT, "Nothing reached the cloud.")
        return _record_not_sent(sending, details, stopped)
    except CloudError as error:
        return _read_after_rejection(sending, error)
    return _verify(sending, accepted=response)


def _seconds_to_send(sending: Sending) -> float:
    return (sending.intent.begun_at + SEND_WITHIN - timezone.now()).total_seconds()


def _record_not_sent(sending: Sending, details: OutcomeDetails, stopped: SendAgainError | None) -> WriteResult:
    """Record that a PATCH was not sent. If it is the second one, a read shows the result of the first."""
    if stopped is not None:
        return _stop_sending(sending, stopped)
    record_outcome(sending.intent, details)
    return WriteResult(sending.intent)


def _send_again(sending: Sending, stopped: SendAgainError) -> WriteResult:
    """Send a second PATCH, if a read shows that the group did not change since the first."""
    if stopped.retry_after >= _seconds_to_send(sending):
        return _stop_sending(sending, stopped)
    time.sleep(stopped.retry_after)
    try:
        read = _read(sending)
    except CloudError:
        return _stop_sending(sending, stopped)
    details = outcome_check.check_read(sending.attempt.changes, read.group, is_accepted=False, is_last=False)
    if details is not None:
        return _record(sending, read, details)
    now = read.group
    is_hidden = any(now.value(path) is None for path in sending.changes)
    if is_hidden or missing_siblings(sending.changes, now):
        return _stop_sending(sending, stopped)
    others = [path for path in sending.changes if differs(sending.before.value(path), now.value(path))]
    if others:
        sentence = f"Someone else changed {field_labels(others)} after the first PATCH. It was not sent again."
        return _record(sending, read, known_outcome(stopped, Outcome.CONFLICT, sentence))
    return send(replace(sending, before=now), stopped=stopped)


def _stop_sending(sending: Sending, stopped: SendAgainError) -> WriteResult:
    """Do not send the change again after the gateway stopped it. A read shows the values in the cloud."""
    if stopped.http_status != HTTPStatus.TOO_MANY_REQUESTS:
        return _read_after_rejection(sending, stopped)
    wait = f" It asks to wait {stopped.retry_after:.0f} s." if stopped.retry_after >= 1 else ""
    return _verify(
        sending, otherwise=known_outcome(stopped, Outcome.NOT_SENT, f"The gateway stopped the change.{wait}")
    )


def _read_after_rejection(sending: Sending, error: CloudError) -> WriteResult:
    """Record the rejection at once. A read after it shows the values in the cloud and may correct the outcome."""
    record_outcome(sending.intent, known_outcome(error, Outcome.REJECTED, "The cloud refused the change."))
    try:
        read = _read(sending)
    except CloudError:
        return WriteResult(sending.intent)
    details = outcome_check.check_read(sending.attempt.changes, read.group, is_accepted=False, is_last=True)
    if details is not None and details.outcome in {Outcome.APPLIED, Outcome.CONFLICT}:
        record_outcome(sending.intent, details)
        store_outcome(sending.request.project, read, sending.attempt.changes, details)
    return WriteResult(sending.intent, read.group)


def _verify(
    sending: Sending, *, accepted: UpdateResponse | None = None, otherwise: OutcomeDetails | None = None
) -> WriteResult:
    """Read until the new values show, for as long as a page may wait.

    `accepted` is the response of a successful PATCH. `otherwise` is the outcome if the last read shows the old values.
    Without it a later read settles the change.
    """
    read = None
    for _ in _waits(is_response_lost=accepted is None and otherwise is None):
        try:
            read = _read(sending)
        except CloudError:
            continue
        details = outcome_check.check_read(
            sending.attempt.changes, read.group, is_accepted=accepted is not None, is_last=False
        )
        if details is not None:
            return _record(sending, read, _with_response(details, accepted))
    group = read.group if read else None
    if accepted is not None:
        unknown = OutcomeDetails(Outcome.UNKNOWN, f"{ACCEPTED_PROOF} no read has shown the new values yet.")
        record_outcome(sending.intent, _with_response(unknown, accepted))
    if otherwise is not None:
        record_outcome(sending.intent, _after_last_read(sending, group, otherwise))
    return WriteResult(sending.intent, group)


def _waits(*, is_response_lost: bool) -> Iterator[None]:
    """Wait before each read of a page. The first read is immediate unless the response was lost."""
    stop_at = time.monotonic() + VERIFY_SECONDS
    immediate = () if is_response_lost else (0.0,)
    for seconds in (*immediate, *outcome_check.WAITS_IN_REQUEST):
        if time.monotonic() >= stop_at:
            return
        time.sleep(seconds)
        yield


def _after_last_read(sending: Sending, group: ServerGroup | None, otherwise: OutcomeDetails) -> OutcomeDetails:
    if group is None:
        return replace(otherwise, outcome=Outcome.UNKNOWN, proof=f"{otherwise.proof} The group could not be read.")
    found = outcome_check.check_read(sending.attempt.changes, group, is_accepted=False, is_last=True)
    if found is None or found.outcome != Outcome.NOT_APPLIED:
        return found or otherwise
    return replace(otherwise, proof=f"{otherwise.proof} {found.proof}")


def _read(sending: Sending) -> outcome_check.GroupRead:
    return outcome_check.read_back(sending.request.project, sending.request.group_id, sending.changes)


def _record(sending: Sending, read: outcome_check.GroupRead, details: OutcomeDetails) -> WriteResult:
    others = _changed_by_others(sending, read.group)
    if others:
        proof = f"{details.proof} Someone else changed other fields at the same time: {field_labels(others)}."
        details = replace(details, proof=proof)
    record_outcome(sending.intent, details)
    store_outcome(sending.request.project, read, sending.attempt.changes, details)
    return WriteResult(sending.intent, read.group, others)


def _with_response(details: OutcomeDetails, response: UpdateResponse | None) -> OutcomeDetails:
    if response is None:
        return details
    return replace(
        details, http_status=response.http_status, request_id=response.request_id, duration_ms=response.duration_ms
    )


def _changed_by_others(sending: Sending, after: ServerGroup) -> tuple[str, ...]:
    """Find the fields outside this write that hold another value than the person saw."""
    seen, changes = sending.request.seen or sending.before, sending.request.changes
    return tuple(
        field.path
        for field in FIELDS
        if field.path not in changes and differs(seen.value(field.path), after.value(field.path))
    )


def differs(seen: Value, now: Value) -> bool:
    """Whether two reads show different values. A value that one of them does not show cannot be compared."""
    return None not in (seen, now) and seen != now


def last_known_name(project: Project, group_id: str) -> str:
    newest = last_intent(project.slug, group_id)
    return newest.group_name if newest else group_id
