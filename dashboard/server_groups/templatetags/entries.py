"""Ledger entries as sentences: who did what to which group."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.audit.models import ChangeIntent, Kind, Outcome
from dashboard.cloud.parsing import id_problem
from dashboard.server_groups.outside import EXISTENCE

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

register = template.Library()

APPLIED: Mapping[str, "StrPromise"] = {
    "changed": gettext_lazy("{actor} changed {group}"),
    "reverted": gettext_lazy("{actor} reverted {group}"),
    "on": gettext_lazy("{actor} switched {group} on"),
    "off": gettext_lazy("{actor} switched {group} off"),
}
TRIED: Mapping[str, "StrPromise"] = {
    "changed": gettext_lazy("{actor} tried to change {group}"),
    "reverted": gettext_lazy("{actor} tried to revert {group}"),
    "on": gettext_lazy("{actor} tried to switch {group} on"),
    "off": gettext_lazy("{actor} tried to switch {group} off"),
}
"""Sentences for a change that is not known to be applied."""
OUTSIDE: Mapping[str, "StrPromise"] = {
    "changed": gettext_lazy("Someone outside the dashboard changed {group}"),
    "created": gettext_lazy("Someone outside the dashboard created {group}"),
    "deleted": gettext_lazy("Someone outside the dashboard deleted {group}"),
}
"""Sentences for a change that the inventory found."""


@register.simple_tag
def entry_sentence(entry: ChangeIntent, *, in_group: bool = False) -> SafeString:
    """Name the person, the action and the group. On the page of the group (`in_group`) the group needs no name."""
    group = _("this group") if in_group else _link(entry)
    if entry.kind == Kind.OUTSIDE:
        return format_html(str(OUTSIDE[_outside_action(entry)]), group=group)
    last = entry.last_outcome
    sentences = APPLIED if last is not None and last.outcome == Outcome.APPLIED else TRIED
    actor = format_html("<strong>{}</strong>", entry.actor)
    return format_html(str(sentences[_action(entry)]), actor=actor, group=group)


def _action(entry: ChangeIntent) -> str:
    if entry.kind == Kind.REVERT:
        return "reverted"
    statuses = [change.after for change in entry.fields.all()] if entry.kind == Kind.SWITCH else []
    return ("on" if statuses[0] else "off") if statuses else "changed"


def _outside_action(entry: ChangeIntent) -> str:
    existence = next((change for change in entry.fields.all() if change.field == EXISTENCE), None)
    if existence is None:
        return "changed"
    return "created" if existence.after else "deleted"


def _link(entry: ChangeIntent) -> SafeString:
    if id_problem(entry.group_id):
        return format_html("{}", entry.group_name)
    address = reverse("server-groups:detail", args=[entry.project, entry.group_id])
    return format_html('<a href="{}">{}</a>', address, entry.group_name)
