"""Revert a change through the form and its review: only the fields that still hold what the change set."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.audit.ledger.services import find_change
from dashboard.audit.models import ChangeIntent, FieldChange, Kind, Outcome
from dashboard.cloud.projects import Project
from dashboard.server_groups.fields import BY_PATH, ShownGroup
from dashboard.server_groups.forms import ServerGroupForm
from dashboard.server_groups.inputs import Value, to_text
from dashboard.server_groups.submission import Submission

_OPENING = "Reverts entry"
_READ = re.compile(rf"{_OPENING} (\d{{1,18}})(?!\d)", re.ASCII)

LEFT = (
    "Not reverted, because they hold another value now",
    "Not reverted, because they hold the earlier value already",
    "Not reverted, because the earlier value is not known",
    "Not reverted, because they can no longer be changed here",
)
_MOVED, _BACK, _NOT_KNOWN, _NOT_EDITABLE = LEFT


@dataclass(frozen=True)
class Reverting:
    """A submission that undoes a change; None when there is none. `left` says what is not undone, and why."""

    submission: Submission | None
    left: tuple[str, ...]


def revert(entry: ChangeIntent, shown: ShownGroup) -> Reverting:
    last = entry.last_outcome
    if last is None or last.outcome == Outcome.UNKNOWN:
        return Reverting(None, (f"The outcome of entry {entry.number} is not known yet.",))
    if last.outcome != Outcome.APPLIED:
        return Reverting(None, (f"Entry {entry.number} changed nothing.",))
    reasons = {row.pk: _reason_to_leave(row, shown) for row in entry.fields.all()}
    undone = {row.field: row.before for row in entry.fields.all() if not reasons[row.pk]}
    labels = {why: [row.label for row in entry.fields.all() if reasons[row.pk] == why] for why in LEFT}
    left = tuple(f"{why}: {', '.join(named)}." for why, named in labels.items() if named)
    return Reverting(_submission(entry, undone, shown) if undone else None, left)


def kind_and_reason(form: ServerGroupForm, project: Project) -> tuple[Kind, str]:
    """The kind and the reason of a change in the ledger. A revert names its entry and puts back a value of it."""
    number, reason = form.cleaned_data["revert"], form.cleaned_data["reason"]
    entry = find_change(project.slug, form.group.id, str(number)) if number else None
    if (
        entry is None
        or not _is_applied(entry)
        or not any(form.changes.get(row.field) == row.before for row in _undoable(entry))
    ):
        return Kind.EDIT, reason
    return Kind.REVERT, reason_to_revert(entry.number, reason)


def _is_applied(entry: ChangeIntent) -> bool:
    return entry.last_outcome is not None and entry.last_outcome.outcome == Outcome.APPLIED


def _undoable(entry: ChangeIntent) -> list[FieldChange]:
    return [row for row in entry.fields.all() if row.before is not None]


def _reason_to_leave(row: FieldChange, shown: ShownGroup) -> str:
    field = BY_PATH.get(row.field)
    if field is None or field.reason_not_applicable(shown.group, shown.context):
        return _NOT_EDITABLE
    now = shown.group.value(row.field)
    if row.before is None:
        return _NOT_KNOWN
    if now == row.before:
        return _BACK
    return "" if now == row.after else _MOVED


def _submission(entry: ChangeIntent, undone: Mapping[str, Value], shown: ShownGroup) -> Submission:
    return Submission(
        shown,
        typed={BY_PATH[path].name: to_text(value) for path, value in undone.items()},
        reason=reason_to_revert(entry.number),
        revert=str(entry.number),
    )


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
