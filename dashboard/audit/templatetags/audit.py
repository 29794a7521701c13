"""What every page says of the ledger."""

from datetime import timedelta

from django import template
from django.utils import timezone

from dashboard.audit.models import ChangeIntent
from dashboard.audit.reverts import entries_reverting, entry_reverted
from dashboard.audit.services import LedgerError, list_unsettled

register = template.Library()

ATTENTION_AFTER = timedelta(minutes=1)
"""Until then a page asks by itself."""


@register.simple_tag
def count_needing_attention(project: str) -> int:
    """How many changes nobody could settle. A ledger that is away has its own words on the page."""
    try:
        return len(list_unsettled(project=project, before=timezone.now() - ATTENTION_AFTER))
    except LedgerError:
        return 0


@register.filter
def reverts(entry: ChangeIntent) -> int | None:
    return entry_reverted(entry)


@register.filter
def reverted_by(entry: ChangeIntent) -> list[int]:
    return entries_reverting(entry)
