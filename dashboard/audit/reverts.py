"""How a change that takes another one back says so: at the head of its reason, which is sealed like the rest."""

import re

from dashboard.audit.models import ChangeIntent, Kind, Outcome

_OPENING = "Takes back entry"
_READ = re.compile(rf"{_OPENING} (\d{{1,18}})(?!\d)", re.ASCII)


def reason_to_take_back(number: int, reason: str = "") -> str:
    """The reason of a change that takes back an entry, with whatever else someone wrote."""
    opening = f"{_OPENING} {number}"
    if _named(reason) == number:
        return reason
    return f"{opening}: {reason}" if reason.strip() else opening


def entry_taken_back(entry: ChangeIntent) -> int | None:
    """The number of the entry that this one takes back, if it does."""
    return _named(entry.reason) if entry.kind == Kind.REVERT else None


def entries_taking_back(entry: ChangeIntent) -> list[int]:
    """Numbers of the changes that took this one back."""
    later = ChangeIntent.objects.for_group(entry.project, entry.group_id).filter(
        number__gt=entry.number, kind=Kind.REVERT, reason__startswith=f"{_OPENING} {entry.number}"
    )
    rows = later.ended(Outcome.APPLIED).order_by("number")
    return [row.number for row in rows if entry_taken_back(row) == entry.number]


def _named(reason: str) -> int | None:
    match = _READ.match(reason)
    return int(match[1]) if match else None
