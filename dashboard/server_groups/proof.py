"""What a read proves about a change that was sent, and how long it takes until a read can prove anything."""

from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.audit.models import ChangeIntent, Outcome
from dashboard.audit.services import Change, Verdict
from dashboard.cloud.resources import ServerGroup

CALL_SECONDS = 15
"""The client's deadline of a call: an intent without an outcome may still be on its way for so long."""
WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before each read that settles a change: a change can show, or even happen, seconds late."""
WAITS_IN_REQUEST = WAITS[:2]
"""A page waits for these; after that it shows the change as pending and asks again by itself."""


def judge(changes: tuple[Change, ...], group: ServerGroup, *, is_accepted: bool, is_last: bool) -> Verdict | None:
    """What a read says about a change; None when a later read has to tell.

    `is_accepted`: the cloud answered 200. `is_last`: there was time enough for a late change to show.
    """
    at = f"A read at {timezone.now():%Y-%m-%d %H:%M:%S} UTC"
    readable = [change for change in changes if group.value(change.field) is not None]
    unreadable = ", ".join(change.label for change in changes if change not in readable)
    is_new = [group.value(change.field) == change.after for change in readable]
    if all(is_new) and (readable or is_accepted) and (is_accepted or not unreadable):
        parts = [f"{at} shows the new values."] if readable else []
        parts += [f"Accepted, not readable: {unreadable}."] if unreadable else []
        return Verdict(Outcome.APPLIED, " ".join(parts))
    if not is_last:
        return None
    if any(is_new) or any(group.value(change.field) != change.before for change in readable):
        return Verdict(Outcome.CONFLICT, f"{at} shows neither the old nor the new state.")
    if is_accepted or not readable:
        return Verdict(Outcome.UNKNOWN, f"{at} shows the old values, though the cloud may have accepted the change.")
    return Verdict(Outcome.NOT_APPLIED, f"{at} shows the old values.")


def readable_from(intent: ChangeIntent) -> datetime:
    """From then on nothing of the change is on its way any more, and a read can tell."""
    last, at_the_latest = intent.last_outcome, intent.begun_at + timedelta(seconds=CALL_SECONDS)
    return min(last.at, at_the_latest) if last else at_the_latest


def judge_later(intent: ChangeIntent, group: ServerGroup) -> Verdict | None:
    """What a read says about a change that is in the ledger without an outcome; None when a later one has to tell."""
    changes = tuple(Change(row.field, row.label, row.before, row.after) for row in intent.fields.all())
    is_accepted = any(row.is_accepted for row in intent.outcomes.all())
    is_last = timezone.now() >= readable_from(intent) + timedelta(seconds=sum(WAITS))
    return judge(changes, group, is_accepted=is_accepted, is_last=is_last)
