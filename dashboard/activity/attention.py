"""Find what needs a person: unknown outcomes, changes that the cloud applied late, and changes from outside."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from dashboard.audit.ledger.services import (
    LedgerError,
    count_unsettled_and_corrected,
    find_corrected,
    find_recent,
    list_observed,
    list_unsettled,
    reading_ledger,
)
from dashboard.audit.models import ChangeIntent, Kind

ATTENTION_AFTER = timedelta(minutes=1)
"""The age of an unknown change from which it is listed. Until then, its page reads the group again by itself."""
CORRECTED_FOR = timedelta(days=1)
"""The time for which a change that was applied late is listed."""
OUTSIDE_FOR = timedelta(days=1)
"""The time for which changes outside the dashboard are counted."""
PAGE_SIZE = 100


@dataclass(frozen=True)
class Attention:
    entries: list[ChangeIntent]
    """The newest ones, at most `PAGE_SIZE`."""
    count: int
    outside: int
    """Number of changes outside the dashboard within a day."""


def find_needing_attention(project: str) -> Attention:
    """Find unknown changes, changes applied late, and changes under observation. Raises LedgerError."""
    with reading_ledger():
        numbers = [*_unsettled(project), *_corrected(project), *list_observed(project=project)]
        entries = list(ChangeIntent.objects.filter(number__in=numbers).with_rows()[:PAGE_SIZE])
        outside = find_recent(project, Kind.OUTSIDE, since=timezone.now() - OUTSIDE_FOR).count()
    return Attention(entries, len(numbers), outside)


def count_needing_attention(project: str) -> int:
    """Count unknown changes and changes applied late. Returns 0 without a ledger, which has its own message."""
    try:
        now = timezone.now()
        return count_unsettled_and_corrected(
            project, unsettled_before=now - ATTENTION_AFTER, corrected_since=now - CORRECTED_FOR
        )
    except LedgerError:
        return 0


def _unsettled(project: str) -> list[int]:
    return list_unsettled(project=project, before=timezone.now() - ATTENTION_AFTER)


def _corrected(project: str) -> list[int]:
    return list(find_corrected(project, since=timezone.now() - CORRECTED_FOR).values_list("number", flat=True))
