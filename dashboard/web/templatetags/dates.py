"""Times on a page. The page shows them in words or UTC; a browser script adds the reader's own time."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


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
