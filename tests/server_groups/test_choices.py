"""The images, disk types and names to choose from, and the values that the cloud would refuse."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from dashboard.cloud.projects import Project
from tests.conftest import Simulated, address
from tests.markup import read, said

LIST = address(group_id=None)
GPU_IMAGE = "1fab59cf-8760-5669-8300-cc619268e6ad"


def fault(path: str, name: str = "forbidden") -> dict[str, object]:
    return {"match": {"path": path}, "fault": name}


def test_images_show_the_values_that_a_choice_sets(client_as: Callable[[str], Client], project: Project) -> None:
    page = read(client_as("administrator").get(f"{LIST}images/?image_id={GPU_IMAGE}"))

    (image,) = page.all("button", data_image_id=GPU_IMAGE)
    assert (image.attrs["data-image-type"], image.attrs["data-product-id"], image.attrs["data-min-disk"]) == (
        "gold",
        "00301-902377-0--0",
        "100",
    )
    assert "current image" in image.text
    assert {element.attrs["data-image-type"] for element in page.all("button")} == {
        "gold",
        "public",
        "private",
        "shared",
    }
    assert any("withdrawn" in element.text for element in page.all("button"))


def test_an_unreadable_image_list_names_the_missing_permission(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    simulator.inject(fault("/v2/cloudimages"))

    words = said(client_as("administrator").get(f"{LIST}images/"))

    assert "Enter the three values yourself." in words
    assert "ims:images:list" in words


def test_disk_types_name_the_zones_where_they_are_sold_out(
    client_as: Callable[[str], Client], project: Project
) -> None:
    page = read(client_as("administrator").get(f"{LIST}disk-types/"))

    offered = {e.attrs["data-type"]: e.attrs.get("data-sold-out") for e in page.all("span") if "data-type" in e.attrs}
    assert offered["SAS"] is None
    assert offered["SSD"] == "{name} (sold out in ap-southeast-3b)"


def test_an_unreadable_disk_type_list_names_the_missing_permission(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    simulator.inject(fault("*/volume-type"))

    assert "workspace:baseResource:list" in said(client_as("administrator").get(f"{LIST}disk-types/"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("finance-eu", "finance-eu: Another group has this name."),
        ("design-pool", ""),
        ("free-name", ""),
        ("not a name", ""),
        ("", ""),
    ],
)
def test_a_name_is_checked_while_the_person_types(
    client_as: Callable[[str], Client], project: Project, name: str, expected: str
) -> None:
    client = client_as("administrator")
    seen = read(client.get(address("edit/"))).form("edit-form").fields["seen"]

    page = client.get(address("edit/name/"), {"name": name, "seen": seen})

    assert said(page).partition(" " + name)[0] == expected


def test_a_name_that_cannot_be_checked_has_no_error(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    simulator.inject(fault("*/rules/validate", "unavailable"))

    assert said(client_as("administrator").get(address("edit/name/"), {"name": "finance-eu"})) == ""


@pytest.mark.parametrize(("size", "status"), [("59", 422), ("60", 302)])
def test_the_disk_needs_at_least_the_minimum_of_the_image(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated, size: str, status: int
) -> None:
    response = client_as("administrator").post(address("edit/"), {"system_disk_size": size})

    assert response.status_code == status
    assert simulator.patches == ([{"system_disk_size": 60}] if status == 302 else [])
    if status == 422:
        assert "needs at least 60 GB. The disk has only 59 GB." in said(response)


def test_the_form_applies_the_session_maximum_of_the_account(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    simulator.control("PUT", "switches", {"max_session_quota": "100"})
    client = client_as("administrator")

    page = read(client.get(address("edit/")))
    response = client.post(address("edit/"), {"route_policy__max_session": "101"})

    assert page.by_id("id_route_policy__max_session").attrs["max"] == "100"
    assert "1 to 100 per server. This is the maximum of this account." in page.html
    assert response.status_code == 422
    assert simulator.patches == []


@pytest.mark.parametrize(
    ("members", "field", "value", "reason"),
    [
        ({"is_vdi": True}, "route_policy__max_session", "5", "Only for multi-session groups"),
        (
            {"primary_server_group_ids": ["another"]},
            "app_type",
            "SESSION_DESKTOP_APP",
            "A standby takes this value from its primary group",
        ),
        ({"image_type": "private", "image_product_id": ""}, "image_product_id", "p-1", "Only a Marketplace image"),
    ],
)
def test_a_field_that_does_not_apply_is_refused_with_the_reason(
    client_as: Callable[[str], Client],
    project: Project,
    simulator: Simulated,
    members: dict[str, Any],
    field: str,
    value: str,
    reason: str,
) -> None:
    simulator.change(**members)

    response = client_as("administrator").post(address("edit/"), {field: value, "confirm_image": "on"})

    assert response.status_code == 422
    assert reason in said(response)
    assert simulator.patches == []


def test_without_a_directory_the_organisational_unit_does_not_apply(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    simulator.inject({"match": {"path": "*/app-servers"}, "fault": "null_members", "members": ["domain"]})
    client = client_as("administrator")

    page = client.get(address("edit/"))
    response = client.post(address("edit/"), {"ou_name": "OU=Design"})

    assert "disabled" in read(page).by_id("id_ou_name").attrs
    assert "The servers of this group belong to none" in said(page)
    assert response.status_code == 422


def test_an_unreadable_image_does_not_block_a_change_of_the_disk(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    simulator.inject(fault("/v2/cloudimages"))

    client_as("administrator").post(address("edit/"), {"system_disk_size": "70"})

    assert simulator.patches == [{"system_disk_size": 70}]
