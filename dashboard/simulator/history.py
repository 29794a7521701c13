"""The applied changes of the simulated cloud."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dashboard.simulator.data import instant
from dashboard.simulator.groups import Groups
from dashboard.simulator.responses import Document


@dataclass(frozen=True)
class AppliedChange:
    """An applied change of one group."""

    number: int
    project: str
    group: str
    request: int | None
    """The number of its request in the request log; None for a control, a fault or a scheduled change."""
    before: Document | None
    """None if the change added the group."""
    after: Document | None
    """None if the change removed the group."""
    at: datetime
    place: int
    """The place of the group in the list."""
    moment: float = field(default_factory=time.monotonic)

    def document(self) -> Document:
        return {
            "number": self.number,
            "time": instant(self.at),
            "project": self.project,
            "group": self.group,
            "request": self.request,
            "before": self.before,
            "after": self.after,
        }


def undo(groups: Groups, changes: Iterable[AppliedChange]) -> Groups:
    """The groups before these changes, newest first."""
    ids, documents = groups.ids, dict(groups.documents)
    for change in changes:
        documents[change.group] = change.before
        ids = _ids_before(ids, change)
    return Groups(groups.seeded, ids, documents)


def _ids_before(ids: Sequence[str], change: AppliedChange) -> Sequence[str]:
    if change.before is None:
        return [*ids[: change.place], *ids[change.place + 1 :]]
    if change.after is None:
        return [*ids[: change.place], change.group, *ids[change.place :]]
    return ids
