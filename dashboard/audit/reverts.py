"""How a change that reverts another one says so: at the head of its reason, which is sealed like the rest."""

import re

from dashboard.audit.models import ChangeIntent, Kind, Outcome

_OPENING = "Reverts entry"
_READ = re.compile(rf"{_OPENING} (\d{{1,18}})(?!\d)", re.ASCII)


def reason_to_revert(number: int, reason: str = "") -> str:
    """The reason of a change that reverts an entry, with whatever else someone wrote."""
    opening = f"{_OPENING} {number}"
    if _named(reason) == number:
        return reason
    return f"{opening}: {reason}" if reason.strip() else opening


def entry_reverted(entry: ChangeIntent) -> int | None:
    """The number of the entry that this one reverts, if it does."""
    return _named(entry.reason) if entry.kind == Kind.REVERT else None


def entries_reverting(entry: ChangeIntent) -> list[int]:
    """Numbers of the changes that reverted this one."""
    later = ChangeIntent.objects.for_group(entry.project, entry.group_id).filter(
        number__gt=entry.number, kind=Kind.REVERT, reason__startswith=f"{_OPENING} {entry.number}"
    )
    rows = later.ended(Outcome.APPLIED).order_by("number")
    return [row.number for row in rows if entry_reverted(row) == entry.number]


def _named(reason: str) -> int | None:
    match = _READ.match(reason)
    return int(match[1]) if match else None
