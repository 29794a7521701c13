"""Ledger entries on a page: values as the field table formats them, and links to related entries."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import quote, urlencode

from django import template
from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from dashboard.audit.models import ChangeIntent, ChangeOutcome, FieldChange, Kind, Outcome, Value
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.outside import EXISTENCE, interval_of
from dashboard.server_groups.reverting import entries_reverting, entry_reverted
from dashboard.server_groups.text_differences import LONGEST, PartKind, TextPart, clip, compare, shorten

register = template.Library()

MARKS: Mapping[PartKind, str] = {
    PartKind.KEPT: "{}",
    PartKind.REMOVED: "<del>{}</del>",
    PartKind.ADDED: "<ins>{}</ins>",
}


@register.simple_tag
def entry_address(project: str, number: int | str) -> str:
    return ChangeIntent(project=project, number=int(number)).get_absolute_url()


@register.simple_tag
def ledger_address(project: str, **filters: str) -> str:
    """The address of the list of a project's entries, with these filters."""
    query = f"?{urlencode(filters)}" if filters else ""
    return reverse(settings.LEDGER_VIEW, args=[project]) + query


@register.filter
def reverts(entry: ChangeIntent) -> int | None:
    return entry_reverted(entry)


@register.filter
def reverted_by(entry: ChangeIntent) -> list[int]:
    return entries_reverting(entry)


@register.filter
def after(change: FieldChange) -> SafeString:
    return _value(_words(change.field, change.after))


@register.filter
def parts_before(change: FieldChange) -> SafeString:
    """The old value. In a long text only the removed parts are marked."""
    return _marked(change, (part for part in _parts(change) if part.kind != PartKind.ADDED))


@register.filter
def parts_after(change: FieldChange) -> SafeString:
    """The new value. In a long text only the added parts are marked."""
    return _marked(change, (part for part in _parts(change) if part.kind != PartKind.REMOVED))


@register.filter
def parts_in_short(change: FieldChange) -> SafeString:
    """Old and new value on one line. Of a long text, only the changed parts with a few words of context."""
    parts = _parts(change)
    if any(part.kind == PartKind.KEPT for part in parts):
        marks = _spoken_marks(gettext("removed:"), gettext("added:"))
        return format_html('<span class="text-diff">{}</span>', _marked(change, shorten(parts), marks=marks))
    return _marked(change, shorten(parts), between=" ", marks=_spoken_marks(gettext("from"), gettext("to")))


@register.filter
def after_in_short(change: FieldChange) -> SafeString:
    return _value(clip(_words(change.field, change.after), LONGEST))


def _parts(change: FieldChange) -> list[TextPart]:
    return compare(_words(change.field, change.before), _words(change.field, change.after))


def _marked(
    change: FieldChange, parts: Iterable[TextPart], between: str = "", marks: Mapping[PartKind, str] = MARKS
) -> SafeString:
    is_known = {PartKind.REMOVED: change.before is not None or change.field == EXISTENCE}
    texts = ((marks[part.kind], _value(part.text, is_known=is_known.get(part.kind, True))) for part in parts)
    return mark_safe(between.join(format_html(mark, text) for mark, text in texts))  # noqa: S308 (each part is escaped)


def _spoken_marks(removed: str, added: str) -> Mapping[PartKind, str]:
    """Marks with a word that the style sheet gives to screen readers."""
    return {
        **MARKS,
        PartKind.REMOVED: format_html('<del data-spoken="{} ">', removed) + "{}</del>",
        PartKind.ADDED: format_html('<ins data-spoken="{} ">', added) + "{}</ins>",
    }


def _value(words: str, *, is_known: bool = True) -> SafeString:
    """Format a value. A missing value has its own markup, because a text could be the same words."""
    nothing = format_html('<em class="nothing">{}</em>', gettext("no value") if is_known else gettext("not known"))
    return format_html("{}", words) if words else nothing


def _words(path: str, value: Value) -> str:
    """Format a raw value of the ledger; unchanged if the table no longer has the field. Empty for no value."""
    if value is None or value == "":
        return ""
    return BY_PATH[path].display(value) if path in BY_PATH else str(value)


@register.filter
def in_words(value: str | None, path: str) -> str:
    """Format a value of the API, if the field table has the field."""
    if value is None:
        return gettext("not known")
    return BY_PATH[path].display(value) if path in BY_PATH else value


@register.filter
def with_tickets(reason: str) -> SafeString:
    """A reason with this deployment's ticket numbers as links."""
    if not settings.TICKET_PATTERN:
        return format_html("{}", reason)
    parts, end = [], 0
    for match in settings.TICKET_PATTERN.finditer(reason):
        address = settings.TICKET_URL.replace("{ticket}", quote(match[0], safe=""))
        parts += [(reason[end : match.start()], address, match[0])] if match[0] else []
        end = match.end()
    linked = format_html_join("", '{}<a href="{}" rel="noreferrer">{}</a>', parts)
    return format_html("{}{}", linked, reason[end:])


@register.filter
def field_label(path: str) -> str:
    return str(BY_PATH[path].label) if path in BY_PATH else path


@register.filter
def interval(entry: ChangeIntent) -> tuple[datetime, datetime] | None:
    """The times between which a change outside the dashboard happened; None for any other change."""
    last = entry.last_outcome
    return interval_of(last.proof) if last and entry.kind == Kind.OUTSIDE else None


@register.filter
def failure_in_short(outcome: ChangeOutcome) -> str:
    """The reason why a change failed, on one line: the cloud's message, or else the proof."""
    if outcome.outcome == Outcome.APPLIED:
        return ""
    return clip(f"{outcome.error_code} {outcome.error_msg}".strip() or outcome.proof, LONGEST)


@register.filter
def is_revertible(entry: ChangeIntent) -> bool:
    """Whether the change was applied to a field, so that it can be reverted."""
    last = entry.last_outcome
    is_applied = last is not None and last.outcome == Outcome.APPLIED
    return is_applied and any(change.field in BY_PATH for change in entry.fields.all())
