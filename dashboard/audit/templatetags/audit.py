"""What every page says of the ledger."""

from datetime import timedelta

from django import template
from django.utils import timezone

from dashboard.audit.background_check import last_verification
from dashboard.audit.models import ChangeIntent, Verification
from dashboard.audit.reverts import entries_reverting, entry_reverted
from dashboard.audit.services import LedgerError, find_corrected, list_unsettled, reading_ledger

register = template.Library()

ATTENTION_AFTER = timedelta(minutes=1)
"""Until then a page asks by itself."""
CORRECTED_FOR = timedelta(days=1)
"""How long a change that was applied late is listed."""


@register.simple_tag
def count_needing_attention(project: str) -> int:
    """Count changes with an unknown outcome and late applications. An unavailable ledger has its own message."""
    now = timezone.now()
    try:
        with reading_ledger():
            corrected = find_corrected(project, since=now - CORRECTED_FOR).count()
        return corrected + len(list_unsettled(project=project, before=now - ATTENTION_AFTER))
    except LedgerError:
        return 0


@register.filter
def reverts(entry: ChangeIntent) -> int | None:
    return entry_reverted(entry)


@register.filter
def reverted_by(entry: ChangeIntent) -> list[int]:
    return entries_reverting(entry)


@register.simple_tag
def verification() -> Verification | None:
    """What checks of the ledger found last; None where nobody can tell, which is no reason to show no page."""
    try:
        with reading_ledger():
            return last_verification()
    except LedgerError:
        return None


@register.filter
def grouped(number: int) -> str:
    """A number with a comma at each thousand."""
    return f"{number:,}"
