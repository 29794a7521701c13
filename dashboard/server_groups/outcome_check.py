"""What a read says about a change that was sent, and when a read can say anything."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from dashboard.audit.ledger.services import Change, OutcomeDetails
from dashboard.audit.models import ACCEPTED_PROOF, ChangeIntent, Outcome
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CloudError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.fields import BY_PATH

CALL_SECONDS = 15
"""The client's deadline of a call: an intent without an outcome may still be on its way for so long."""
WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each read that settles a change: a change can show, or even happen, seconds late."""
WAITS_IN_REQUEST = WAITS[:2]
"""A page waits for these; after that it shows the change as pending and asks again by itself."""


def read_back(project: Project, group_id: str, paths: Iterable[str]) -> ServerGroup:
    """The group as it is now. What ShowServerGroup leaves out of `paths` is taken from the list, if it is there.

    Raises CloudError when the group cannot be read.
    """
    client = client_for(project)
    group = client.show_server_group(group_id)
    missing = [path for path in paths if group.value(path) is None and "." not in path]
    if not missing:
        return group
    try:
        listed = client.find_in_list(group_id)
    except CloudError:
        return group
    held: dict[str, Any] = {path: listed.value(path) for path in missing} if listed else {}
    return replace(group, **held)


def check_read(
    changes: tuple[Change, ...], group: ServerGroup, *, is_accepted: bool, is_last: bool
) -> OutcomeDetails | None:
    """What a read says about a change; None when a later read has to tell.

    `is_accepted`: the cloud answered 200. `is_last`: there was time enough for a late change to show.
    """
    at = f"read at {timezone.now():%Y-%m-%d %H:%M:%S} UTC"
    readable = [change for change in changes if group.value(change.field) is not None]
    unreadable = [change for change in changes if change not in readable]
    if all(group.value(change.field) == change.after for change in readable):
        if not unreadable:
            return OutcomeDetails(Outcome.APPLIED, f"A {at} shows the new values.")
        if is_accepted:
            shown = f" A {at} shows the new value of {_labels(readable)}." if readable else ""
            told = f"Accepted by the cloud; it does not show the new value of {_labels(unreadable)}.{shown}"
            return OutcomeDetails(Outcome.ACCEPTED, told)
    if not is_last:
        return None
    if conflict := _conflict(readable, group):
        return OutcomeDetails(Outcome.CONFLICT, f"A {at} shows {conflict}.")
    is_old = all(change.before is not None for change in readable)
    old = f"{'shows the old' if is_old else 'does not show the new'} value of {_labels(readable)}" if readable else ""
    missing = f"does not show {_labels(unreadable)}" if unreadable else ""
    told = f"{at} {' and '.join(filter(None, (old, missing)))}."
    if is_accepted:
        return OutcomeDetails(Outcome.UNKNOWN, f"{ACCEPTED_PROOF} a {told}")
    return OutcomeDetails(Outcome.UNKNOWN if unreadable else Outcome.NOT_APPLIED, f"A {told}")


def _conflict(readable: list[Change], group: ServerGroup) -> str:
    """What the group holds where it is neither the state before the change nor the one after it."""
    others = [
        change
        for change in readable
        if change.before is not None and group.value(change.field) not in (change.before, change.after)
    ]
    if others:
        return f"{_values(others, group)}: neither the old value nor the new one"
    is_new = [change for change in readable if group.value(change.field) == change.after]
    return f"the new value of {_labels(is_new)} only" if is_new and len(is_new) < len(readable) else ""


def _labels(changes: list[Change]) -> str:
    return ", ".join(change.label for change in changes)


def _values(changes: list[Change], group: ServerGroup) -> str:
    return ", ".join(
        f"{change.label}: {BY_PATH[change.field].display(group.value(change.field))}" for change in changes
    )


def readable_from(intent: ChangeIntent) -> datetime:
    """From then on nothing of the change is on its way any more, and a read can tell."""
    last, at_the_latest = intent.last_outcome, intent.begun_at + timedelta(seconds=CALL_SECONDS)
    return min(last.at, at_the_latest) if last else at_the_latest


def check_later(intent: ChangeIntent, group: ServerGroup) -> OutcomeDetails | None:
    """What a read says about a change that is unsettled or observed; None when a later one has to tell."""
    is_accepted = any(row.is_accepted for row in intent.outcomes.all())
    is_last = timezone.now() >= readable_from(intent) + timedelta(seconds=sum(WAITS))
    return check_read(changes_of(intent), group, is_accepted=is_accepted, is_last=is_last)


def changes_of(intent: ChangeIntent) -> tuple[Change, ...]:
    return tuple(Change(row.field, row.label, row.before, row.after) for row in intent.fields.all())
