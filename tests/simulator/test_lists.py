"""The lists of groups: pages, filters, order."""

from typing import Any

import pytest

from tests.simulator.conftest import DESIGN_POOL, OTHER_PROJECT, Cloud


def names(response: Any) -> list[str]:
    return [item["name"] for item in response.json()["items"]]


class TestPages:
    def test_a_page_has_ten_groups_and_the_count_of_all(self, cloud: Cloud) -> None:
        body = cloud.groups().json()

        assert (body["count"], len(body["items"]), body["items"][0]["id"]) == (42, 10, DESIGN_POOL)

    def test_the_pages_together_have_each_group_once(self, cloud: Cloud) -> None:
        everything = names(cloud.groups(limit=100))

        found = [name for offset in range(0, 42, 7) for name in names(cloud.groups(offset=offset, limit=7))]

        assert found == everything
        assert len(set(found)) == 42

    def test_a_page_beyond_the_end_is_empty(self, cloud: Cloud) -> None:
        assert cloud.groups(offset=2147483647).json() == {"count": 42, "items": []}

    @pytest.mark.parametrize(
        "query",
        [
            {"limit": "0"},
            {"limit": "101"},
            {"limit": "ten"},
            {"limit": ""},
            {"limit": "10.0"},
            {"limit": "١٠"},
            {"offset": "-1"},
            {"offset": "2147483648"},
            {"server_group_name": "n" * 1025},
            {"server_group_id": "i" * 129},
            {"app_type": "DESKTOP"},
            {"is_secondary_server_group": "yes"},
            {"tags": "team"},
        ],
    )
    def test_parameters_out_of_range_are_refused(self, cloud: Cloud, query: dict[str, str]) -> None:
        response = cloud.groups(**query)

        assert (response.status_code, response.json()["error_code"]) == (400, "WKS.00169901")
        assert next(iter(query)) in response.json()["error_msg"]


class TestFilters:
    def test_filters_by_part_of_the_name(self, cloud: Cloud) -> None:
        assert names(cloud.groups(server_group_name="finance")) == ["finance-eu", "finance-eu-standby", "finance-apac"]
        assert names(cloud.groups(server_group_name="研发")) == ["研发设计组"]

    def test_filters_by_the_exact_name(self, cloud: Cloud) -> None:
        cloud.switch(name_match="exact")

        assert names(cloud.groups(server_group_name="finance-eu")) == ["finance-eu"]

    def test_filters_by_id(self, cloud: Cloud) -> None:
        assert names(cloud.groups(server_group_id=DESIGN_POOL)) == ["design-pool"]
        assert names(cloud.groups(server_group_id="none")) == []

    def test_filters_by_type(self, cloud: Cloud) -> None:
        desktops = names(cloud.groups(app_type="SESSION_DESKTOP_APP"))

        assert desktops == ["library-kiosk", "exam-room", "browser-isolation"]
        assert cloud.groups(app_type="").json()["count"] == 42

    def test_filters_by_tags(self, cloud: Cloud) -> None:
        assert names(cloud.groups(tags="team=design")) == ["design-pool", "design-pool-standby"]
        assert names(cloud.groups(tags="team=finance,site=dublin")) == [names(cloud.groups(tags="site=dublin"))[0]]

    @pytest.mark.parametrize(("project", "count"), [("", 42), ("0", 42), ("6f1d2c52", 0)])
    def test_filters_by_enterprise_project(self, cloud: Cloud, project: str, count: int) -> None:
        assert cloud.groups(enterprise_project_id=project).json()["count"] == count

    def test_filters_by_role(self, cloud: Cloud) -> None:
        standby, primary = (cloud.groups(is_secondary_server_group=value).json() for value in ("true", "false"))

        assert standby["count"] == 5
        assert standby["count"] + primary["count"] == 42
        assert all(group["primary_server_group_ids"] for group in standby["items"])

    def test_a_switch_hides_standbys(self, cloud: Cloud) -> None:
        cloud.switch(secondary_default="primary")

        assert cloud.groups().json()["count"] == 37
        assert cloud.groups(is_secondary_server_group="true").json()["count"] == 5


class TestOrder:
    def test_groups_are_sorted_by_name(self, cloud: Cloud) -> None:
        cloud.switch(list_order="name")

        found = names(cloud.groups(limit=100))

        assert found == sorted(found)

    def test_the_newest_groups_are_first(self, cloud: Cloud) -> None:
        cloud.switch(list_order="newest")

        times = [group["create_time"] for group in cloud.groups(limit=100).json()["items"]]

        assert times == sorted(times, reverse=True)


class TestLightList:
    def test_has_fewer_members_than_the_full_list(self, cloud: Cloud) -> None:
        item = cloud.groups("/actions/list", limit=1).json()["items"][0]

        assert {"app_group_count", "primary_server_group_ids", "server_group_status"} <= set(item)
        assert not {"image_name", "product_info", "tags", "ou_name", "app_server_count"} & set(item)

    def test_filters_by_the_misspelt_name_only(self, cloud: Cloud) -> None:
        assert cloud.groups("/actions/list", sever_group_name="sap").json()["count"] == 2
        assert cloud.groups("/actions/list", server_group_name="sap").json()["count"] == 42
        assert cloud.groups("/actions/list", sever_group_name="n" * 65).status_code == 400

    def test_a_switch_makes_the_count_a_text(self, cloud: Cloud) -> None:
        cloud.switch(app_group_count="text")

        assert cloud.groups("/actions/list", limit=1).json()["items"][0]["app_group_count"] == "2"

    def test_filters_by_role_and_type(self, cloud: Cloud) -> None:
        query = {"is_secondary_server_group": "true", "app_type": "COMMON_APP"}

        assert cloud.groups("/actions/list", **query).json()["count"] == 5


def test_the_second_project_has_other_groups(cloud: Cloud) -> None:
    first, second = cloud.groups(limit=100), cloud.groups(project=OTHER_PROJECT, limit=100)

    assert second.json()["count"] == 8
    assert not {group["id"] for group in first.json()["items"]} & {group["id"] for group in second.json()["items"]}
