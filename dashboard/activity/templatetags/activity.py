"""The state of the ledger on its pages."""

from django import template

from dashboard.audit.integrity.background_check import last_verification
from dashboard.audit.ledger.services import LedgerError, reading_ledger
from dashboard.audit.models import Verification

register = template.Library()


@register.simple_tag
def verification() -> Verification | None:
    """The result of the last check of the ledger; None when the ledger cannot be read, which must not hide a page."""
    try:
        with reading_ledger():
            return last_verification()
    except LedgerError:
        return None
