"""Settle changes with an unknown outcome, and observe those that the cloud may apply late. Both only read."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from django.utils import timezone

from dashboard.audit.ledger.services import (
    LedgerError,
    OutcomeDetails,
    end_observation,
    find_intent,
    find_later,
    leased,
    list_observed,
    list_unsettled,
    observe_again,
    record_outcome,
)
from dashboard.audit.models import ChangeIntent, Outcome
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project, UnknownProjectError, get_project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups import outcome_check
from dashboard.server_groups.copy_updates import store_outcome

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
"""Longer than a read may take. A process that ends during a read delays the next one by at most this time."""


@dataclass(frozen=True)
class SettleResult:
    """A change after an attempt to settle it. `problem` is the reason why the attempt was not possible."""

    intent: ChangeIntent
    problem: str = ""


def settle_unsettled(*, younger_than: timedelta | None = None) -> Iterator[SettleResult]:
    """Try to settle each unsettled change once. Raises LedgerError if the ledger cannot list them."""
    since = timezone.now() - younger_than if younger_than else None
    yield from _settle_each(list_unsettled(since=since))


def observe_due() -> Iterator[SettleResult]:
    """Read each observed change whose next read is due. Raises LedgerError if the ledger cannot list them."""
    yield from _settle_each(list_observed(due_at=timezone.now()))


def settle_now(number: int) -> ChangeIntent:
    """Try to settle one change for a page that waits for it. Raises LedgerError."""
    return _settle(number).intent


def _settle_each(numbers: list[int]) -> Iterator[SettleResult]:
    for number in numbers:
        try:
            yield _settle(number)
        except LedgerError as error:
            logger.exception("The outcome of change %s could not be recorded", number)
            yield SettleResult(find_intent(number), str(error))


def settle_change(*, project: Project, intent: ChangeIntent) -> ChangeIntent:
    """Read the group once and record the outcome of an unsettled change, if the read decides it. Raises LedgerError."""
    if intent.is_settled or timezone.now() < outcome_check.settles_from(intent):
        return intent
    try:
        read = outcome_check.read_back(project, intent.group_id, [row.field for row in intent.fields.all()])
    except CloudError:
        return intent
    # Search for later changes after the read: each change that the read may show has an intent by now.
    details = _overwritten(intent) or outcome_check.check_later(intent, read.group)
    if details is None or (intent.last_outcome and details.outcome == intent.last_outcome.outcome):
        return intent
    record_outcome(intent, details)
    store_outcome(project, read, outcome_check.changes_of(intent), details)
    return ChangeIntent.objects.get(pk=intent.pk)


def observe_change(*, project: Project, intent: ChangeIntent) -> ChangeIntent:
    """Read the group once and correct the outcome of an observed change that was applied late. Raises LedgerError."""
    try:
        read = outcome_check.read_back(project, intent.group_id, [row.field for row in intent.fields.all()])
    except CloudError:
        observe_again(intent)
        return intent
    later = find_later(intent)
    if later is not None and not _differs(intent, later):
        end_observation(intent)
        return find_intent(intent.number)
    observe_again(intent)
    details = _correction(intent, read.group)
    if details is not None and (later is None or details.outcome == Outcome.APPLIED):
        record_outcome(intent, details)
        store_outcome(project, read, outcome_check.changes_of(intent), details)
    return find_intent(intent.number)


def _differs(intent: ChangeIntent, later: ChangeIntent) -> bool:
    """Whether a read can distinguish the values of a change from those of a later one to the same fields."""
    wanted = {row.field: row.after for row in later.fields.all()}
    return all(row.after != wanted[row.field] for row in intent.fields.all() if row.field in wanted)


def _correction(intent: ChangeIntent, group: ServerGroup) -> OutcomeDetails | None:
    """The new outcome of an observed change, if a read shows another one than the recorded."""
    details, last = outcome_check.check_later(intent, group), intent.last_outcome
    if details is None or last is None or details.outcome == last.outcome:
        return None
    if details.outcome != Outcome.UNKNOWN:
        return details
    is_shown = all(group.value(row.field) is not None for row in intent.fields.all())
    has_been_accepted = last.outcome == Outcome.ACCEPTED
    return replace(details, outcome=Outcome.NOT_APPLIED) if has_been_accepted and is_shown else None


def _overwritten(intent: ChangeIntent) -> OutcomeDetails | None:
    """The outcome if a later change to the same fields may have been made: the group's values no longer show it."""
    later = find_later(intent)
    if later is None:
        return None
    proof = f"Change {later.number} changed the same fields since, so a read can no longer show the outcome."
    return OutcomeDetails(Outcome.UNKNOWN, proof)


def _settle(number: int) -> SettleResult:
    with leased(number, LEASE) as intent:
        if intent is None:
            known = find_intent(number)
            return SettleResult(known, "" if known.is_settled else "another process is reading the group now")
        try:
            act = observe_change if intent.is_settled else settle_change
            return SettleResult(act(project=get_project(intent.project), intent=intent))
        except UnknownProjectError:
            return SettleResult(intent, f"the project {intent.project} is no longer configured")
