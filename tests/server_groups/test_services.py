"""A write in its four steps, without and with faults: intent, PATCH, verification, outcome."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import translation
from django.utils.functional import lazy

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import (
    ChangeUnderWayError,
    LedgerError,
    OutcomeDetails,
    OutcomeNotRecordedError,
    record_intent,
    record_outcome,
)
from dashboard.audit.models import ChangeIntent, ChangeOutcome, Kind, Outcome
from dashboard.cloud.client import client_for
from dashboard.cloud.errors import CircuitOpenError, NotFoundError
from dashboard.cloud.projects import Project
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups import outcome_check, sending, services
from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.inputs import Value
from dashboard.server_groups.sending import Sending, WriteResult
from dashboard.server_groups.services import ConflictError, update_server_group
from dashboard.server_groups.settling import settle_change
from dashboard.simulator.server import SimulatorServer
from tests.conftest import DESIGN_POOL, Simulated, fault
from tests.ledger import empty_disk
from tests.server_groups.conftest import Entry, entry_of, ledger

pytestmark = pytest.mark.django_db

People = Callable[[str], Actor]
SETTLE_SECONDS = 1 + 2 + 4 + 8
AFTER_THE_CALL = timedelta(seconds=outcome_check.CALL_SECONDS + SETTLE_SECONDS + 1)


def update(
    project: Project,
    by: Actor,
    changes: Mapping[str, Value],
    *,
    seen: ServerGroup | None = None,
    key: str = "a key",
    reason: str = "",
    group_id: str = DESIGN_POOL,
    kind: Kind = Kind.EDIT,
) -> WriteResult:
    return update_server_group(
        project=project, group_id=group_id, changes=changes, seen=seen, reason=reason, key=key, by=by, kind=kind
    )


def only(written: WriteResult) -> ChangeIntent:
    """The only entry of the ledger, which is the entry of the result."""
    intent = ChangeIntent.objects.get()
    assert written.intent == intent
    return intent


def last(intent: ChangeIntent) -> ChangeOutcome:
    outcome = ChangeIntent.objects.get(pk=intent.pk).last_outcome
    assert outcome is not None
    return outcome


# Without faults


def test_records_the_intent_sends_one_patch_and_verifies_it(
    project: Project, simulator: Simulated, acting: People
) -> None:
    changes: dict[str, Value] = {"name": "TEST", "route_policy.max_session": 8}

    written = update(project, acting("administrator"), changes, reason="INC-4711")

    assert [entry["method"] for entry in simulator.requests()] == ["GET", "PATCH", "GET"]
    assert simulator.patches == [
        {
            "name": "TEST",
            "route_policy": {"max_session": 8, "cpu_threshold": 80, "gpu_threshold": 75, "mem_threshold": 85},
        }
    ]
    intent = only(written)
    assert entry_of(intent) == Entry(
        "edit",
        "administrator",
        "design-pool",
        {"name": ("design-pool", "TEST"), "route_policy.max_session": (6, 8)},
        ["applied"],
        "INC-4711",
    )
    assert (intent.project, intent.group_id, intent.from_address) == ("default", DESIGN_POOL, "192.0.2.7")
    outcome = last(intent)
    assert (outcome.http_status, outcome.error_code, outcome.error_msg) == (200, "", "")
    assert outcome.request_id != ""
    assert outcome.duration_ms is not None
    assert intent.at <= outcome.at


@pytest.mark.usefixtures("committed")
def test_the_intent_is_in_the_ledger_before_the_patch(project: Project, simulator: Simulated, acting: People) -> None:
    simulator.inject(fault("delay", delay_ms=400))
    by = acting("administrator")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(in_thread, lambda: update(project, by, {"name": "TEST"}))
        wait_until(lambda: bool(simulator.patches))
        during = ledger()
        writing.result()

    assert during == [Entry("edit", "administrator", "design-pool", {"name": ("design-pool", "TEST")}, [])]
    assert ledger() == [replace(during[0], outcomes=["applied"])]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "design-pool"},
        {"server_group_status": True},
        {"route_policy.max_session": 6, "route_policy.cpu_threshold": 80},
    ],
)
def test_unchanged_values_send_and_record_nothing(
    project: Project, simulator: Simulated, acting: People, changes: dict[str, Value]
) -> None:
    written = update(project, acting("administrator"), changes)

    assert (written.intent, written.changed_by_others, simulator.patches, ledger()) == (None, (), [], [])
    assert written.group is not None


def test_sends_only_values_that_differ_from_the_cloud(project: Project, simulator: Simulated, acting: People) -> None:
    update(project, acting("administrator"), {"name": "design-pool", "ou_name": "OU=A", "system_disk_size": 80})

    assert simulator.patches == [{"ou_name": "OU=A"}]
    assert [entry.changes for entry in ledger()] == [{"ou_name": ("", "OU=A")}]


def test_the_ledger_is_in_english_in_every_language(
    project: Project, simulator: Simulated, acting: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BY_PATH, "name", replace(BY_PATH["name"], label=lazy(translation.get_language, str)()))
    seen = client_for(project).show_server_group(DESIGN_POOL)

    with translation.override("zh-hans"):
        update(project, acting("administrator"), {"name": "TEST"})
        with pytest.raises(ConflictError):
            update(project, acting("administrator"), {"name": "mine"}, seen=seen, key="another key")

    conflict, applied = ChangeIntent.objects.order_by("-number")
    assert [row.label for entry in (applied, conflict) for row in entry.fields.all()] == ["en", "en"]
    assert last(conflict).proof == "Someone else changed en since the form was opened. Nothing was sent."


# One submit, one change


def test_the_same_key_returns_the_first_result(project: Project, simulator: Simulated, acting: People) -> None:
    first = update(project, acting("administrator"), {"name": "TEST"})

    again = update(project, acting("administrator"), {"name": "TEST"})

    assert again == WriteResult(first.intent, is_repeat=True)
    assert (len(simulator.patches), len(ledger())) == (1, 1)


@pytest.mark.parametrize(
    ("asked", "besides"),
    [
        ({"name": "OTHER"}, {"name": (None, "OTHER")}),
        ({"name": "TEST", "description": "new"}, {"description": (None, "new")}),
        ({"server_group_status": False}, {"server_group_status": (None, False)}),
    ],
)
def test_a_key_with_other_changes_is_refused_and_recorded(
    project: Project, simulator: Simulated, acting: People, asked: dict[str, Value], besides: dict[str, Any]
) -> None:
    first = update(project, acting("administrator"), {"name": "TEST"})

    again = update(project, acting("administrator"), asked, reason="why")

    assert again == WriteResult(first.intent, is_repeat=True, is_misused=True)
    assert len(simulator.patches) == 1
    assert ledger()[1:] == [Entry("denied", "administrator", "design-pool", besides, ["denied"])]
    refused, of_first = ChangeIntent.objects.order_by("-number")
    assert last(refused).proof == f"The form's key was used before, for change {of_first.number}."


def test_a_field_that_had_its_value_already_is_not_another_change(
    project: Project, simulator: Simulated, acting: People
) -> None:
    both: dict[str, Value] = {"name": "TEST", "description": "new"}
    simulator.change(description="new")
    first = update(project, acting("administrator"), both)

    again = update(project, acting("administrator"), both)

    assert again == WriteResult(first.intent, is_repeat=True)
    assert len(ledger()) == 1


def test_an_unreadable_cloud_refuses_a_key_with_unrecorded_fields(
    project: Project, simulator: Simulated, acting: People
) -> None:
    both: dict[str, Value] = {"name": "TEST", "description": "new"}
    simulator.change(description="new")
    update(project, acting("administrator"), both)
    simulator.inject(fault("unavailable", "GET", times=None))

    again = update(project, acting("administrator"), both)

    assert (again.is_misused, len(simulator.patches), len(ledger())) == (True, 1, 2)


@pytest.mark.parametrize(
    "other",
    [{"group_id": "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e11"}, {"key": "another key"}, {"role": "help desk"}],
)
def test_a_key_is_valid_for_one_person_and_one_group(
    project: Project, simulator: Simulated, acting: People, other: dict[str, str]
) -> None:
    update(project, acting("administrator"), {"server_group_status": False}, reason="why")
    by = acting(other.pop("role", "administrator"))

    try:
        update(project, by, {"server_group_status": True}, **{"key": "a key", **other})  # type: ignore[arg-type]
    except NotFoundError:
        pass
    else:
        assert simulator.patches == [{"server_group_status": False}, {"server_group_status": True}]
    assert len(simulator.requests()) > 3


@pytest.mark.usefixtures("committed")
def test_a_double_click_is_one_change(project: Project, simulator: Simulated, acting: People) -> None:
    by, off = acting("administrator"), {"server_group_status": False}
    simulator.inject(fault("delay", delay_ms=150))

    with ThreadPoolExecutor(4) as pool:
        clicks = [
            pool.submit(in_thread, lambda: update(project, by, off, kind=Kind.SWITCH, reason="why")) for _ in range(4)
        ]
        responses = [click.result() for click in clicks]

    assert simulator.patches == [{"server_group_status": False}]
    assert [entry.outcomes for entry in ledger()] == [["applied"]]
    assert {response.intent for response in responses} == {ChangeIntent.objects.get()}


def test_the_second_half_of_a_double_click_returns_the_first_result(
    project: Project, acting: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = acting("administrator")
    first = update(project, by, {"name": "TEST"})
    responses = [None, first.intent]
    monkeypatch.setattr(services, "find_by_key", lambda _key: responses.pop(0))

    again = update(project, by, {"name": "TEST"})

    assert again.intent == first.intent


# The cloud refuses

REFUSALS = {
    "bad_request": (400, "WKS.00129901"),
    "unauthorized": (401, "APIGW.0301"),
    "forbidden": (403, "WKS.00081102"),
    "gateway_forbidden": (403, "APIGW.0302"),
    "not_found": (404, "WKS.00120404"),
    "method_not_allowed": (405, "WKS.00000405"),
    "too_large": (413, "APIGW.0201"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_is_rejected_with_the_clouds_message(
    project: Project, simulator: Simulated, acting: People, kind: str
) -> None:
    simulator.inject(fault(kind, times=None))

    written = update(project, acting("administrator"), {"name": "TEST"})

    outcome = last(only(written))
    assert (outcome.outcome, (outcome.http_status, outcome.error_code)) == ("rejected", REFUSALS[kind])
    assert outcome.proof.startswith("The cloud refused the change.")
    assert outcome.error_msg != ""
    assert simulator.patches == [{"name": "TEST"}]
    assert written.group is not None
    assert written.group.name == "design-pool"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "finance-eu"}, "The server group name is already used: finance-eu"),
        (
            {"system_disk_size": 10},
            "The system disk is smaller than the image's minimum disk: 10 GB, the image needs 60 GB",
        ),
    ],
)
def test_a_rule_that_only_the_cloud_checks_has_the_clouds_message(
    project: Project, acting: People, changes: dict[str, Value], message: str
) -> None:
    written = update(project, acting("administrator"), changes)

    outcome = last(only(written))
    assert (outcome.outcome, outcome.http_status, outcome.error_msg) == ("rejected", 400, message)


UNCLEAR = {
    **dict.fromkeys(("error_html", "error_empty", "error_not_json", "error_null", "error_list"), 400),
    "error_wrong_types": 400,
    "error_nested": 403,
    "request_timeout": 408,
    "conflict": 409,
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_an_unclear_refusal_is_unknown_until_a_read_settles_it(
    project: Project, simulator: Simulated, acting: People, pause: Callable[[timedelta], None], kind: str
) -> None:
    options: dict[str, Any] = {"status": UNCLEAR[kind]} if kind.startswith("error_") else {}
    simulator.inject(fault(kind, **options))
    written = update(project, acting("administrator"), {"name": "TEST"})
    at_first = last(only(written))

    pause(AFTER_THE_CALL)
    settled = settle_change(project=project, intent=ChangeIntent.objects.get())

    sentence = f"The response (HTTP {UNCLEAR[kind]}) does not say whether the change was applied."
    assert (at_first.http_status, at_first.proof) == (
        UNCLEAR[kind],
        f"{sentence} The change may have been applied.",
    )
    assert entry_of(settled).outcomes == ["unknown", "not_applied"]
    assert simulator.patches == [{"name": "TEST"}]


# Unknown outcomes

NOT_APPLIED = (
    *("internal_error", "bad_gateway", "unavailable", "gateway_timeout", "error_html", "error_in_200", "redirect"),
    *("drop_before_answer", "reset_before", "reset_during", "reset_after", "silence"),
)
APPLIED = (
    *("html", "empty", "not_json", "truncated", "broken_gzip", "stall"),
    *("drop_after_applying", "reset_after_applying", "reset_in_answer", "silence_after_applying"),
)


NO_CLOUD_RESPONSE = "The response (HTTP 200) is not one that the cloud sends for a change."
LOST = dict.fromkeys(("html", "empty", "not_json", "truncated", "broken_gzip"), NO_CLOUD_RESPONSE)
LOST |= dict.fromkeys(("stall", "reset_in_answer"), NO_CLOUD_RESPONSE)
LOST |= dict.fromkeys(("drop_after_applying", "reset_after_applying", "silence_after_applying"), "No response arrived.")


@pytest.mark.parametrize("kind", APPLIED)
def test_an_applied_change_with_a_lost_response_becomes_applied(
    impatient: Project, simulator: Simulated, acting: People, kind: str
) -> None:
    simulator.inject(fault(kind))

    written = update(impatient, acting("administrator"), {"name": "TEST"})

    intent = only(written)
    assert entry_of(intent).outcomes == ["unknown", "applied"]
    first = intent.outcomes.order_by("number")[0]
    assert first.proof == f"{LOST[kind]} The change may have been applied."
    assert first.error_msg == ""
    assert simulator.patches == [{"name": "TEST"}]


@pytest.mark.parametrize("kind", NOT_APPLIED)
def test_an_unapplied_change_is_unknown_until_the_last_read(
    impatient: Project, simulator: Simulated, acting: People, pause: Callable[[timedelta], None], kind: str
) -> None:
    simulator.inject(fault(kind))
    written = update(impatient, acting("administrator"), {"name": "TEST"})
    at_first = entry_of(only(written)).outcomes

    pause(AFTER_THE_CALL)
    settled = settle_change(project=impatient, intent=ChangeIntent.objects.get())

    assert (at_first, entry_of(settled).outcomes) == (["unknown"], ["unknown", "not_applied"])
    assert len(simulator.requests("PATCH")) == 1


def test_a_late_change_is_never_reported_as_failed(project: Project, simulator: Simulated, acting: People) -> None:
    simulator.inject(fault("late", after_ms=1500))
    written = update(project, acting("administrator"), {"name": "TEST"})
    at_first = entry_of(only(written)).outcomes
    wait_until(lambda: simulator.group()["name"] == "TEST")

    settled = settle_change(project=project, intent=ChangeIntent.objects.get())

    assert (at_first, entry_of(settled).outcomes) == (["unknown"], ["unknown", "applied"])
    assert len(simulator.patches) == 1


def test_a_partly_applied_change_is_a_conflict(
    project: Project, simulator: Simulated, acting: People, pause: Callable[[timedelta], None]
) -> None:
    simulator.inject(fault("partial", members=["name"]))
    written = update(project, acting("administrator"), {"name": "TEST", "description": "new"})
    at_first = entry_of(only(written)).outcomes

    pause(AFTER_THE_CALL)
    settled = settle_change(project=project, intent=ChangeIntent.objects.get())

    assert (at_first, entry_of(settled).outcomes) == (["unknown"], ["unknown", "conflict"])
    assert last(settled).proof.endswith("shows the new value of Name only.")


# A 200 is verified


def test_reads_again_after_a_stale_read(project: Project, simulator: Simulated, acting: People) -> None:
    simulator.inject(fault("stale_reads", "GET", times=2))

    written = update(project, acting("administrator"), {"name": "TEST"})

    assert entry_of(only(written)).outcomes == ["applied"]
    assert [entry["method"] for entry in simulator.requests()] == ["GET", "PATCH", "GET", "GET"]


def test_stale_reads_leave_the_outcome_unknown(
    project: Project, simulator: Simulated, acting: People, pause: Callable[[timedelta], None]
) -> None:
    simulator.inject(fault("stale_reads", "GET", times=None))
    written = update(project, acting("administrator"), {"name": "TEST"})
    at_first = last(only(written))
    simulator.inject()

    pause(AFTER_THE_CALL)
    settled = settle_change(project=project, intent=ChangeIntent.objects.get())

    assert (at_first.outcome, at_first.http_status, at_first.proof) == (
        "unknown",
        200,
        "The cloud accepted the change, but no read has shown the new values yet.",
    )
    assert entry_of(settled).outcomes == ["unknown", "applied"]


def test_a_200_without_a_change_is_never_applied(
    project: Project, simulator: Simulated, acting: People, pause: Callable[[timedelta], None]
) -> None:
    simulator.inject(fault("ignored"))
    update(project, acting("administrator"), {"name": "TEST"})

    pause(AFTER_THE_CALL)
    first = settle_change(project=project, intent=ChangeIntent.objects.get())
    pause(timedelta(days=1))
    second = settle_change(project=project, intent=ChangeIntent.objects.get())

    assert (entry_of(first).outcomes, entry_of(second).outcomes) == (["unknown"], ["unknown"])
    assert len(simulator.patches) == 1


def test_failed_reads_leave_the_outcome_unknown(project: Project, simulator: Simulated, acting: People) -> None:
    simulator.inject(fault("delay", "GET", times=1), fault("forbidden", "GET", times=None))

    written = update(project, acting("administrator"), {"name": "TEST"})

    assert (written.group, entry_of(only(written)).outcomes) == (None, ["unknown"])


def test_a_silent_cloud_is_read_only_once(
    impatient: Project, simulator: Simulated, acting: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "VERIFY_SECONDS", 0.1)
    simulator.inject(fault("delay", "GET", times=1), fault("silence", "GET", times=None))

    written = update(impatient, acting("administrator"), {"name": "TEST"})

    reads_after = [entry for entry in simulator.requests()[2:] if entry["method"] == "GET"]
    assert entry_of(only(written)).outcomes == ["unknown"]
    assert 1 <= len(reads_after) <= 3  # one read, which the client may have tried three times


ALL_FOUR = {"max_session": 8, "cpu_threshold": 70, "gpu_threshold": 60, "mem_threshold": 50}


def test_a_threshold_is_not_sent_if_the_cloud_hides_the_others(
    project: Project, simulator: Simulated, acting: People
) -> None:
    simulator.control("PUT", "switches", {"newest_members": "omit"})

    written = update(project, acting("administrator"), {"route_policy.max_session": 8})

    outcome = last(only(written))
    assert (outcome.outcome, simulator.patches) == ("not_sent", [])
    assert outcome.proof == (
        "The cloud does not show CPU threshold, GPU threshold, Memory threshold. "
        "Sending the rest without them could erase them. Nothing was sent."
    )


@pytest.mark.parametrize(
    ("changes", "body", "proof"),
    [
        (
            {f"route_policy.{name}": value for name, value in ALL_FOUR.items()},
            {"route_policy": ALL_FOUR},
            "it does not show the new value of Maximum sessions, CPU threshold, GPU threshold, Memory threshold.",
        ),
        (
            {"image_type": "private", "name": "TEST"},
            {"image_type": "private", "name": "TEST"},
            "it does not show the new value of Image type.",
        ),
    ],
)
def test_a_field_that_no_read_shows_is_accepted(
    project: Project,
    simulator: Simulated,
    acting: People,
    changes: dict[str, Value],
    body: dict[str, Any],
    proof: str,
) -> None:
    simulator.control("PUT", "switches", {"newest_members": "omit"})

    written = update(project, acting("administrator"), changes)

    assert simulator.patches == [body]
    assert last(only(written)).outcome == "accepted"
    assert proof in last(only(written)).proof


@pytest.mark.parametrize("kind", ["html", "error_in_200", "empty"])
def test_a_malformed_200_is_not_accepted(
    project: Project, simulator: Simulated, acting: People, pause: Callable[[timedelta], None], kind: str
) -> None:
    """Otherwise a field that cannot be read would count as applied."""
    simulator.control("PUT", "switches", {"newest_members": "omit"})
    simulator.inject(fault(kind))
    update(project, acting("administrator"), {"image_type": "private"})

    pause(AFTER_THE_CALL)
    settled = settle_change(project=project, intent=ChangeIntent.objects.get())

    assert entry_of(settled).outcomes == ["unknown"]


# Changes by others


@pytest.mark.parametrize("when", ["before", "after"])
def test_reports_changes_by_others_during_the_write(
    project: Project, simulator: Simulated, acting: People, when: str
) -> None:
    simulator.inject(fault("overtaken", changes={"description": "theirs", "ou_name": "OU=B"}, when=when))

    written = update(project, acting("administrator"), {"name": "TEST"})

    outcome = last(only(written))
    assert written.changed_by_others == ("description", "ou_name")
    assert outcome.outcome == "applied"
    assert outcome.proof.endswith(
        "Someone else changed other fields at the same time: Description, Organisational unit."
    )


def test_a_change_that_someone_else_undoes_at_once_is_a_conflict(
    project: Project, simulator: Simulated, acting: People, pause: Callable[[timedelta], None]
) -> None:
    simulator.inject(fault("overtaken", changes={"name": "theirs"}, when="after"))
    written = update(project, acting("administrator"), {"name": "TEST"})

    pause(AFTER_THE_CALL)
    settled = settle_change(project=project, intent=only(written))

    assert entry_of(settled).outcomes == ["unknown", "conflict"]


def test_a_field_that_two_people_changed_is_a_conflict(project: Project, simulator: Simulated, acting: People) -> None:
    seen = client_for(project).show_server_group(DESIGN_POOL)
    simulator.change(name="theirs", description="theirs too")

    with pytest.raises(ConflictError) as conflict:
        update(project, acting("administrator"), {"name": "mine", "ou_name": "OU=A"}, seen=seen)

    assert (conflict.value.fields, conflict.value.group.name) == (("name",), "theirs")
    assert simulator.patches == []
    assert ledger() == [
        Entry("edit", "administrator", "theirs", {"name": ("theirs", "mine"), "ou_name": ("", "OU=A")}, ["conflict"])
    ]
    proof = last(ChangeIntent.objects.get()).proof
    assert proof == "Someone else changed Name since the form was opened. Nothing was sent."


def test_a_conflict_with_the_same_key_returns_the_same_result(
    project: Project, simulator: Simulated, acting: People
) -> None:
    seen = client_for(project).show_server_group(DESIGN_POOL)
    simulator.change(name="theirs")
    with pytest.raises(ConflictError):
        update(project, acting("administrator"), {"name": "mine"}, seen=seen)

    again = update(project, acting("administrator"), {"name": "mine"}, seen=seen)

    assert entry_of(only(again)).outcomes == ["conflict"]
    assert simulator.patches == []


def test_a_change_by_others_to_another_field_is_no_conflict(
    project: Project, simulator: Simulated, acting: People
) -> None:
    seen = client_for(project).show_server_group(DESIGN_POOL)
    simulator.change(description="theirs")

    written = update(project, acting("administrator"), {"name": "mine"}, seen=seen)

    assert (written.changed_by_others, simulator.patches) == (("description",), [{"name": "mine"}])


def test_a_value_that_someone_else_set_already_is_not_sent(
    project: Project, simulator: Simulated, acting: People
) -> None:
    seen = client_for(project).show_server_group(DESIGN_POOL)
    simulator.change(name="mine")

    written = update(project, acting("administrator"), {"name": "mine"}, seen=seen)

    assert (written.intent, simulator.patches, ledger()) == (None, [], [])


@pytest.mark.usefixtures("committed")
def test_two_writes_to_one_group_are_sent_one_after_the_other(
    project: Project, simulator: Simulated, acting: People
) -> None:
    by = {role: acting(role) for role in ("administrator", "help desk")}
    off = {"server_group_status": False}
    simulator.inject(fault("delay", times=None, delay_ms=150))

    with ThreadPoolExecutor(2) as pool:
        renames = pool.submit(in_thread, lambda: update(project, by["administrator"], {"name": "TEST"}))
        switches = pool.submit(in_thread, lambda: update(project, by["help desk"], off, reason="why"))
        renames.result(), switches.result()

    writes = [entry["method"] for entry in simulator.requests() if entry["method"] == "PATCH"]
    assert writes == ["PATCH", "PATCH"]
    first, second = ChangeIntent.objects.order_by("number")
    assert (entry_of(first).outcomes, entry_of(second).outcomes) == (["applied"], ["applied"])
    assert last(first).at <= second.at
    assert second.group_name == ("TEST" if first.actor == "administrator" else "design-pool")


@pytest.mark.parametrize("outcome", [None, Outcome.UNKNOWN])
def test_waits_for_a_change_in_progress_and_then_stops(
    project: Project,
    simulator: Simulated,
    acting: People,
    monkeypatch: pytest.MonkeyPatch,
    outcome: Outcome | None,
) -> None:
    monkeypatch.setattr(services, "QUEUE_SECONDS", 0.15)
    monkeypatch.setattr(services, "send", lambda change: WriteResult(change.intent))
    first = update(project, acting("administrator"), {"name": "TEST"})
    if outcome:
        assert first.intent is not None
        record_outcome(first.intent, OutcomeDetails(outcome, ""))

    with pytest.raises(ChangeUnderWayError):
        update(project, acting("administrator"), {"name": "OTHER"}, key="another key")

    assert (simulator.patches, len(ledger())) == ([], 1)


def test_an_old_interrupted_change_does_not_block_the_next(
    project: Project,
    simulator: Simulated,
    acting: People,
    monkeypatch: pytest.MonkeyPatch,
    pause: Callable[[timedelta], None],
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(services, "send", lambda change: WriteResult(change.intent))
        update(project, acting("administrator"), {"name": "TEST"})

    pause(AFTER_THE_CALL)
    update(project, acting("administrator"), {"name": "OTHER"}, key="another key")

    assert simulator.patches == [{"name": "OTHER"}]


def test_changes_of_different_groups_do_not_wait_for_each_other(
    project: Project, simulator: Simulated, acting: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(services, "send", lambda change: WriteResult(change.intent))
        update(project, acting("administrator"), {"name": "TEST"})
    other = client_for(project).list_server_groups().value[5]

    update(project, acting("administrator"), {"description": "new"}, group_id=other.id)

    assert simulator.patches == [{"description": "new"}]


# The cloud is unavailable


def test_an_unreadable_cloud_gets_no_patch(project: Project, simulator: Simulated, acting: People) -> None:
    simulator.inject(fault("forbidden", "GET", times=None))

    written = update(project, acting("administrator"), {"name": "TEST"}, reason="why")

    outcome = last(only(written))
    assert entry_of(only(written)) == Entry(
        "edit", "administrator", DESIGN_POOL, {"name": (None, "TEST")}, ["not_sent"], "why"
    )
    assert outcome.proof.startswith("The group could not be read first, so nothing was sent.")
    assert (outcome.http_status, outcome.error_code) == (403, "WKS.00081102")
    assert simulator.patches == []


def test_a_connection_that_does_not_open_sends_nothing(
    project: Project, acting: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatorServer() as server:
        gone = replace(project, workspace_endpoint=server.url)

        def record_then_go_away(*args: Any, **kwargs: Any) -> Any:
            recorded = record_intent(*args, **kwargs)
            client_for(gone).close()
            server.stop()
            return recorded

        monkeypatch.setattr(services, "record_intent", record_then_go_away)
        written = update(gone, acting("administrator"), {"name": "TEST"})

    assert entry_of(only(written)).outcomes == ["not_sent"]
    assert last(only(written)).proof.startswith("Nothing reached the cloud.")


def test_an_unreachable_cloud_gets_no_patch(project: Project, acting: People) -> None:
    nowhere = replace(project, workspace_endpoint="http://127.0.0.1:9")

    written = update(nowhere, acting("administrator"), {"name": "TEST"})

    assert entry_of(only(written)).outcomes == ["not_sent"]


def test_an_open_circuit_breaker_sends_and_records_nothing(
    project: Project, simulator: Simulated, acting: People
) -> None:
    client_for(project)._breakers[project.workspace_endpoint]._open_until = time.monotonic() + 60

    with pytest.raises(CircuitOpenError):
        update(project, acting("administrator"), {"name": "TEST"})

    assert (simulator.requests(), ledger()) == ([], [])


@pytest.mark.parametrize("group_id", ["7b1d2c52-0000-4c57-9a3b-2f8f6a1c9e10", "..", "a/b", "x" * 200])
def test_an_unknown_group_is_not_found_and_nothing_is_recorded(
    project: Project, simulator: Simulated, acting: People, group_id: str
) -> None:
    with pytest.raises(NotFoundError):
        update(project, acting("administrator"), {"name": "TEST"}, group_id=group_id)

    assert (simulator.patches, ledger()) == ([], [])


# The ledger is unavailable


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("table", ["audit_changeintent", "audit_touchedfield"])
def test_no_patch_is_sent_without_a_ledger(
    project: Project, simulator: Simulated, acting: People, broken: Callable[[str], None], table: str
) -> None:
    by = acting("administrator")
    broken(table)

    with pytest.raises(LedgerError, match="database or disk is full"):
        update(project, by, {"name": "TEST"})

    assert (simulator.patches, ledger()) == ([], [])


@pytest.mark.usefixtures("committed")
def test_no_patch_is_sent_without_the_ledgers_table(
    project: Project, simulator: Simulated, acting: People, missing: Callable[[], None]
) -> None:
    by = acting("administrator")
    missing()

    with pytest.raises(LedgerError, match="no such table"):
        update(project, by, {"name": "TEST"})

    assert simulator.patches == []


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("kind", ["delay", "drop_after_applying", "bad_request"])
def test_an_outcome_that_cannot_be_recorded_is_settled_later(
    project: Project,
    simulator: Simulated,
    acting: People,
    broken: Callable[[str], None],
    pause: Callable[[timedelta], None],
    kind: str,
) -> None:
    by = acting("administrator")
    broken("audit_changeoutcome")
    simulator.inject(fault(kind))

    with pytest.raises(OutcomeNotRecordedError, match="database or disk is full"):
        update(project, by, {"name": "TEST"})
    empty_disk("audit_changeoutcome")
    at_first = ledger()
    pause(AFTER_THE_CALL)
    settled = settle_change(project=project, intent=ChangeIntent.objects.get())

    assert [entry.outcomes for entry in at_first] == [[]]
    assert entry_of(settled).outcomes == ["not_applied" if kind == "bad_request" else "applied"]
    assert len(simulator.patches) == 1


@pytest.mark.usefixtures("committed")
def test_a_refusal_holds_even_if_it_cannot_be_recorded(
    project: Project, simulator: Simulated, acting: People, missing: Callable[[], None]
) -> None:
    by = acting("viewer")
    missing()

    with pytest.raises(PermissionDenied):
        update(project, by, {"name": "TEST"})

    assert simulator.patches == []


# Permissions


@pytest.mark.parametrize(
    ("role", "changes", "because"),
    [
        ("viewer", {"server_group_status": False}, "No permission to change: Status."),
        ("auditor", {"server_group_status": False}, "No permission to change: Status."),
        ("viewer", {"name": "TEST", "ou_name": "x"}, "No permission to change: Name, Organisational unit."),
        ("auditor", {"name": "TEST"}, "No permission to change: Name."),
        (
            "help desk",
            {"server_group_status": False, "route_policy.max_session": 1},
            "No permission to change: Maximum sessions.",
        ),
    ],
)
def test_refuses_fields_without_permission(
    project: Project, simulator: Simulated, acting: People, role: str, changes: dict[str, Value], because: str
) -> None:
    by = acting(role)

    with pytest.raises(PermissionDenied, match=because):
        update(project, by, changes)

    assert simulator.patches == []
    assert ledger() == [
        Entry(
            "denied",
            by.user.username,
            "design-pool",
            {path: (None, value) for path, value in changes.items()},
            ["denied"],
        )
    ]
    assert last(ChangeIntent.objects.get()).proof == because


def test_a_refusal_has_the_last_known_name_of_the_group(project: Project, acting: People) -> None:
    update(project, acting("administrator"), {"ou_name": "OU=A"})

    with pytest.raises(PermissionDenied):
        update(project, acting("viewer"), {"name": "TEST"})

    assert [entry.group for entry in ledger()] == ["design-pool", "design-pool"]


@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.SWITCH])
@pytest.mark.parametrize("reason", ["", "  "])
def test_switching_off_without_a_reason_is_refused_and_recorded(
    project: Project, simulator: Simulated, acting: People, kind: Kind, reason: str
) -> None:
    off: dict[str, Value] = {"server_group_status": False, "name": "TEST"}

    with pytest.raises(PermissionDenied, match="Switching off needs a reason"):
        update(project, acting("administrator"), off, kind=kind, reason=reason)

    attempted = {path: (None, value) for path, value in off.items()}
    assert simulator.patches == []
    assert ledger() == [Entry("denied", "administrator", "design-pool", attempted, ["denied"])]


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("role", ["help desk", "administrator"])
def test_the_permission_to_switch_is_enough_to_switch(
    project: Project, simulator: Simulated, acting: People, role: str, on: bool
) -> None:
    simulator.change(server_group_status=not on)

    written = services.switch_server_group(
        project=project, group_id=DESIGN_POOL, on=on, reason="why", key="k", by=acting(role)
    )

    assert simulator.patches == [{"server_group_status": on}]
    assert entry_of(only(written)) == Entry(
        "switch", role.replace(" ", "-"), "design-pool", {"server_group_status": (not on, on)}, ["applied"], "why"
    )


# Settling


def crashed(project: Project, by: Actor, monkeypatch: pytest.MonkeyPatch, *, applied: bool) -> ChangeIntent:
    """A change whose process died after the intent (and the PATCH, if `applied`), before anything else."""

    def die(change: Sending) -> WriteResult:
        if applied:
            client_for(project).update_server_group(DESIGN_POOL, change.payload)
        return WriteResult(change.intent)

    with monkeypatch.context() as patch:
        patch.setattr(services, "send", die)
        intent = update(project, by, {"name": "TEST"}).intent
    assert intent is not None
    return intent


@pytest.mark.parametrize(
    ("applied", "seconds", "outcomes"),
    [
        (True, 0, []),  # the call may still be in progress
        (True, outcome_check.CALL_SECONDS, ["applied"]),
        (False, outcome_check.CALL_SECONDS - 5, []),
        (False, outcome_check.CALL_SECONDS, []),  # the change may still show
        (False, outcome_check.CALL_SECONDS + SETTLE_SECONDS - 5, []),
        (False, outcome_check.CALL_SECONDS + SETTLE_SECONDS, ["not_applied"]),
    ],
)
def test_a_read_settles_a_change_whose_process_died(
    project: Project,
    simulator: Simulated,
    acting: People,
    monkeypatch: pytest.MonkeyPatch,
    pause: Callable[[timedelta], None],
    applied: bool,
    seconds: float,
    outcomes: list[str],
) -> None:
    intent = crashed(project, acting("administrator"), monkeypatch, applied=applied)
    sent = len(simulator.patches)

    pause(timedelta(seconds=seconds))
    settled = settle_change(project=project, intent=intent)

    assert (entry_of(settled).outcomes, len(simulator.patches)) == (outcomes, sent)


def test_an_unreadable_group_settles_nothing(
    project: Project,
    simulator: Simulated,
    acting: People,
    monkeypatch: pytest.MonkeyPatch,
    pause: Callable[[timedelta], None],
) -> None:
    intent = crashed(project, acting("administrator"), monkeypatch, applied=True)
    simulator.inject(fault("not_found", "GET", times=None))

    pause(AFTER_THE_CALL)
    settled = settle_change(project=project, intent=intent)

    assert entry_of(settled).outcomes == []


def test_a_settled_change_is_not_read_again(project: Project, simulator: Simulated, acting: People) -> None:
    intent = only(update(project, acting("administrator"), {"name": "TEST"}))
    simulator.control("DELETE", "requests")

    settled = settle_change(project=project, intent=intent)

    assert (entry_of(settled).outcomes, simulator.requests()) == (["applied"], [])


def test_settling_at_the_same_time_adds_one_outcome(
    project: Project,
    acting: People,
    monkeypatch: pytest.MonkeyPatch,
    pause: Callable[[timedelta], None],
) -> None:
    intent = crashed(project, acting("administrator"), monkeypatch, applied=True)
    pause(AFTER_THE_CALL)
    both = [ChangeIntent.objects.get(pk=intent.pk), ChangeIntent.objects.get(pk=intent.pk)]

    settled = [settle_change(project=project, intent=one) for one in both]

    assert [entry_of(one).outcomes for one in settled] == [["applied"], ["applied"]]
    assert ChangeOutcome.objects.count() == 1


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def in_thread(write: Callable[[], WriteResult]) -> WriteResult:
    """Run a write in a thread and close the thread's own database connection."""
    assert threading.current_thread() is not threading.main_thread()
    try:
        return write()
    finally:
        connection.close()
