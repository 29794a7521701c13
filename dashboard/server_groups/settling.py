"""Changes of which nobody knows yet what came of them: read again and again until it can be told, never sent again."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from dashboard.audit.models import ChangeIntent, Outcome
from dashboard.audit.services import (
    LedgerError,
    Verdict,
    find_intent,
    find_later,
    leased,
    list_unsettled,
    record_outcome,
)
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project, UnknownProjectError, get_project
from dashboard.server_groups import proof

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
"""Longer than a read may take: whoever dies in between holds a change up for no longer."""


@dataclass(frozen=True)
class Attempted:
    """A change after a try to settle it; `problem` says why none could be made."""

    intent: ChangeIntent
    problem: str = ""


def settle_unsettled(*, younger_than: timedelta | None = None) -> Iterator[Attempted]:
    """Try each unsettled change once. Raises LedgerError when the list of them cannot be read."""
    since = timezone.now() - younger_than if younger_than else None
    for number in list_unsettled(since=since):
        try:
            yield _settle(number)
        except LedgerError as error:
            logger.exception("What came of change %s could not be recorded", number)
            yield Attempted(find_intent(number), str(error))


def settle_now(number: int) -> ChangeIntent:
    """Try one change at once, for a page that waits for it. Raises LedgerError."""
    return _settle(number).intent


def settle_change(*, project: Project, intent: ChangeIntent) -> ChangeIntent:
    """Read the group once and record what came of a change, if it can be told by now. Raises LedgerError."""
    if intent.is_settled or timezone.now() < proof.readable_from(intent):
        return intent
    try:
        group = client_for(project).show_server_group(intent.group_id)
    except CloudError:
        return intent
    # Looked for after the read: whatever that may have seen has its intent by now.
    verdict = _hidden(intent) or proof.judge_later(intent, group)
    if verdict is None or (intent.last_outcome and verdict.outcome == intent.last_outcome.outcome):
        return intent
    record_outcome(intent, verdict)
    return ChangeIntent.objects.get(pk=intent.pk)


def _hidden(intent: ChangeIntent) -> Verdict | None:
    """Once a later change of the same fields may have been made, the group's values tell nothing of this one."""
    later = find_later(intent)
    if later is None:
        return None
    return Verdict(
        Outcome.UNKNOWN, f"Change {later.number} was made to the same fields since, so that no read can tell any more."
    )


def _settle(number: int) -> Attempted:
    with leased(number, LEASE) as intent:
        if intent is None:
            known = find_intent(number)
            return Attempted(known, "" if known.is_settled else "someone else is reading the group at this moment")
        try:
            return Attempted(settle_change(project=get_project(intent.project), intent=intent))
        except UnknownProjectError:
            return Attempted(intent, f"the project {intent.project} is not configured any more")
