"""The verification of the ledger, and system events as sentences."""

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from dashboard.audit.integrity.background_check import last_verification
from dashboard.audit.ledger.services import LedgerError, reading_ledger
from dashboard.audit.models import SystemEvent, Verification
from dashboard.web.requests import Project

register = template.Library()


@register.simple_tag
def verification() -> Verification | None:
    """Return the result of the last verification, or None if it cannot be read: the page is shown without it."""
    try:
        with reading_ledger():
            return last_verification()
    except LedgerError:
        return None


@register.filter
def sentence(event: SystemEvent, project: Project) -> SafeString:
    """Return a system event as a sentence. The person is a link to the events of that person."""
    actor = format_html("<strong>{}</strong>", event.actor or _("Unknown person"))
    if event.actor:
        address = reverse("activity:system", args=[project.slug], query={"actor": event.actor})
        actor = format_html('<a href="{}">{}</a>', address, actor)
    return format_html(event.get_kind_display(), actor=actor)
