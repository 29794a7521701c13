"""Times on a page, relative or in UTC. A browser script adds the local time."""

from datetime import datetime

from django import template
from django.utils import dateformat, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

register = template.Library()

MINUTE, HOUR, DAY = 60, 3600, 86400
"""In seconds."""


@register.filter
def ago(moment: datetime | None) -> SafeString:
    """A time relative to now, with UTC on hover. A browser script makes the hover text local."""
    if moment is None:
        return SafeString("")
    iso, exact = f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, exact, _age(moment))


@register.filter
def moment(at: datetime) -> SafeString:
    """An exact time in UTC. A browser script shows the local time, with UTC on hover."""
    iso, exact = f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{dateformat.format(at, pgettext('date format', 'j M Y, H:i:s'))} UTC"
    return format_html('<time data-local datetime="{}">{}</time>', iso, exact)


@register.filter
def clock(at: datetime) -> SafeString:
    """The time of day in UTC, for an axis. A browser script shows the local time, with date and UTC on hover."""
    return _short(at, "time", f"{at:%H:%M} UTC")


@register.filter
def day(at: datetime) -> SafeString:
    """The date in UTC, for an axis. A browser script shows the local date, with time and UTC on hover."""
    return _short(at, "day", dateformat.format(at, pgettext("date format without year", "j M")))


def _short(at: datetime, form: str, text: str) -> SafeString:
    iso, exact = f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return format_html('<time data-local="{}" datetime="{}" title="{}">{}</time>', form, iso, exact, text)


def age_step(moment: datetime) -> tuple[int, int]:
    """The unit of an age in seconds, and the number of units. It differs exactly when the words of `ago` differ."""
    seconds = int((timezone.now() - moment).total_seconds())
    for unit, limit in ((0, MINUTE), (MINUTE, HOUR), (HOUR, DAY), (DAY, 14 * DAY)):
        if seconds < limit:
            return unit, seconds // unit if unit else 0
    return 14 * DAY, 0


def _age(moment: datetime) -> str:
    unit, count = age_step(moment)
    words = {0: _("just now"), MINUTE: _("%(count)d min ago"), HOUR: _("%(count)d h ago"), DAY: _("%(count)d d ago")}
    if unit not in words:
        return dateformat.format(moment, pgettext("date format", "j M Y"))
    return words[unit] % {"count": count}
