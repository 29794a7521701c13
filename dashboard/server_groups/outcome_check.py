"""Derive the outcome of a change from a read of the group, and the time from which a read can settle it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from dashboard.audit.ledger.services import Change, OutcomeDetails
from dashboard.audit.models import ACCEPTED_PROOF, ChangeIntent, Outcome
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.ledger_texts import field_value

CALL_SECONDS = 15
"""The client's deadline of a call. An intent without an outcome may still be in progress for this time."""
WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each read that settles a change. The cloud may show, or even apply, a change seconds late."""
WAITS_IN_REQUEST = WAITS[:2]
"""A page waits for these reads. Then it shows the change as pending and reads again by itself."""


@dataclass(frozen=True)
class GroupRead:
    """A group, and the start of the read that returned it."""

    group: ServerGroup
    begun_at: datetime


def read_back(project: Project, group_id: str, paths: Iterable[str]) -> GroupRead:
    """Read a group. Values of `paths` that ShowServerGroup omits come from the list, if the list has them.

    Raises CloudError when the group cannot be read.
    """
    client, begun_at = client_for(project), timezone.now()
    group = client.show_server_group(group_id)
    missing = [path for path in paths if group.value(path) is None and "." not in path]
    if not missing:
        return GroupRead(group, begun_at)
    try:
        listed = client.find_in_list(group_id)
    except CloudError:
        return GroupRead(group, begun_at)
    values: dict[str, Any] = {path: listed.value(path) for path in missing} if listed else {}
    return GroupRead(replace(group, **values), begun_at)


def check_read(
    changes: tuple[Change, ...], group: ServerGroup, *, is_accepted: bool, is_last: bool
) -> OutcomeDetails | None:
    """Derive the outcome of a change from a read. None: a later read decides.

    `is_accepted`: the response to the PATCH was 200. `is_last`: a late change had enough time to show.
    """
    read = _Read.of(changes, group)
    if read.shows_only_new and not read.hidden:
        return OutcomeDetails(Outcome.APPLIED, f"A {read.at} shows the new values.")
    if read.shows_only_new and is_accepted:
        return read.accepted()
    if not is_last:
        return None
    return read.conflict() or read.old(is_accepted=is_accepted)


@dataclass(frozen=True)
class _Read:
    """A read of a group beside a change: the changed fields that it shows, and those that it hides."""

    group: ServerGroup
    shown: tuple[Change, ...]
    hidden: tuple[Change, ...]
    at: str

    @classmethod
    def of(cls, changes: tuple[Change, ...], group: ServerGroup) -> "_Read":
        return cls(
            group,
            shown=tuple(change for change in changes if group.value(change.field) is not None),
            hidden=tuple(change for change in changes if group.value(change.field) is None),
            at=f"read at {timezone.now():%Y-%m-%d %H:%M:%S} UTC",
        )

    @property
    def new(self) -> tuple[Change, ...]:
        return tuple(change for change in self.shown if self.group.value(change.field) == change.after)

    @property
    def shows_only_new(self) -> bool:
        return self.new == self.shown

    def accepted(self) -> OutcomeDetails:
        """The outcome of a change that the cloud accepted and does not show."""
        proof = f"The cloud accepted the change, but it does not show the new value of {_labels(self.hidden)}."
        if self.shown:
            proof = f"{proof} A {self.at} shows the new value of {_labels(self.shown)}."
        return OutcomeDetails(Outcome.ACCEPTED, proof)

    def conflict(self) -> OutcomeDetails | None:
        """The outcome if the group has neither the state before the change nor the one after it."""
        if others := self._others:
            proof = f"A {self.at} shows neither the old nor the new value: {others}."
        elif self.new and not self.shows_only_new:
            proof = f"A {self.at} shows the new value of {_labels(self.new)} only."
        else:
            return None
        return OutcomeDetails(Outcome.CONFLICT, proof)

    @property
    def _others(self) -> str:
        """The values that are neither old nor new, as text."""
        values = ((change, self.group.value(change.field)) for change in self.shown if change.before is not None)
        return ", ".join(
            f"{change.label}: {field_value(change.field, value)}"
            for change, value in values
            if value not in (change.before, change.after)
        )

    @property
    def _verb(self) -> str:
        if self.shows_only_new:
            return "shows the new"
        is_old = all(change.before is not None for change in self.shown)
        return "shows the old" if is_old else "does not show the new"

    def old(self, *, is_accepted: bool) -> OutcomeDetails:
        """The outcome if the last read does not show the new values."""
        parts = (
            f"{self._verb} value of {_labels(self.shown)}" if self.shown else "",
            f"does not show {_labels(self.hidden)}" if self.hidden else "",
        )
        text = f"{self.at} {' and '.join(part for part in parts if part)}."
        if is_accepted:
            return OutcomeDetails(Outcome.UNKNOWN, f"{ACCEPTED_PROOF} a {text}")
        return OutcomeDetails(Outcome.UNKNOWN if self.hidden else Outcome.NOT_APPLIED, f"A {text}")


def _labels(changes: Iterable[Change]) -> str:
    return ", ".join(change.label for change in changes)


def settles_from(intent: ChangeIntent) -> datetime:
    """The time from which no request of the change is in progress, so that a read can settle it."""
    last, latest = intent.last_outcome, intent.begun_at + timedelta(seconds=CALL_SECONDS)
    return min(last.at, latest) if last else latest


def check_later(intent: ChangeIntent, group: ServerGroup) -> OutcomeDetails | None:
    """Derive the outcome of an unsettled or observed change from a read. None: a later read decides."""
    is_accepted = any(row.is_accepted for row in intent.outcomes.all())
    is_last = timezone.now() >= settles_from(intent) + timedelta(seconds=sum(WAITS))
    return check_read(changes_of(intent), group, is_accepted=is_accepted, is_last=is_last)


def changes_of(intent: ChangeIntent) -> tuple[Change, ...]:
    return tuple(Change(row.field, row.label, row.before, row.after) for row in intent.fields.all())
