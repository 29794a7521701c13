"""Find the changes to a group in a period, across renames."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import Q

from dashboard.audit.models import ChangeIntent, FieldChange, Outcome

WITHOUT_EFFECT = {Outcome.DENIED, Outcome.NOT_SENT, Outcome.REJECTED, Outcome.NOT_APPLIED}


class UnknownGroupError(Exception):
    """The ledger has no group with this name or id."""


@dataclass(frozen=True)
class GroupHistory:
    """The changes that took effect or may have, and the attempts without effect, oldest first."""

    changes: tuple[ChangeIntent, ...]
    attempts: tuple[ChangeIntent, ...]


def find_group_history(group: str, *, since: datetime | None, until: datetime | None) -> GroupHistory:
    """Find entries by the id of a group, or by any name it had. Raises UnknownGroupError.

    If several groups had the name, the result has the entries of all of them.
    """
    rows = ChangeIntent.objects.filter(_is_one_of(set(_find_groups(group)), group))
    if since:
        rows = rows.filter(at__gte=since)
    if until:
        rows = rows.filter(at__lt=until)
    found = list(rows.order_by("number").prefetch_related("outcomes"))
    return GroupHistory(
        changes=tuple(row for row in found if not _is_without_effect(row)),
        attempts=tuple(row for row in found if _is_without_effect(row)),
    )


def _is_without_effect(change: ChangeIntent) -> bool:
    return change.last_outcome is not None and change.last_outcome.outcome in WITHOUT_EFFECT


def _find_groups(name_or_id: str) -> Iterator[tuple[str, str]]:
    """Find project and id of each group. A rename counts for the old and for the new name."""
    named = ChangeIntent.objects.filter(Q(group_id=name_or_id) | Q(group_name=name_or_id))
    yield from named.values_list("project", "group_id").distinct()
    renamed = FieldChange.objects.filter(field="name").filter(Q(before=name_or_id) | Q(after=name_or_id))
    yield from renamed.values_list("intent__project", "intent__group_id").distinct()


def _is_one_of(groups: set[tuple[str, str]], name_or_id: str) -> Q:
    if not groups:
        raise UnknownGroupError(f"the ledger has no group with the name or id {name_or_id}")
    return reduce(or_, (Q(project=project, group_id=group_id) for project, group_id in sorted(groups)))
