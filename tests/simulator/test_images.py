"""IMS ListImages: filters, pages by marker, and images withdrawn from the marketplace."""

from typing import Any

import pytest

from tests.simulator.conftest import OTHER_PROJECT, PROJECT, Cloud


def images(cloud: Cloud, **query: Any) -> list[Any]:
    found: list[Any] = cloud.get("/v2/cloudimages", **query).json()["images"]
    return found


def names(cloud: Cloud, **query: Any) -> list[str]:
    return [image["name"] for image in images(cloud, **query)]


def test_marketplace_images_have_product_codes(cloud: Cloud) -> None:
    market = images(cloud, __imagetype="market")

    codes = {image["name"]: image["__productcode"] for image in market}
    assert codes["ws2019-cad-2026-02"] == "00301-884211-0--0"
    assert [image["name"] for image in market if image["__is_offshelved"] == "true"] == ["ws2016-office-2024-11"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"__imagetype": "gold", "visibility": "public", "protected": "true"}, 4),
        ({"owner": PROJECT}, 5),
        ({"owner": PROJECT, "status": "active"}, 4),
        ({"member_status": "accepted", "visibility": "shared", "__imagetype": "shared"}, 2),
        ({"member_status": "pending"}, 1),
        ({"__os_type": "Linux"}, 1),
        ({"__platform": "Ubuntu"}, 1),
        ({"id": "c0a5e1f2-6b7d-4d0b-8a52-91f3d7e40b11"}, 1),
        ({"name": "finance-apps-2026-08"}, 1),
        ({"min_disk": 60}, 4),
        ({"protected": "false"}, 8),
        ({"architecture": "arm"}, 0),
        ({"tag": "none"}, 0),
        ({"__isregistered": "false"}, 0),
        ({"enterprise_project_id": "all_granted_eps"}, 17),
        ({"enterprise_project_id": "6f1d2c52"}, 0),
        ({}, 17),
    ],
)
def test_filters_images(cloud: Cloud, query: dict[str, Any], count: int) -> None:
    assert len(images(cloud, **query)) == count


def test_the_newest_images_are_first(cloud: Cloud) -> None:
    times = [image["created_at"] for image in images(cloud)]

    assert times == sorted(times, reverse=True)


def test_sorts_images_by_name(cloud: Cloud) -> None:
    found = names(cloud, sort_key="name", sort_dir="asc")

    assert found == sorted(found)


def test_a_marker_selects_the_next_page(cloud: Cloud) -> None:
    everything, found, query = names(cloud), [], {"limit": 5}
    while page := images(cloud, **query):
        found += [image["name"] for image in page]
        query["marker"] = page[-1]["id"]

    assert found == everything


@pytest.mark.parametrize("query", [{"marker": "unknown"}, {"limit": 0}, {"limit": "x"}, {"__imagetype": "public"}])
def test_refuses_with_the_error_form_of_ims(cloud: Cloud, query: dict[str, Any]) -> None:
    response = cloud.get("/v2/cloudimages", **query)

    assert (response.status_code, set(response.json()["error"])) == (400, {"message", "code"})


def test_a_header_selects_the_project_of_the_images(cloud: Cloud) -> None:
    response = cloud.call("GET", "/v2/cloudimages?__imagetype=private", headers={"X-Project-Id": OTHER_PROJECT})

    assert {image["owner"] for image in response.json()["images"]} == {OTHER_PROJECT}


def test_responses_have_no_internal_members(cloud: Cloud) -> None:
    assert not [name for image in images(cloud) for name in image if name == "_membership"]
