"""Messages about the outcome of a write."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine

from dashboard.accounts.models import Actor, User
from dashboard.audit.ledger.services import Attempt, OutcomeDetails, record_intent, record_outcome
from dashboard.audit.models import ChangeIntent, Kind, Outcome
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.messages import Notice, failure_text, settled_notice, switch_notice
from dashboard.server_groups.sending import WriteResult

pytestmark = pytest.mark.django_db
LOOK = "Look at the group before you try again."
OBSERVED = "Not applied so far. Until 11:00 UTC the dashboard checks whether the cloud applies the change late."


@pytest.fixture(autouse=True)
def _ten_o_clock() -> Iterator[None]:
    with time_machine.travel("2026-11-24T10:00:00Z", tick=False):
        yield


def entered(outcome: Outcome | None, kind: Kind = Kind.SWITCH, **options: str) -> ChangeIntent:
    by = Actor(User(pk=1, username="someone"), "192.0.2.7")
    attempt = Attempt("default", "g-1", "pool", (), kind, "", by, "k")
    intent, _ = record_intent(attempt, seen_number=0, max_duration=timedelta())
    if outcome:
        record_outcome(intent, OutcomeDetails(outcome, "The proof.", **options))  # type: ignore[arg-type]  # the cloud's words
    return intent


def group(status: bool | None) -> ServerGroup:
    return ServerGroup("g-1", name="pool", server_group_status=status)


@pytest.mark.parametrize(
    ("outcome", "status", "notice"),
    [
        (None, True, Notice("wait", "pool is being switched off. Waiting for the cloud.")),
        (Outcome.APPLIED, False, Notice("ok", "pool is off.")),
        (
            Outcome.UNKNOWN,
            True,
            Notice("wait", "It is not known yet whether pool is off. The proof. Checking again."),
        ),
        (Outcome.CONFLICT, True, Notice("bad", "Someone else changed pool at the same time. The proof.")),
        (
            Outcome.REJECTED,
            True,
            Notice("bad", "pool is still on. The proof. The cloud would refuse the same change again."),
        ),
        (Outcome.NOT_SENT, None, Notice("bad", "pool was not switched off. The proof. You can safely try again.")),
        (Outcome.NOT_SENT, False, Notice("bad", "pool was not switched off. The proof. You can safely try again.")),
        (
            Outcome.NOT_APPLIED,
            True,
            Notice(
                "bad",
                f"pool is still on. The proof. {OBSERVED}",
            ),
        ),
        (
            Outcome.ACCEPTED,
            None,
            Notice("wait", "The cloud accepted switching pool off. It does not show the new state."),
        ),
    ],
)
def test_the_notice_of_a_switch_claims_no_more_than_is_known(
    outcome: Outcome | None, status: bool | None, notice: Notice
) -> None:
    assert switch_notice(WriteResult(entered(outcome)), group(status), on=False) == notice


def test_the_notice_of_an_unchanged_group_says_so() -> None:
    assert switch_notice(WriteResult(None), ServerGroup("g-1"), on=True) == Notice(
        "ok", "g-1 is already on. Nothing was sent."
    )


@pytest.mark.parametrize(
    ("outcome", "notice"),
    [
        (None, Notice("wait", "It is not known yet whether the change of pool took effect. Checking again.")),
        (
            Outcome.UNKNOWN,
            Notice("wait", "It is not known yet whether the change of pool took effect. Checking again."),
        ),
        (Outcome.APPLIED, Notice("ok", "The change of pool took effect.")),
        (
            Outcome.NOT_APPLIED,
            Notice(
                "bad",
                f"The change of pool did not take effect as intended. The proof. {OBSERVED}",
            ),
        ),
        (
            Outcome.CONFLICT,
            Notice(
                "bad",
                f"The change of pool did not take effect as intended. The proof. {LOOK}",
            ),
        ),
    ],
)
def test_the_notice_of_a_settled_edit_names_its_outcome(outcome: Outcome | None, notice: Notice) -> None:
    assert settled_notice(entered(outcome, Kind.EDIT), group(True)) == notice


@pytest.mark.parametrize(
    ("code", "message", "quoted"),
    [("", "", ""), ("WKS.1", "", "WKS.1"), ("", "No", "No"), ("WKS.1", "No", "WKS.1: No"), ("", "No.", "No.")],
)
def test_the_failure_text_quotes_the_cloud(code: str, message: str, quoted: str) -> None:
    said = failure_text(entered(Outcome.REJECTED, error_code=code, error_msg=message))

    assert (quoted in said, "The cloud's words" in said) == (True, bool(quoted))
    assert ".." not in said
