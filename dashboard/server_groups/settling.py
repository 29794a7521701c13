"""Changes of which nobody knows yet what came of them: read again and again until it can be told, never sent again."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from dashboard.audit.models import ChangeIntent
from dashboard.audit.services import LedgerError, leased, list_unsettled
from dashboard.cloud.projects import UnknownProjectError, get_project
from dashboard.server_groups.services import settle_change

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
"""Longer than a read may take: whoever dies in between holds a change up for no longer."""


@dataclass(frozen=True)
class Attempted:
    """A change after a try to settle it; `problem` says why there was none."""

    intent: ChangeIntent
    problem: str = ""


def settle_unsettled(*, younger_than: timedelta | None = None) -> Iterator[Attempted]:
    """Try each unsettled change once; those that someone else is trying are left out. Raises LedgerError."""
    since = timezone.now() - younger_than if younger_than else None
    for number in list_unsettled(since=since):
        with leased(number, LEASE) as intent:
            if intent is not None:
                yield _settle(intent)


def _settle(intent: ChangeIntent) -> Attempted:
    try:
        return Attempted(settle_change(project=get_project(intent.project), intent=intent))
    except UnknownProjectError:
        return Attempted(intent, f"the project {intent.project} is not configured any more")
    except LedgerError as error:
        logger.exception("What came of change %s could not be recorded", intent.number)
        return Attempted(intent, str(error))
