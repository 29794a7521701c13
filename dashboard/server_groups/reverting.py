"""Reverting a change: only the fields that still hold what it set, through the form and its review."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.http import QueryDict

from dashboard.audit.models import ChangeIntent, FieldChange, Kind, Outcome
from dashboard.audit.reverts import reason_to_revert
from dashboard.audit.services import find_change
from dashboard.cloud.projects import Project
from dashboard.server_groups.fields import BY_PATH, FIELDS, Shown
from dashboard.server_groups.forms import ServerGroupForm, sign_seen
from dashboard.server_groups.inputs import Value, to_text

LEFT = (
    "Left as they are, because they hold another value by now",
    "As they were before already",
    "Left as they are, because nobody knows what they were before",
    "Left as they are, because they cannot be changed here any more",
)
_MOVED, _BACK, _NOT_KNOWN, _NOT_EDITABLE = LEFT


@dataclass(frozen=True)
class Reverting:
    """The form as it would undo the change; None when there is nothing to undo. `left` says what is not, and why."""

    form: ServerGroupForm | None
    left: tuple[str, ...]


def revert(entry: ChangeIntent, shown: Shown) -> Reverting:
    last = entry.last_outcome
    if last is None or last.outcome == Outcome.UNKNOWN:
        return Reverting(None, (f"Nobody knows yet what came of entry {entry.number}.",))
    if last.outcome != Outcome.APPLIED:
        return Reverting(None, (f"Entry {entry.number} changed nothing.",))
    reasons = {row.pk: _reason_to_leave(row, shown) for row in entry.fields.all()}
    undone = {row.field: row.before for row in entry.fields.all() if not reasons[row.pk]}
    labels = {why: [row.label for row in entry.fields.all() if reasons[row.pk] == why] for why in LEFT}
    left = tuple(f"{why}: {', '.join(named)}." for why, named in labels.items() if named)
    return Reverting(_form(entry, undone, shown) if undone else None, left)


def kind_and_reason(form: ServerGroupForm, project: Project) -> tuple[Kind, str]:
    """How the ledger is to call what a form sends: a revert says which entry, and puts back something that it set."""
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


def _reason_to_leave(row: FieldChange, shown: Shown) -> str:
    field = BY_PATH.get(row.field)
    if field is None or field.reason_not_applicable(shown.group, shown.around):
        return _NOT_EDITABLE
    now = shown.group.value(row.field)
    if row.before is None:
        return _NOT_KNOWN
    if now == row.before:
        return _BACK
    return "" if now == row.after else _MOVED


def _form(entry: ChangeIntent, undone: Mapping[str, Value], shown: Shown) -> ServerGroupForm:
    data = QueryDict(mutable=True)
    for field in FIELDS:
        data[field.name] = to_text(undone.get(field.path, shown.group.value(field.path)))
    data["seen"], data["key"] = sign_seen(shown.group, shown.around), uuid.uuid4().hex
    data["revert"], data["reason"] = str(entry.number), reason_to_revert(entry.number)
    form = ServerGroupForm(data, shown=shown)
    form.is_over_seen = True
    return form
