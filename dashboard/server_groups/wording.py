"""What came of a write, in words: what happened, what the cloud holds now, what to do."""

from dataclasses import dataclass

from dashboard.audit.models import ChangeIntent, ChangeOutcome, Kind, Outcome
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.services import Written


@dataclass(frozen=True)
class Notice:
    """`level` is one of ok, wait, bad; it picks the colour, the words stand on their own."""

    level: str
    text: str


def say_switched(written: Written, group: ServerGroup, *, on: bool) -> Notice:
    name = group.name or group.id
    wanted, other = ("on", "off") if on else ("off", "on")
    if written.intent is None:
        return Notice("ok", f"{name} is already {wanted}. Nothing was sent.")
    if written.is_misused:
        return Notice("bad", f"{name} was not switched {wanted}: this form was sent already, for something else.")
    last = written.intent.last_outcome
    if last is None:
        return Notice("wait", f"{name} is being switched {wanted}. Waiting for the cloud.")
    match last.outcome:
        case Outcome.APPLIED:
            return Notice("ok", f"{name} is {wanted}.")
        case Outcome.UNKNOWN:
            return Notice("wait", f"Not known yet whether {name} is {wanted}. {last.proof} Checking again.")
        case Outcome.CONFLICT:
            return Notice("bad", f"{name} was changed by someone else meanwhile. {last.proof}")
        case _ if group.server_group_status is (not on):
            return Notice("bad", f"{name} is still {other}. {say_failed(last)}")
        case _:
            return Notice("bad", f"{name} was not switched {wanted}. {say_failed(last)}")


def say_settled(intent: ChangeIntent, group: ServerGroup) -> Notice:
    """What a later read found out about a change."""
    if intent.kind == Kind.SWITCH:
        return say_switched(Written(intent), group, on=intent.fields.get().after is True)
    name, last = group.name or group.id, intent.last_outcome
    if last is None or last.outcome == Outcome.UNKNOWN:
        return Notice("wait", f"Not known yet whether the change of {name} took effect. Checking again.")
    if last.outcome == Outcome.APPLIED:
        return Notice("ok", f"The change of {name} took effect.")
    return Notice("bad", f"The change of {name} did not take effect as it was meant. {say_failed(last)}")


def say_failed(outcome: ChangeOutcome) -> str:
    """Why nothing was changed, with the cloud's own code and message, and whether trying again is safe."""
    said = ": ".join(part for part in (outcome.error_code, outcome.error_msg) if part)
    match outcome.outcome:
        case Outcome.REJECTED:
            advice = "Trying the same again will be refused again."
        case Outcome.NOT_SENT | Outcome.NOT_APPLIED:
            advice = "Trying again is safe."
        case _:
            advice = "Look at the group before trying again."
    return " ".join(
        part for part in (outcome.proof, f"The cloud's words: {said.rstrip('.')}." if said else "", advice) if part
    )
