"""Revert a change with the edit form and its review. Only fields that still hold the new value are reverted."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import TextChoices
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.audit.ledger.services import find_change
from dashboard.audit.models import ChangeIntent, FieldChange, Kind, Outcome
from dashboard.cloud.projects import Project
from dashboard.server_groups.fields import BY_PATH, ShownGroup
from dashboard.server_groups.forms import ServerGroupForm
from dashboard.server_groups.inputs import Value, to_text
from dashboard.server_groups.submission import Submission

_OPENING = "Reverts entry"
"""The beginning of a revert's reason in the ledger. It is in English, because it is parsed again."""
_REVERTED_NUMBER = re.compile(rf"{_OPENING} (\d{{1,18}})(?!\d)", re.ASCII)


class Keep(TextChoices):
    """The reasons not to revert a field, each with its message. `fields` is a list of labels."""

    CHANGED = "changed", _("Not reverted, because they have another value now: %(fields)s.")
    REVERTED = "reverted", _("Not reverted, because they have the earlier value already: %(fields)s.")
    UNKNOWN = "unknown", _("Not reverted, because the earlier value is not known: %(fields)s.")
    FIXED = "fixed", _("Not reverted, because they can no longer be changed here: %(fields)s.")


@dataclass(frozen=True)
class Reverting:
    """A submission that reverts a change; None if there is nothing to revert. `kept` says what stays, and why."""

    submission: Submission | None
    kept: tuple[str, ...]


def revert(entry: ChangeIntent, shown: ShownGroup) -> Reverting:
    last = entry.last_outcome
    if last is None or last.outcome == Outcome.UNKNOWN:
        return Reverting(
            None, (gettext("The outcome of entry %(number)d is not known yet.") % {"number": entry.number},)
        )
    if last.outcome != Outcome.APPLIED:
        return Reverting(None, (gettext("Entry %(number)d changed nothing.") % {"number": entry.number},))
    rows = entry.fields.all()
    reasons = {row.pk: _reason_to_keep(row, shown) for row in rows}
    reverted = {row.field: row.before for row in rows if reasons[row.pk] is None}
    labels = {reason: [_label(row) for row in rows if reasons[row.pk] == reason] for reason in Keep}
    kept = tuple(reason.label % {"fields": ", ".join(named)} for reason, named in labels.items() if named)
    return Reverting(_submission(entry, reverted, shown) if reverted else None, kept)


def kind_and_reason(form: ServerGroupForm, project: Project) -> tuple[Kind, str]:
    """The kind and the reason of a change in the ledger. A revert names an entry and restores a value of it."""
    number, reason = form.cleaned_data["revert"], form.cleaned_data["reason"]
    entry = find_change(project.slug, form.group.id, str(number)) if number else None
    if (
        entry is None
        or not _is_applied(entry)
        or not any(form.changes.get(row.field) == row.before for row in _revertible(entry))
    ):
        return Kind.EDIT, reason
    return Kind.REVERT, reason_to_revert(entry.number, reason)


def _is_applied(entry: ChangeIntent) -> bool:
    return entry.last_outcome is not None and entry.last_outcome.outcome == Outcome.APPLIED


def _revertible(entry: ChangeIntent) -> list[FieldChange]:
    return [row for row in entry.fields.all() if row.before is not None]


def _label(row: FieldChange) -> str:
    return str(BY_PATH[row.field].label) if row.field in BY_PATH else row.label


def _reason_to_keep(row: FieldChange, shown: ShownGroup) -> Keep | None:
    field = BY_PATH.get(row.field)
    if field is None or field.reason_not_applicable(shown.group, shown.context):
        return Keep.FIXED
    now = shown.group.value(row.field)
    if row.before is None:
        return Keep.UNKNOWN
    if now == row.before:
        return Keep.REVERTED
    return None if now == row.after else Keep.CHANGED


def _submission(entry: ChangeIntent, reverted: Mapping[str, Value], shown: ShownGroup) -> Submission:
    return Submission(
        shown,
        typed={BY_PATH[path].name: to_text(value) for path, value in reverted.items()},
        reason=reason_to_revert(entry.number),
        revert=str(entry.number),
    )


def reason_to_revert(number: int, reason: str = "") -> str:
    """The ledger's reason of a change that reverts an entry, followed by the person's own reason."""
    opening = f"{_OPENING} {number}"
    if _reverted_number(reason) == number:
        return reason
    return f"{opening}: {reason}" if reason.strip() else opening


def entry_reverted(entry: ChangeIntent) -> int | None:
    """The number of the entry that this one reverts, if it is a revert."""
    return _reverted_number(entry.reason) if entry.kind == Kind.REVERT else None


def entries_reverting(entry: ChangeIntent) -> list[int]:
    """The numbers of the changes that reverted this one."""
    later = ChangeIntent.objects.for_group(entry.project, entry.group_id).filter(
        number__gt=entry.number, kind=Kind.REVERT, reason__startswith=f"{_OPENING} {entry.number}"
    )
    rows = later.with_outcome(Outcome.APPLIED).order_by("number")
    return [row.number for row in rows if entry_reverted(row) == entry.number]


def _reverted_number(reason: str) -> int | None:
    match = _REVERTED_NUMBER.match(reason)
    return int(match[1]) if match else None
