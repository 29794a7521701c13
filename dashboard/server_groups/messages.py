"""Messages about the outcome of a write: what happened, what the cloud holds now, what to do next."""

from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.audit.models import ChangeIntent, Kind, Outcome
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.inputs import Text
from dashboard.server_groups.sending import WriteResult


@dataclass(frozen=True)
class Notice:
    """`level` is ok, wait or bad. It picks the colour; the text is complete without it."""

    level: str
    text: str


@dataclass(frozen=True)
class _SwitchTexts:
    """The sentences about a switch to one state. `name` is the group's, `proof` the outcome's."""

    unchanged: Text
    misused: Text
    waiting: Text
    applied: Text
    accepted: Text
    unknown: Text
    still_other: Text
    not_shown: Text
    not_switched: Text


_ON = _SwitchTexts(
    unchanged=_("%(name)s is already on. Nothing was sent."),
    misused=_("%(name)s was not switched on. This form was already sent with another change."),
    waiting=_("%(name)s is being switched on. Waiting for the cloud."),
    applied=_("%(name)s is on."),
    accepted=_("The cloud accepted switching %(name)s on. It does not show the new state."),
    unknown=_("It is not known yet whether %(name)s is on. %(proof)s Checking again."),
    still_other=_("%(name)s is still off."),
    not_shown=_("No read shows whether %(name)s is on."),
    not_switched=_("%(name)s was not switched on."),
)
_OFF = _SwitchTexts(
    unchanged=_("%(name)s is already off. Nothing was sent."),
    misused=_("%(name)s was not switched off. This form was already sent with another change."),
    waiting=_("%(name)s is being switched off. Waiting for the cloud."),
    applied=_("%(name)s is off."),
    accepted=_("The cloud accepted switching %(name)s off. It does not show the new state."),
    unknown=_("It is not known yet whether %(name)s is off. %(proof)s Checking again."),
    still_other=_("%(name)s is still on."),
    not_shown=_("No read shows whether %(name)s is off."),
    not_switched=_("%(name)s was not switched off."),
)


def switch_notice(written: WriteResult, group: ServerGroup, *, on: bool) -> Notice:
    """`group` is as a read after the change showed it. Without its status the notice does not name a state."""
    texts, name = _ON if on else _OFF, group.name or group.id
    if written.intent is None:
        return Notice("ok", texts.unchanged % {"name": name})
    if written.is_misused:
        return Notice("bad", texts.misused % {"name": name})
    return _outcome_notice(written.intent, group, on=on)


def _outcome_notice(intent: ChangeIntent, group: ServerGroup, *, on: bool) -> Notice:
    texts, last = _ON if on else _OFF, intent.last_outcome
    values = {"name": group.name or group.id, "proof": last.proof if last else ""}
    if last is None:
        return Notice("wait", texts.waiting % values)
    match last.outcome:
        case Outcome.APPLIED:
            return Notice("ok", texts.applied % values)
        case Outcome.ACCEPTED:
            return Notice("wait", texts.accepted % values)
        case Outcome.UNKNOWN:
            return Notice("wait", texts.unknown % values)
        case Outcome.CONFLICT:
            return Notice("bad", gettext("Someone else changed %(name)s at the same time. %(proof)s") % values)
    if group.server_group_status is (not on):
        state = texts.still_other
    elif last.outcome == Outcome.REJECTED or intent.is_observed:
        state = texts.not_shown
    else:
        state = texts.not_switched
    return Notice("bad", f"{state % values} {failure_text(intent)}")


def settled_notice(intent: ChangeIntent, group: ServerGroup) -> Notice:
    """The notice after a later read of an unsettled change."""
    if intent.kind == Kind.SWITCH:
        return switch_notice(WriteResult(intent), group, on=intent.fields.get().after is True)
    last = intent.last_outcome
    values = {"name": group.name or group.id, "proof": last.proof if last else ""}
    if last is None or last.outcome == Outcome.UNKNOWN:
        message = gettext("It is not known yet whether the change of %(name)s took effect. Checking again.")
        return Notice("wait", message % values)
    if last.outcome == Outcome.APPLIED:
        return Notice("ok", gettext("The change of %(name)s took effect.") % values)
    if last.outcome == Outcome.ACCEPTED:
        return Notice("wait", gettext("The change of %(name)s: %(proof)s") % values)
    message = gettext("The change of %(name)s did not take effect as intended. %(reason)s")
    return Notice("bad", message % {**values, "reason": failure_text(intent)})


def failure_text(intent: ChangeIntent) -> str:
    """The reason why a change failed, with the cloud's own code and message, and what to do next."""
    last = intent.last_outcome
    if last is None:
        return ""
    quoted = next((row for row in intent.outcomes.all() if row.error_code or row.error_msg), last)
    words = ": ".join(part for part in (quoted.error_code, quoted.error_msg) if part)
    quotation = gettext("The cloud's words: %(words)s.") % {"words": words.rstrip(".")} if words else ""
    return " ".join(part for part in (last.proof, quotation, _advice(intent, last.outcome)) if part)


def _advice(intent: ChangeIntent, outcome: str) -> str:
    if intent.is_observed and outcome in {Outcome.NOT_APPLIED, Outcome.NOT_SENT}:
        until = timezone.localtime(intent.observed_until)
        message = gettext(
            "Not applied so far. Until %(time)s the dashboard checks whether the cloud applies the change late."
        )
        return message % {"time": f"{until:%H:%M %Z}"}
    match outcome:
        case Outcome.REJECTED:
            return gettext("The cloud would refuse the same change again.")
        case Outcome.NOT_SENT | Outcome.NOT_APPLIED:
            return gettext("You can safely try again.")
        case _:
            return gettext("Look at the group before you try again.")
