"""The outcome of a write in words: what happened, what the cloud holds now, what to do."""

from dataclasses import dataclass

from django.utils import timezone

from dashboard.audit.models import ChangeIntent, Kind, Outcome
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.services import WriteResult


@dataclass(frozen=True)
class Notice:
    """`level` is one of ok, wait, bad; it picks the colour, the words stand on their own."""

    level: str
    text: str


def switch_notice(written: WriteResult, group: ServerGroup, *, on: bool) -> Notice:
    """`group` is as a read after the change showed it; without its status nothing is said about the state."""
    name = group.name or group.id
    wanted, other = ("on", "off") if on else ("off", "on")
    if written.intent is None:
        return Notice("ok", f"{name} is already {wanted}. Nothing was sent.")
    if written.is_misused:
        return Notice("bad", f"{name} was not switched {wanted}: this form was sent already, for something else.")
    return _say_outcome(written.intent, group, wanted, other)


def _say_outcome(intent: ChangeIntent, group: ServerGroup, wanted: str, other: str) -> Notice:
    name, last = group.name or group.id, intent.last_outcome
    if last is None:
        return Notice("wait", f"{name} is being switched {wanted}. Waiting for the cloud.")
    match last.outcome:
        case Outcome.APPLIED:
            return Notice("ok", f"{name} is {wanted}.")
        case Outcome.ACCEPTED:
            return Notice("wait", f"The cloud accepted switching {name} {wanted}. It does not show the new state.")
        case Outcome.UNKNOWN:
            return Notice("wait", f"It is not known yet whether {name} is {wanted}. {last.proof} Checking again.")
        case Outcome.CONFLICT:
            return Notice("bad", f"{name} was changed by someone else meanwhile. {last.proof}")
    if group.server_group_status is (wanted != "on"):
        state = f"{name} is still {other}."
    elif last.outcome == Outcome.REJECTED or intent.is_observed:
        state = f"No read shows whether {name} is {wanted}."
    else:
        state = f"{name} was not switched {wanted}."
    return Notice("bad", f"{state} {failure_text(intent)}")


def settled_notice(intent: ChangeIntent, group: ServerGroup) -> Notice:
    """What a later read found out about a change."""
    if intent.kind == Kind.SWITCH:
        return switch_notice(WriteResult(intent), group, on=intent.fields.get().after is True)
    name, last = group.name or group.id, intent.last_outcome
    if last is None or last.outcome == Outcome.UNKNOWN:
        return Notice("wait", f"It is not known yet whether the change of {name} took effect. Checking again.")
    if last.outcome == Outcome.APPLIED:
        return Notice("ok", f"The change of {name} took effect.")
    if last.outcome == Outcome.ACCEPTED:
        return Notice("wait", f"The change of {name}: {last.proof}")
    return Notice("bad", f"The change of {name} did not take effect as intended. {failure_text(intent)}")


def failure_text(intent: ChangeIntent) -> str:
    """Why nothing was changed, with the cloud's own code and message, and what to do next."""
    last = intent.last_outcome
    if last is None:
        return ""
    said = next((row for row in intent.outcomes.all() if row.error_code or row.error_msg), last)
    words = ": ".join(part for part in (said.error_code, said.error_msg) if part)
    parts = (last.proof, f"The cloud's words: {words.rstrip('.')}." if words else "", _advice(intent, last.outcome))
    return " ".join(part for part in parts if part)


def _advice(intent: ChangeIntent, outcome: str) -> str:
    if intent.is_observed and outcome in {Outcome.NOT_APPLIED, Outcome.NOT_SENT}:
        until = timezone.localtime(intent.observed_until)
        return f"Not applied so far. Until {until:%H:%M %Z} the dashboard checks whether the cloud applies it late."
    match outcome:
        case Outcome.REJECTED:
            return "The cloud would refuse the same change again."
        case Outcome.NOT_SENT | Outcome.NOT_APPLIED:
            return "Trying again is safe."
        case _:
            return "Look at the group before trying again."
