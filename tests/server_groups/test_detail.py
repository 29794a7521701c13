"""The page of a group: its current state, its configuration and its history."""

from collections.abc import Callable

import pytest
from django.test import Client

from dashboard.cloud.projects import Project
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import Page, read, said, words
from tests.server_groups.conftest import GROUP_IDS

People = Callable[[str], Client]


def facts(page: Page) -> dict[str, str]:
    return {words(term.text): words(value.text) for term, value in zip(page.all("dt"), page.all("dd"), strict=True)}


def test_shows_the_configuration_with_labels_and_units(client_as: People, project: Project) -> None:
    page = read(client_as("viewer").get(address()))

    shown = facts(page)
    assert {name: shown[name] for name in ("Name", "Status", "Maximum sessions", "CPU threshold", "Image type")} == {
        "Name": "design-pool",
        "Status": "On",
        "Maximum sessions": "6 per server routing is recalculated",
        "CPU threshold": "80 %",
        "Image type": "Marketplace image new servers only",
    }
    assert (shown["System disk size"], shown["Organisational unit"], shown["ID"]) == (
        "80 GB new servers only",
        "empty new servers only",
        DESIGN_POOL,
    )
    assert {name: shown[name] for name in ("servers ready", "servers in maintenance", "sessions initialising")} == {
        "servers ready": "2",
        "servers in maintenance": "1",
        "sessions initialising": "1",
    }
    assert shown["standby"] == "design-pool-standby On"


def test_a_standby_names_its_primary(client_as: People, project: Project) -> None:
    shown = facts(read(client_as("viewer").get(address(group_id=GROUP_IDS["design-pool-standby"]))))

    assert shown["primary"] == "design-pool On"


def test_routing_does_not_apply_to_a_single_session_group(client_as: People, project: Project) -> None:
    shown = facts(read(client_as("viewer").get(address(group_id=GROUP_IDS["engineering-vdi"]))))

    assert {value for name, value in shown.items() if "threshold" in name or name == "Maximum sessions"} == {
        "does not apply"
    }


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", set()), ("help desk", {"switch"}), ("administrator", {"switch", "edit"})]
)
def test_offers_only_the_permitted_actions(client_as: People, project: Project, role: str, may: set[str]) -> None:
    page = read(client_as(role).get(address()))

    offered = {
        name
        for name, is_there in {
            "switch": page.has_id(f"switch-button-{DESIGN_POOL}"),
            "edit": page.all("a", href=address("edit/")) != [],
        }.items()
        if is_there
    }
    assert offered == may


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("auditor", True), ("help desk", True)])
def test_the_history_needs_the_permission_to_view_the_ledger(
    client_as: People, project: Project, role: str, sees: bool
) -> None:
    client_as("administrator").post(
        address("edit/"), {"route_policy__cpu_threshold": "85", "reason": "INC-4711", "name": "TEST"}
    )

    response = said(client_as(role).get(address()))

    assert ("CPU threshold 80 % 85 %" in response, "INC-4711" in response, "administrator changed" in response) == (
        sees,
    ) * 3


def test_the_history_is_empty_before_the_first_change(client_as: People, project: Project) -> None:
    assert "Nothing was changed through Streamwarden yet." in said(client_as("auditor").get(address()))


def test_unreadable_parts_are_shown_as_not_known(client_as: People, project: Project, simulator: Simulated) -> None:
    simulator.change(app_server_count=None, app_group_count=None, image_name=None, create_time=None, update_time=1)
    simulator.change(route_policy=None, is_vdi=None, name=None, ou_name=None, system_disk_size=None)
    simulator.inject(
        {"match": {"path": "*/state"}, "fault": "unavailable"},
        {"match": {"path": "*/session/*"}, "fault": "html"},
    )

    page = read(client_as("viewer").get(address()))

    shown = facts(page)
    names = ("servers", "sessions", "application groups", "Created")
    assert {shown[name] for name in names} == {"not known"}
    assert shown["Maximum sessions"] == "not known routing is recalculated"
    assert shown["System disk size"] == "not known new servers only"
    assert words(page.all("h1")[0].text) == DESIGN_POOL


@pytest.mark.parametrize("group_id", ["7b1d2c52-0000-4c57-9a3b-2f8f6a1c9e10", "..%2f..%2f", "%00", "x" * 300, "a b"])
@pytest.mark.parametrize("below", ["", "edit/", "switch/"])
def test_an_unknown_group_is_not_found(client_as: People, project: Project, group_id: str, below: str) -> None:
    response = client_as("administrator").get(f"/projects/default/server-groups/{group_id}/{below}")

    assert response.status_code == 404
    assert "Page not found" in said(response)


@pytest.mark.parametrize("kind", ["unavailable", "unauthorized", "forbidden", "html", "empty", "truncated"])
def test_an_unreadable_group_is_an_error_page(
    client_as: People, project: Project, simulator: Simulated, kind: str
) -> None:
    simulator.inject(fault(kind, "GET", times=None))

    response = client_as("viewer").get(address())

    assert response.status_code == 503
    assert "The dashboard cannot read the cloud" in said(response)


@pytest.mark.parametrize("members", ["primary_server_group_ids", "secondary_server_group_ids"])
def test_a_partner_with_an_unusable_id_has_no_link(
    client_as: People, project: Project, simulator: Simulated, members: str
) -> None:
    simulator.control("PUT", f"groups/{DESIGN_POOL}", {members: ["../x", GROUP_IDS["finance-eu"], "a/b"]})
    client = client_as("administrator")

    responses = [client.get(address(page)) for page in ("", "edit/", "switch/")]

    page = read(responses[0])
    assert [response.status_code for response in responses] == [200, 200, 200]
    assert [one.text for one in page.by_class("unusable-id")] == ["../x", "a/b"]
    assert "finance-eu" in [words(link.text) for link in page.all("a")]


def test_texts_of_the_cloud_are_escaped(client_as: People, project: Project, simulator: Simulated) -> None:
    evil = '<script>alert("x")</script>\'"><img src=x onerror=y>'
    simulator.change(name=evil, description=evil, ou_name=evil, image_name=evil, tags=[{"key": evil, "value": evil}])
    simulator.change(system_disk_type=evil, app_type=evil, storage_mount_policy=evil, image_id=evil)

    page = read(client_as("administrator").get(address()))

    assert page.all("img") == []
    assert [script.text for script in page.all("script")] == ["", ""]
    assert page.all("h1")[0].text == evil
