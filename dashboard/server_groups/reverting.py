"""Taking back a change: only the fields that still hold what it set, through the form and its review."""

import uuid
from dataclasses import dataclass

from django.http import QueryDict

from dashboard.audit.models import ChangeIntent, FieldChange
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.fields import BY_PATH, FIELDS, Shown
from dashboard.server_groups.forms import ServerGroupForm, sign_seen
from dashboard.server_groups.inputs import to_text


@dataclass(frozen=True)
class Reverting:
    """The form as it would undo the change, and the labels of the fields that are not touched."""

    form: ServerGroupForm
    left: tuple[str, ...]


def revert(entry: ChangeIntent, shown: Shown) -> Reverting:
    changes = [row for row in entry.fields.all() if row.field in BY_PATH]
    undone = {row.field: row.before for row in changes if _still_holds(row, shown.group)}
    data = QueryDict(mutable=True)
    for field in FIELDS:
        data[field.name] = to_text(undone.get(field.path, shown.group.value(field.path)))
    data["seen"], data["key"] = sign_seen(shown.group, shown.around), uuid.uuid4().hex
    data["revert"], data["reason"] = str(entry.number), f"Takes back entry {entry.number}"
    form = ServerGroupForm(data, shown=shown)
    form.is_over_seen = True
    return Reverting(form, tuple(row.label for row in changes if row.field not in undone))


def _still_holds(row: FieldChange, group: ServerGroup) -> bool:
    """What was not known before cannot be put back."""
    return row.before is not None and group.value(row.field) == row.after
