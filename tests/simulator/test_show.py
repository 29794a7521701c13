"""Reads of one group and of its tenant."""

from typing import Any

import pytest

from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud

ONLY_IN_SHOW = {
    "flavors",
    "project_name",
    "image_min_disk",
    "route_policy",
    "image_product_id",
    "image_type",
    "ip_virtual",
}


class TestShow:
    def test_a_group_has_more_members_than_in_the_list(self, cloud: Cloud) -> None:
        listed, shown = cloud.groups(limit=1).json()["items"][0], cloud.show()

        assert set(shown) - set(listed) == ONLY_IN_SHOW
        assert {name: shown[name] for name in listed} == listed

    def test_design_pool_has_the_published_values(self, cloud: Cloud) -> None:
        group = cloud.show()

        assert group["description"] == "CAD users, Building 7"
        assert group["route_policy"] == {
            "max_session": 6,
            "cpu_threshold": 80,
            "gpu_threshold": 75,
            "mem_threshold": 85,
        }
        assert (group["is_vdi"], group["server_group_status"], group["image_type"]) == (False, True, "gold")
        assert (group["app_server_count"], group["app_group_count"], group["image_min_disk"]) == (3, 2, 60)
        assert group["tags"] == [{"key": "team", "value": "design"}]
        assert group["secondary_server_group_ids"] == [cloud.named("design-pool-standby")["id"]]

    def test_an_unknown_group_is_not_found(self, cloud: Cloud) -> None:
        assert cloud.groups("/unknown").status_code == 404
        assert cloud.groups(f"/{'i' * 129}").status_code == 400

    def test_a_switch_removes_the_newest_members(self, cloud: Cloud) -> None:
        cloud.switch(newest_members="omit")

        assert ONLY_IN_SHOW - set(cloud.show()) == {"route_policy", "image_type", "image_product_id", "ip_virtual"}

    def test_a_switch_sets_the_minimum_disk_to_zero(self, cloud: Cloud) -> None:
        cloud.switch(image_min_disk="zero")

        assert cloud.show()["image_min_disk"] == 0

    @pytest.mark.parametrize("spelling", ["hrel", "href"])
    def test_a_flavour_has_links_in_two_spellings(self, cloud: Cloud, spelling: str) -> None:
        cloud.switch(flavor_link=spelling)

        assert set(cloud.show()["flavors"][0]["links"][0]) == {"rel", spelling}


class TestState:
    def test_the_state_lists_all_six_states(self, cloud: Cloud) -> None:
        status = cloud.groups(f"/{DESIGN_POOL}/state").json()["aps_status"]

        assert status == {"UNREGISTER": 0, "REGISTERED": 2, "MAINTAINING": 1, "FREEZE": 0, "STOPPED": 0, "NONE": 0}

    def test_a_switch_omits_zero_counts(self, cloud: Cloud) -> None:
        cloud.switch(zero_counts="omit")

        assert cloud.groups(f"/{DESIGN_POOL}/state").json()["aps_status"] == {"REGISTERED": 2, "MAINTAINING": 1}

    def test_an_unknown_group_has_no_state(self, cloud: Cloud) -> None:
        assert cloud.groups("/unknown/state").status_code == 404


class TestRestrict:
    def test_the_response_has_the_maximums_of_the_tenant(self, cloud: Cloud) -> None:
        assert cloud.groups("/resources/restrict").json() == {"max_session": 1024, "max_group_count": 50}


class TestValidate:
    @pytest.mark.parametrize(
        ("name", "document"),
        [
            ("new-pool", {"result": True}),
            ("design-pool", {"result": False, "validate_rule": "duplicate"}),
            ("two words", {"result": False, "validate_rule": "naming"}),
            ("n" * 65, {"result": False, "validate_rule": "naming"}),
        ],
    )
    def test_the_response_names_the_broken_rule(self, cloud: Cloud, name: str, document: dict[str, Any]) -> None:
        found = cloud.call("POST", f"/v1/{PROJECT}/app-server-groups/rules/validate", json={"name": name})

        assert (found.status_code, found.json()) == (200, document)

    @pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "n" * 2049}])
    def test_an_invalid_name_is_refused(self, cloud: Cloud, body: Any) -> None:
        response = cloud.call("POST", f"/v1/{PROJECT}/app-server-groups/rules/validate", json=body)

        assert (response.status_code, "name" in response.json()["error_msg"]) == (400, True)


class TestVolumeTypes:
    def test_a_disk_type_names_the_zones_where_it_is_sold_out(self, cloud: Cloud) -> None:
        kinds = cloud.get(f"/v1/{PROJECT}/volume-type").json()["volume_types"]

        zones = {kind["volume_type"]: kind["volume_type_extra_specs"] for kind in kinds}
        assert zones["SSD"] == {
            "availability_zone": "ap-southeast-3a,ap-southeast-3b",
            "sold_out_availability_zone": "ap-southeast-3b",
        }
        assert set(zones) == {"SAS", "SSD", "GPSSD", "ESSD"}
