"""Whether anything happened to a group between two times, under whatever name it had."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import Q

from dashboard.audit.models import ChangeIntent, FieldChange, Outcome

WITHOUT_EFFECT = {Outcome.DENIED, Outcome.NOT_SENT, Outcome.REJECTED, Outcome.NOT_APPLIED}


class UnknownGroupError(Exception):
    """No row of the ledger knows a group of this name or id."""


@dataclass(frozen=True)
class Happened:
    """What was done to a group, or may have been, and what was tried without effect; oldest first."""

    changes: tuple[ChangeIntent, ...]
    attempts: tuple[ChangeIntent, ...]


def what_happened_to(group: str, *, since: datetime | None, until: datetime | None) -> Happened:
    """By its id, or any name it ever had: then each group that had it counts. Raises UnknownGroupError."""
    rows = ChangeIntent.objects.filter(_is_one_of(set(_groups_called(group)), group))
    if since:
        rows = rows.filter(at__gte=since)
    if until:
        rows = rows.filter(at__lt=until)
    found = list(rows.order_by("number").prefetch_related("outcomes"))
    return Happened(
        changes=tuple(row for row in found if not _is_without_effect(row)),
        attempts=tuple(row for row in found if _is_without_effect(row)),
    )


def _is_without_effect(change: ChangeIntent) -> bool:
    return change.last_outcome is not None and change.last_outcome.outcome in WITHOUT_EFFECT


def _groups_called(group: str) -> Iterator[tuple[str, str]]:
    """Project and id; a name that was given, or taken away, by a change counts from the change itself."""
    named = ChangeIntent.objects.filter(Q(group_id=group) | Q(group_name=group))
    yield from named.values_list("project", "group_id").distinct()
    renamed = FieldChange.objects.filter(field="name").filter(Q(before=group) | Q(after=group))
    yield from renamed.values_list("intent__project", "intent__group_id").distinct()


def _is_one_of(groups: set[tuple[str, str]], asked_for: str) -> Q:
    if not groups:
        raise UnknownGroupError(f"no row of the ledger knows a group called {asked_for}")
    return reduce(or_, (Q(project=project, group_id=group_id) for project, group_id in sorted(groups)))
