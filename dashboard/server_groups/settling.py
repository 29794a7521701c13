"""Changes of which nobody knows yet what came of them: read again and again until it can be told, never sent again."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from dashboard.audit.models import ChangeIntent
from dashboard.audit.services import Change, LedgerError, find_intent, leased, list_unsettled, record_outcome
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project, UnknownProjectError, get_project
from dashboard.server_groups import proof
from dashboard.server_groups.services import CALL_SECONDS

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
    last = intent.last_outcome
    sent_by = last.at if last else intent.at + timedelta(seconds=CALL_SECONDS)
    if intent.is_settled or timezone.now() < sent_by:
        return intent
    is_accepted = any(row.is_accepted for row in intent.outcomes.all())
    is_last = timezone.now() >= sent_by + timedelta(seconds=sum(proof.WAITS))
    changes = tuple(Change(row.field, row.label, row.before, row.after) for row in intent.fields.all())
    try:
        group = client_for(project).show_server_group(intent.group_id)
    except CloudError:
        return intent
    verdict = proof.judge(changes, group, is_accepted=is_accepted, is_last=is_last)
    if verdict is None or (last is not None and verdict.outcome == last.outcome):
        return intent
    record_outcome(intent, verdict)
    return ChangeIntent.objects.get(pk=intent.pk)


def _settle(number: int) -> Attempted:
    with leased(number, LEASE) as intent:
        if intent is None:
            known = find_intent(number)
            return Attempted(known, "" if known.is_settled else "someone else is reading the group at this moment")
        try:
            return Attempted(settle_change(project=get_project(intent.project), intent=intent))
        except UnknownProjectError:
            return Attempted(intent, f"the project {intent.project} is not configured any more")
