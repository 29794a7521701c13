"""How the field table reads on a page: labels, values with their units, effects."""

import re
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from dashboard.audit.differences import LONGEST, Fate, Part, clip, compare, shorten
from dashboard.audit.models import ChangeIntent, ChangeOutcome, FieldChange, Kind, Outcome, Value
from dashboard.cloud.error_messages import explain
from dashboard.cloud.errors import CloudError
from dashboard.cloud.parsing import id_problem
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups import listing
from dashboard.server_groups.fields import BY_PATH, FIELDS, EditableField, Surroundings

register = template.Library()


@register.simple_tag
def editable_fields() -> tuple[EditableField, ...]:
    return FIELDS


@register.filter
def shown(group: ServerGroup, field: EditableField) -> str:
    """A field of a group in the words of the form."""
    return field.display(group.value(field.path))


@register.filter
def after(change: FieldChange) -> SafeString:
    return _value(_words(change.field, change.after))


@register.filter
def parts_before(change: FieldChange) -> SafeString:
    """The old value, with only what went marked where it is a long text."""
    return _marked(change, (part for part in _parts(change) if part.fate != Fate.CAME))


@register.filter
def parts_after(change: FieldChange) -> SafeString:
    """The new value, with only what came marked where it is a long text."""
    return _marked(change, (part for part in _parts(change) if part.fate != Fate.WENT))


@register.filter
def parts_in_short(change: FieldChange) -> SafeString:
    """Old and new value on one line; of a long text what went and came, and some words around it."""
    parts = _parts(change)
    if any(part.fate == Fate.STAYED for part in parts):
        return format_html('<span class="text-diff">{}</span>', _marked(change, shorten(parts)))
    return _marked(change, shorten(parts), between=" ")


@register.filter
def after_in_short(change: FieldChange) -> SafeString:
    return _value(clip(_words(change.field, change.after), LONGEST))


def _parts(change: FieldChange) -> list[Part]:
    return compare(_words(change.field, change.before), _words(change.field, change.after))


def _marked(change: FieldChange, parts: Iterable[Part], between: str = "") -> SafeString:
    marks = {Fate.STAYED: "{}", Fate.WENT: "<del>{}</del>", Fate.CAME: "<ins>{}</ins>"}
    is_known = {Fate.WENT: change.before is not None}
    texts = ((marks[part.fate], _value(part.text, is_known=is_known.get(part.fate, True))) for part in parts)
    return mark_safe(between.join(format_html(mark, text) for mark, text in texts))  # noqa: S308 (each part is escaped)


def _value(words: str, *, is_known: bool = True) -> SafeString:
    """That there is no value is set apart, since a text might read the same."""
    nothing = format_html('<em class="nothing">{}</em>', "no value" if is_known else "not known")
    return format_html("{}", words) if words else nothing


def _words(path: str, value: Value) -> str:
    """The ledger holds raw values; a field the table no longer has is shown as it is. Nothing has no words."""
    if value is None or value == "":
        return ""
    return BY_PATH[path].display(value) if path in BY_PATH else str(value)


@register.filter
def group_role(group: ServerGroup) -> str:
    return listing.role(group)


@register.filter
def not_applicable(group: ServerGroup, field: EditableField) -> str:
    return field.reason_not_applicable(group, Surroundings())


@register.filter
def ago(moment: datetime | None) -> SafeString:
    """A time as its distance from now, exact (UTC) on hover; a browser script makes the hover text local."""
    if moment is None:
        return SafeString("")
    iso, exact = f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, exact, _distance(moment))


@register.filter
def moment(at: datetime) -> SafeString:
    """An exact time: UTC as it is written, which a browser script turns into local time with UTC on hover."""
    iso, exact = f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at.day} {at:%b %Y, %H:%M:%S} UTC"
    return format_html('<time data-local datetime="{}">{}</time>', iso, exact)


def _distance(moment: datetime) -> str:
    seconds = (timezone.now() - moment).total_seconds()
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (86400 * 14, 86400, "d")):
        if seconds < limit:
            return "just now" if unit == "s" else f"{int(seconds // size)} {unit} ago"
    return f"{moment.day} {moment:%b %Y}"


@register.filter
def in_words(value: str | None, path: str) -> str:
    """A value of the API in words, where the field table has any for it."""
    if value is None:
        return "not known"
    return BY_PATH[path].display(value) if path in BY_PATH else value


@register.filter
def with_tickets(reason: str) -> SafeString:
    """A reason in which the ticket numbers of this deployment are links."""
    if not settings.TICKET_PATTERN:
        return format_html("{}", reason)
    parts, end = [], 0
    for match in re.finditer(settings.TICKET_PATTERN, reason):
        address = settings.TICKET_URL.replace("{ticket}", quote(match[0], safe=""))
        parts += [(reason[end : match.start()], address, match[0])] if match[0] else []
        end = match.end()
    linked = format_html_join("", '{}<a href="{}" rel="noreferrer">{}</a>', parts)
    return format_html("{}{}", linked, reason[end:])


@register.filter
def cause(error: CloudError) -> str:
    """What went wrong with the cloud, in words."""
    return explain(error).cause


@register.filter
def can_be_opened(group_id: str) -> bool:
    """Whether a page can be about a group with this id."""
    return not id_problem(group_id)


@register.filter
def field_label(path: str) -> str:
    return BY_PATH[path].label if path in BY_PATH else path


@register.filter
def trouble(outcome: ChangeOutcome) -> str:
    """Why a change did not go through, on one line: the cloud's words where it said any."""
    if outcome.outcome == Outcome.APPLIED:
        return ""
    return clip(f"{outcome.error_code} {outcome.error_msg}".strip() or outcome.proof, LONGEST)


@register.filter
def is_revertible(entry: ChangeIntent) -> bool:
    """Whether it changed something that could be put back."""
    last = entry.last_outcome
    return last is not None and last.outcome == Outcome.APPLIED


@register.filter
def did(entry: ChangeIntent) -> str:
    """The verb of a ledger entry: what someone did, or only tried to do."""
    last = entry.last_outcome
    is_done = last is not None and last.outcome == Outcome.APPLIED
    verbs = {
        Kind.EDIT: ("changed", "tried to change"),
        Kind.SWITCH: ("switched", "tried to switch"),
        Kind.REVERT: ("reverted", "tried to revert"),
    }
    done, tried = verbs.get(Kind(entry.kind), ("tried to change", "tried to change"))
    return done if is_done else tried


@register.inclusion_tag("server_groups/_sort_header.html")
def sort_header(query: listing.Query, name: str, label: str, kind: str = "") -> dict[str, str]:
    """A column's head that sorts by it, and the other way round when it is sorted by it already."""
    direction = {name: "ascending", f"-{name}": "descending"}.get(query.sort, "")
    wanted = f"-{name}" if direction == "ascending" else name
    return {"link": query.link(sort=wanted), "label": label, "kind": kind, "direction": direction}
