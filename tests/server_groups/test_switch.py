"""Switching a group off and on: the dialog, the notice, and unknown outcomes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from dashboard.server_groups import services
from dashboard.server_groups.sending import WriteResult
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import read, said, words
from tests.server_groups.conftest import GROUP_IDS, Entry, ledger

People = Callable[[str], Client]
HTMX = {"HX-Request": "true"}
OFF = {"status": "off", "reason": "INC-4711"}


def switch(client: Client, data: Any, *, group_id: str = DESIGN_POOL, htmx: bool = False, follow: bool = False) -> Any:
    return client.post(address("switch/", group_id), data, headers=HTMX if htmx else {}, follow=follow)


def test_switching_off_sends_one_patch_and_records_one_entry(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    response = switch(client_as("help desk"), OFF, follow=True)

    assert "design-pool is off." in said(response)
    assert simulator.patches == [{"server_group_status": False}]
    assert ledger() == [
        Entry("switch", "help-desk", "design-pool", {"server_group_status": (True, False)}, ["applied"], "INC-4711")
    ]


def test_switching_on_needs_no_confirmation(client_as: People, project: Project, simulator: Simulated) -> None:
    response = switch(client_as("help desk"), {"status": "on"}, group_id=GROUP_IDS["training-lab"], follow=True)

    assert "training-lab is on." in said(response)
    assert simulator.patches == [{"server_group_status": True}]


def test_switching_to_the_current_state_sends_nothing(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    response = switch(client_as("help desk"), {"status": "on"}, follow=True)

    assert "design-pool is already on. Nothing was sent." in said(response)
    assert (simulator.patches, ledger()) == ([], [])


@pytest.mark.parametrize("htmx", [False, True])
def test_a_key_that_was_used_for_off_does_not_switch_on(
    client_as: People, project: Project, simulator: Simulated, htmx: bool
) -> None:
    client = client_as("help desk")
    switch(client, OFF | {"key": "one form"})

    response = switch(client, {"status": "on", "key": "one form"}, htmx=htmx, follow=True)

    assert "design-pool was not switched on. This form was already sent with another change." in said(response)
    assert "design-pool is on." not in said(response)
    assert simulator.patches == [{"server_group_status": False}]
    assert [(entry.kind, entry.changes) for entry in ledger()] == [
        ("switch", {"server_group_status": (True, False)}),
        ("denied", {"server_group_status": (None, True)}),
    ]


def test_the_dialog_shows_sessions_servers_and_partners(client_as: People, project: Project) -> None:
    page = read(client_as("help desk").get(address("switch/")))

    facts = {words(term.text): words(value.text) for term, value in zip(page.all("dt"), page.all("dd"), strict=True)}
    assert set(facts) == {"active sessions", "disconnected sessions", "servers ready", "application groups", "standby"}
    assert (facts["application groups"], facts["standby"]) == ("2", "On")
    assert int(facts["active sessions"]) > 0


def test_unreadable_facts_do_not_prevent_switching_off(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.change(app_group_count=None, secondary_server_group_ids=["7b1d2c52-0000-4c57-9a3b-2f8f6a1c9e10"])
    simulator.inject(
        {"match": {"path": "*/state"}, "fault": "forbidden"},
        {"match": {"path": "*/session/*"}, "fault": "forbidden"},
    )

    page = read(client_as("help desk").get(address("switch/")))

    assert [words(value.text) for value in page.all("dd")] == ["not known"] * 4
    assert page.all("button", class_="btn btn-warning") != []


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize("reason", [None, "", "  "])
def test_switching_off_without_a_reason_shows_the_dialog_again(
    client_as: People, project: Project, simulator: Simulated, reason: str | None, htmx: bool
) -> None:
    response = switch(client_as("help desk"), {"status": "off"} | ({"reason": reason} if reason else {}), htmx=htmx)

    assert response.status_code == 422
    assert "Enter a reason. The next person needs it." in said(response)
    assert response.headers.get("HX-Retarget") == ("#dialog" if htmx else None)
    assert (simulator.patches, ledger()) == ([], [])


@pytest.mark.parametrize(
    "status",
    [
        [],
        [""],
        ["flip"],
        ["true"],
        ["OFF"],
        ["off "],
        ["off\n"],
        ["ｏｆｆ"],
        ["on", "off"],
        ["off", "off"],
        ["off", ""],
    ],
    ids=ascii,
)
def test_accepts_only_one_status_of_on_or_off(
    client_as: People, project: Project, simulator: Simulated, status: list[str]
) -> None:
    response = switch(client_as("help desk"), {"status": status, "reason": "why"})

    assert response.status_code == 400
    assert "Send status=on or status=off, once." in said(response)
    assert (simulator.patches, ledger()) == ([], [])


def test_an_invalid_switch_on_does_not_show_the_dialog_for_off(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    response = switch(client_as("help desk"), {"status": "on", "reason": "x" * 501})

    assert response.status_code == 400
    assert "Nothing was sent. Ensure this value has at most 500 characters (it has 501)." in said(response)
    assert simulator.patches == []


@pytest.mark.parametrize("name", ["name", "route_policy__max_session", "server_group_status", "os_type", "statuses"])
@pytest.mark.parametrize("role", ["help desk", "administrator"])
def test_the_switch_refuses_other_fields(
    client_as: People, project: Project, simulator: Simulated, role: str, name: str
) -> None:
    response = switch(client_as(role), OFF | {name: "5"})

    known = {"route_policy__max_session": "route_policy.max_session", "name": "name"}
    assert response.status_code == 403
    assert simulator.patches == []
    (entry,) = ledger()
    assert (entry.kind, entry.outcomes) == ("denied", ["denied"])
    assert entry.changes["server_group_status"] == (None, False)
    assert set(entry.changes) == {"server_group_status"} | ({known[name]} if name in known else set())


def test_two_clicks_are_one_change(client_as: People, project: Project, simulator: Simulated) -> None:
    client = client_as("help desk")

    responses = [switch(client, OFF | {"key": "one"}, follow=True) for _ in range(2)]

    assert ["design-pool is off." in said(response) for response in responses] == [True, True]
    assert (len(simulator.patches), len(ledger())) == (1, 1)


def test_the_switch_is_swapped_with_a_message_and_an_undo_button(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    response = switch(client_as("help desk"), OFF, htmx=True)

    page = read(response)
    assert page.by_id(f"switch-button-{DESIGN_POOL}").attrs["aria-checked"] == "false"
    assert words(page.by_id("live").text) == "design-pool is off."
    assert "Switch on again" in page.by_id("toast").text
    assert "by help-desk" in page.by_id(f"last-change-{DESIGN_POOL}").text
    assert response.headers["HX-Trigger"] == '{"server-group-switched": {}}'


# Faults


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize("kind", ["bad_request", "unauthorized", "forbidden", "not_found", "method_not_allowed"])
def test_a_refusal_restores_the_switch_and_gives_the_reason(
    client_as: People, project: Project, simulator: Simulated, kind: str, htmx: bool
) -> None:
    simulator.inject(fault(kind))

    response = switch(client_as("help desk"), OFF, htmx=htmx, follow=not htmx)

    assert "design-pool is still on. The cloud refused the change." in said(response)
    assert "The cloud would refuse the same change again." in said(response)
    assert read(response).by_id(f"switch-button-{DESIGN_POOL}").attrs["aria-checked"] == "true"
    assert [entry.outcomes for entry in ledger()] == [["rejected"]]
    assert "HX-Trigger" not in response.headers


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize("kind", ["internal_error", "unavailable", "drop_before_answer", "ignored", "error_in_200"])
def test_an_unknown_outcome_is_pending(
    client_as: People, project: Project, simulator: Simulated, kind: str, htmx: bool
) -> None:
    simulator.inject(fault(kind))

    response = switch(client_as("help desk"), OFF, htmx=htmx, follow=not htmx)

    page = read(response)
    assert "It is not known yet whether design-pool is off." in said(response)
    assert words(page.by_id(f"switch-{DESIGN_POOL}").text).startswith("Checking")
    assert not page.has_id(f"switch-button-{DESIGN_POOL}")


@pytest.mark.parametrize("htmx", [True, False])
def test_a_lost_response_is_not_reported_as_no_change(
    client_as: People, project: Project, simulator: Simulated, htmx: bool
) -> None:
    simulator.inject(
        fault("drop_after_applying"), fault("delay", "GET", times=1), fault("forbidden", "GET", times=None)
    )

    response = switch(client_as("help desk"), OFF, htmx=htmx, follow=not htmx)

    assert "It is not known yet whether design-pool is off." in said(response)
    assert "othing was changed" not in said(response)
    assert "othing was sent" not in said(response)
    assert response.status_code == (200 if htmx else 503)


def test_an_unreadable_cloud_is_reported_without_a_state(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.inject(fault("forbidden", "GET", times=None))

    response = switch(client_as("help desk"), OFF, htmx=True)

    assert "was not switched off. The group could not be read first, so nothing was sent." in said(response)
    assert "still on" not in said(response)
    assert simulator.patches == []


def test_an_unreachable_cloud_is_an_error_page(client_as: People, project: Project, settings: Settings) -> None:
    settings.CLOUD_PROJECTS = (replace(project, workspace_endpoint="http://127.0.0.1:9"),)

    response = switch(client_as("help desk"), OFF, follow=True)

    assert response.status_code == 503
    assert "nothing was sent" in said(response)
    assert [entry.outcomes for entry in ledger()] == [["not_sent"]]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_group_is_not_found(client_as: People, project: Project, simulator: Simulated, method: str) -> None:
    page = address("switch/", "7b1d2c52-0000-4c57-9a3b-2f8f6a1c9e10")

    response = client_as("help desk").generic(method, page, "status=on", "application/x-www-form-urlencoded")

    assert (response.status_code, ledger()) == (404, [])


@pytest.mark.parametrize("htmx", [True, False])
def test_a_change_in_progress_is_reported_where_problems_are_shown(
    client_as: People, project: Project, simulator: Simulated, monkeypatch: pytest.MonkeyPatch, htmx: bool
) -> None:
    client = client_as("help desk")
    monkeypatch.setattr(services, "QUEUE_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(services, "send", lambda sending: WriteResult(sending.intent))
        switch(client, OFF)

    response = switch(client, OFF, htmx=htmx)

    assert response.status_code == 409
    assert "Another change to this group is in progress" in said(response)
    aims = [response.headers.get(name) for name in ("HX-Retarget", "HX-Reselect", "HX-Reswap")]
    assert aims == ["#problem", ".problem", "innerHTML"]
    assert (simulator.patches, len(ledger())) == ([], 1)


# Settling


def settle(client: Client, htmx: bool = True, query: str = "?as=switch") -> Any:
    number = ChangeIntent.objects.get().number
    return client.post(address(f"changes/{number}/settle/") + query, headers=HTMX if htmx else {})


def test_a_pending_switch_asks_again_and_shows_the_outcome(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.inject(fault("late", after_ms=60_000))
    client = client_as("help desk")
    pending = read(switch(client, OFF, htmx=True)).by_id(f"switch-{DESIGN_POOL}").attrs
    simulator.change(server_group_status=False)

    response = client.post(pending["hx-post"], headers=HTMX)

    assert pending["hx-trigger"] == "load delay:2s"
    assert words(read(response).by_id("live").text) == "design-pool is off."
    assert [entry.outcomes for entry in ledger()] == [["unknown", "applied"]]
    assert len(simulator.patches) == 1


@pytest.mark.parametrize(
    ("fields", "outcome", "sentence"),
    [
        ({"name": "TEST"}, "applied", "The change of TEST took effect."),
        ({"name": "TEST", "description": "new"}, "applied", "The change of TEST took effect."),
        ({}, "unknown", "It is not known yet whether the change of design-pool took effect. Checking again."),
    ],
)
def test_a_pending_edit_in_the_list_is_reported_as_an_edit(
    client_as: People,
    project: Project,
    simulator: Simulated,
    fields: dict[str, str],
    outcome: str,
    sentence: str,
) -> None:
    client = client_as("administrator")
    simulator.inject(fault("drop_before_answer"))
    client.post(address("edit/"), fields or {"name": "TEST", "description": "new"})
    simulator.change(**fields)

    response = settle(client)

    assert words(read(response).by_id("live").text) == sentence
    assert ledger()[0].outcomes == (["unknown"] if outcome == "unknown" else ["unknown", outcome])


@pytest.mark.parametrize(
    ("held", "outcome", "sentence"),
    [
        ({}, "not_applied", "The change of design-pool did not take effect as intended."),
        ({"name": "theirs"}, "conflict", "The change of theirs did not take effect as intended."),
    ],
)
def test_a_failed_edit_is_reported_as_an_edit(
    client_as: People,
    project: Project,
    simulator: Simulated,
    pause: Callable[[timedelta], None],
    held: dict[str, str],
    outcome: str,
    sentence: str,
) -> None:
    client = client_as("administrator")
    simulator.inject(fault("drop_before_answer"))
    client.post(address("edit/"), {"name": "TEST"})
    simulator.change(**held)
    pause(timedelta(seconds=20))

    response = settle(client)

    assert words(read(response).by_id("live").text).startswith(sentence)
    assert ledger()[0].outcomes == ["unknown", outcome]


def test_a_switch_that_someone_else_reversed_is_reported(
    client_as: People, project: Project, simulator: Simulated, pause: Callable[[timedelta], None]
) -> None:
    simulator.inject(fault("drop_before_answer"))
    client = client_as("help desk")
    switch(client, OFF)
    pause(timedelta(seconds=20))

    response = settle(client)

    assert words(read(response).by_id("live").text).startswith("design-pool is still on. A read at")
    assert ledger()[0].outcomes == ["unknown", "not_applied"]


def test_a_switch_with_an_unknown_outcome_is_unlocked_after_a_time(
    client_as: People, project: Project, simulator: Simulated, pause: Callable[[timedelta], None]
) -> None:
    simulator.inject(fault("ignored"))
    client = client_as("help desk")
    switch(client, OFF)
    pause(timedelta(minutes=5))

    response = settle(client)

    assert read(response).by_id(f"switch-button-{DESIGN_POOL}").attrs["aria-checked"] == "true"
    assert ledger()[0].outcomes == ["unknown"]


def test_a_pending_switch_stays_pending_while_the_cloud_is_unavailable(
    client_as: People, project: Project, simulator: Simulated
) -> None:
    simulator.inject(fault("drop_before_answer"))
    client = client_as("help desk")
    switch(client, OFF)
    simulator.inject(fault("forbidden", "GET", times=None))

    response = settle(client)

    assert response.status_code == 200
    assert "It is not known yet whether design-pool is off." in said(response)
    assert words(read(response).by_id(f"switch-{DESIGN_POOL}").text).startswith("Checking")


@pytest.mark.parametrize(("role", "where"), [("help desk", "/projects/default/audit/{}/"), ("viewer", address())])
def test_without_javascript_settling_returns_to_a_permitted_page(
    client_as: People, project: Project, simulator: Simulated, role: str, where: str
) -> None:
    switch(client_as("help desk"), OFF)

    response = settle(client_as(role), htmx=False)

    assert response.headers["Location"] == where.format(ChangeIntent.objects.get().number)


def test_the_entry_link_needs_the_permission_to_view_the_ledger(client_as: People, project: Project) -> None:
    switch(client_as("help desk"), OFF)

    shown = {role: "Ledger number" in said(settle(client_as(role), query="")) for role in ("auditor", "viewer")}

    assert shown == {"auditor": True, "viewer": False}


@pytest.mark.parametrize("below", ["changes/999/settle/", "changes/1/settle/"])
def test_a_change_of_another_group_cannot_be_settled(
    client_as: People, project: Project, simulator: Simulated, below: str
) -> None:
    switch(client_as("help desk"), {"status": "on"}, group_id=GROUP_IDS["training-lab"])

    response = client_as("help desk").post(address(below))

    assert response.status_code == 404
