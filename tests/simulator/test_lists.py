"""The reads around a group: lists with their pages and filters, show, state, servers, sessions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.simulator.conftest import DESIGN_POOL, OTHER_PROJECT, PROJECT, Cloud

ONLY_IN_SHOW = {
    "flavors",
    "project_name",
    "image_min_disk",
    "route_policy",
    "image_product_id",
    "image_type",
    "ip_virtual",
}


def names(answer: Any) -> list[str]:
    return [item["name"] for item in answer.json()["items"]]


class TestPages:
    def test_are_ten_long_and_count_all(self, cloud: Cloud) -> None:
        body = cloud.groups().json()

        assert (body["count"], len(body["items"]), body["items"][0]["id"]) == (42, 10, DESIGN_POOL)

    def test_follow_one_another(self, cloud: Cloud) -> None:
        everything = names(cloud.groups(limit=100))

        found = [name for offset in range(0, 42, 7) for name in names(cloud.groups(offset=offset, limit=7))]

        assert found == everything
        assert len(set(found)) == 42

    def test_beyond_the_end_are_empty(self, cloud: Cloud) -> None:
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
    def test_refuse_parameters_out_of_range(self, cloud: Cloud, query: dict[str, str]) -> None:
        answer = cloud.groups(**query)

        assert (answer.status_code, answer.json()["error_code"]) == (400, "WKS.00169901")
        assert next(iter(query)) in answer.json()["error_msg"]


class TestFilters:
    def test_by_part_of_the_name(self, cloud: Cloud) -> None:
        assert names(cloud.groups(server_group_name="finance")) == ["finance-eu", "finance-eu-standby", "finance-apac"]
        assert names(cloud.groups(server_group_name="研发")) == ["研发设计组"]

    def test_by_the_exact_name(self, cloud: Cloud) -> None:
        cloud.switch(name_match="exact")

        assert names(cloud.groups(server_group_name="finance-eu")) == ["finance-eu"]

    def test_by_id(self, cloud: Cloud) -> None:
        assert names(cloud.groups(server_group_id=DESIGN_POOL)) == ["design-pool"]
        assert names(cloud.groups(server_group_id="none")) == []

    def test_by_type(self, cloud: Cloud) -> None:
        desktops = names(cloud.groups(app_type="SESSION_DESKTOP_APP"))

        assert desktops == ["library-kiosk", "exam-room", "browser-isolation"]
        assert cloud.groups(app_type="").json()["count"] == 42

    def test_by_tags(self, cloud: Cloud) -> None:
        assert names(cloud.groups(tags="team=design")) == ["design-pool", "design-pool-standby"]
        assert names(cloud.groups(tags="team=finance,site=dublin")) == [names(cloud.groups(tags="site=dublin"))[0]]

    @pytest.mark.parametrize(("project", "count"), [("", 42), ("0", 42), ("6f1d2c52", 0)])
    def test_by_enterprise_project(self, cloud: Cloud, project: str, count: int) -> None:
        assert cloud.groups(enterprise_project_id=project).json()["count"] == count

    def test_by_role(self, cloud: Cloud) -> None:
        standby, primary = (cloud.groups(is_secondary_server_group=value).json() for value in ("true", "false"))

        assert standby["count"] == 5
        assert standby["count"] + primary["count"] == 42
        assert all(group["primary_server_group_ids"] for group in standby["items"])

    def test_lists_may_leave_standbys_out_unless_asked(self, cloud: Cloud) -> None:
        cloud.switch(secondary_default="primary")

        assert cloud.groups().json()["count"] == 37
        assert cloud.groups(is_secondary_server_group="true").json()["count"] == 5


class TestOrder:
    def test_may_be_by_name(self, cloud: Cloud) -> None:
        cloud.switch(list_order="name")

        found = names(cloud.groups(limit=100))

        assert found == sorted(found)

    def test_may_be_the_newest_first(self, cloud: Cloud) -> None:
        cloud.switch(list_order="newest")

        times = [group["create_time"] for group in cloud.groups(limit=100).json()["items"]]

        assert times == sorted(times, reverse=True)


class TestShow:
    def test_has_everything_of_the_list_and_more(self, cloud: Cloud) -> None:
        listed, shown = cloud.groups(limit=1).json()["items"][0], cloud.show()

        assert set(shown) - set(listed) == ONLY_IN_SHOW
        assert {name: shown[name] for name in listed} == listed

    def test_design_pool_is_as_published(self, cloud: Cloud) -> None:
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

    def test_of_an_unknown_group_is_404(self, cloud: Cloud) -> None:
        assert cloud.groups("/unknown").status_code == 404
        assert cloud.groups(f"/{'i' * 129}").status_code == 400

    def test_may_lack_what_older_regions_lack(self, cloud: Cloud) -> None:
        cloud.switch(newest_members="omit")

        assert ONLY_IN_SHOW - set(cloud.show()) == {"route_policy", "image_type", "image_product_id", "ip_virtual"}

    def test_may_say_nothing_about_the_disk(self, cloud: Cloud) -> None:
        cloud.switch(image_min_disk="zero")

        assert cloud.show()["image_min_disk"] == 0

    @pytest.mark.parametrize("spelling", ["hrel", "href"])
    def test_links_flavours_in_two_spellings(self, cloud: Cloud, spelling: str) -> None:
        cloud.switch(flavor_link=spelling)

        assert set(cloud.show()["flavors"][0]["links"][0]) == {"rel", spelling}


class TestLightList:
    def test_lacks_what_is_not_needed_to_bind_groups(self, cloud: Cloud) -> None:
        item = cloud.groups("/actions/list", limit=1).json()["items"][0]

        assert {"app_group_count", "primary_server_group_ids", "server_group_status"} <= set(item)
        assert not {"image_name", "product_info", "tags", "ou_name", "app_server_count"} & set(item)

    def test_filters_by_the_misspelt_name_only(self, cloud: Cloud) -> None:
        assert cloud.groups("/actions/list", sever_group_name="sap").json()["count"] == 2
        assert cloud.groups("/actions/list", server_group_name="sap").json()["count"] == 42
        assert cloud.groups("/actions/list", sever_group_name="n" * 65).status_code == 400

    def test_filters_by_role_and_type(self, cloud: Cloud) -> None:
        query = {"is_secondary_server_group": "true", "app_type": "COMMON_APP"}

        assert cloud.groups("/actions/list", **query).json()["count"] == 5


class TestState:
    def test_lists_all_six_states(self, cloud: Cloud) -> None:
        status = cloud.groups(f"/{DESIGN_POOL}/state").json()["aps_status"]

        assert status == {"UNREGISTER": 0, "REGISTERED": 2, "MAINTAINING": 1, "FREEZE": 0, "STOPPED": 0, "NONE": 0}

    def test_may_leave_zeros_out(self, cloud: Cloud) -> None:
        cloud.switch(zero_counts="omit")

        assert cloud.groups(f"/{DESIGN_POOL}/state").json()["aps_status"] == {"REGISTERED": 2, "MAINTAINING": 1}

    def test_of_an_unknown_group_is_404(self, cloud: Cloud) -> None:
        assert cloud.groups("/unknown/state").status_code == 404


class TestRestrict:
    def test_names_the_ceilings(self, cloud: Cloud) -> None:
        assert cloud.groups("/resources/restrict").json() == {"max_session": 1024, "max_group_count": 50}


class TestValidate:
    @pytest.mark.parametrize(
        ("name", "answer"),
        [
            ("new-pool", {"result": True}),
            ("design-pool", {"result": False, "validate_rule": "duplicate"}),
            ("two words", {"result": False, "validate_rule": "naming"}),
            ("n" * 65, {"result": False, "validate_rule": "naming"}),
        ],
    )
    def test_names_the_broken_rule(self, cloud: Cloud, name: str, answer: dict[str, Any]) -> None:
        found = cloud.call("POST", f"/v1/{PROJECT}/app-server-groups/rules/validate", json={"name": name})

        assert (found.status_code, found.json()) == (200, answer)

    @pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": 1}, {"name": "n" * 2049}])
    def test_refuses_what_is_no_name(self, cloud: Cloud, body: Any) -> None:
        answer = cloud.call("POST", f"/v1/{PROJECT}/app-server-groups/rules/validate", json=body)

        assert (answer.status_code, "name" in answer.json()["error_msg"]) == (400, True)


class TestVolumeTypes:
    def test_name_the_zones_in_which_they_are_sold_out(self, cloud: Cloud) -> None:
        kinds = cloud.get(f"/v1/{PROJECT}/volume-type").json()["volume_types"]

        zones = {kind["volume_type"]: kind["volume_type_extra_specs"] for kind in kinds}
        assert zones["SSD"] == {
            "availability_zone": "ap-southeast-3a,ap-southeast-3b",
            "sold_out_availability_zone": "ap-southeast-3b",
        }
        assert set(zones) == {"SAS", "SSD", "GPSSD", "ESSD"}


class TestServers:
    def servers(self, cloud: Cloud, **query: Any) -> Any:
        return cloud.get(f"/v1/{PROJECT}/app-servers", **{"limit": 100, **query}).json()

    def test_of_all_groups_are_as_many_as_the_groups_say(self, cloud: Cloud) -> None:
        said = sum(group["app_server_count"] for group in cloud.groups(limit=100).json()["items"])

        assert self.servers(cloud)["count"] == said

    @pytest.mark.parametrize("name", ["name", "machine_name", "id"])
    def test_are_found_by_one_of_their_names(self, cloud: Cloud, name: str) -> None:
        wanted = self.servers(cloud, server_group_id=DESIGN_POOL)["items"][1]
        query = {"name": "server_name", "machine_name": "machine_name", "id": "server_id"}

        found = self.servers(cloud, **{query[name]: wanted[name], "server_group_id": DESIGN_POOL})

        assert [server["id"] for server in found["items"]] == [wanted["id"]]

    def test_are_found_by_part_of_an_address(self, cloud: Cloud) -> None:
        wanted = self.servers(cloud, server_group_id=DESIGN_POOL)["items"][0]
        address = wanted["host_address"][0]["addr"]

        assert wanted["id"] in [server["id"] for server in self.servers(cloud, ip_addr=address)["items"]]
        assert self.servers(cloud, ip_addr="203.0.113.")["count"] == 0

    def test_are_found_by_flags(self, cloud: Cloud) -> None:
        maintained = self.servers(cloud, maintain_status="true", server_group_id=DESIGN_POOL)["items"]
        grown = self.servers(cloud, scaling_auto_create="true")["items"]

        assert [server["status"] for server in maintained] == ["MAINTAINING"]
        assert {server["server_group_name"] for server in grown} >= {"callcenter-01", "office-standard"}

    def test_need_a_group_id_that_is_not_empty(self, cloud: Cloud) -> None:
        assert cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id="").status_code == 400

    def test_follow_the_name_of_their_group(self, cloud: Cloud) -> None:
        cloud.patch({"name": "TEST"})

        found = self.servers(cloud, server_group_id=DESIGN_POOL)["items"]
        assert {server["server_group_name"] for server in found} == {"TEST"}


class TestSessions:
    WHENEVER = {"query_begin_time": "2020-01-01T00:00:00.000Z", "query_end_time": "2100-01-01T00:00:00Z"}
    PATH = f"/v1/{PROJECT}/session/list-sessions"

    def sessions(self, cloud: Cloud, **query: Any) -> Any:
        return cloud.get(self.PATH, **{"limit": 100, **self.WHENEVER, **query}).json()

    @pytest.mark.parametrize("missing", ["query_begin_time", "query_end_time"])
    def test_need_both_ends_of_a_time(self, cloud: Cloud, missing: str) -> None:
        query = {name: value for name, value in self.WHENEVER.items() if name != missing}

        answer = cloud.get(self.PATH, **query)

        assert (answer.status_code, answer.json()["error_code"]) == (400, "WKS.00139901")
        assert f"{missing} is missing" in answer.json()["error_msg"]

    @pytest.mark.parametrize(
        "time", ["2026-10-01", "now", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-10-01T00:00:00+02:00", ""]
    )
    def test_refuse_what_is_no_time(self, cloud: Cloud, time: str) -> None:
        assert cloud.get(self.PATH, **{**self.WHENEVER, "query_end_time": time}).status_code == 400

    def test_agree_with_the_servers(self, cloud: Cloud) -> None:
        servers = cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id=DESIGN_POOL).json()["items"]
        query = {"app_server_group_id": DESIGN_POOL, "session_state": "Active,Disconnected,AppcInit"}
        found = self.sessions(cloud, **query)["items"]

        on_machines = {server["machine_name"]: server["session_count"] for server in servers}
        machines = [session["machine_name"] for session in found]
        assert {machine: machines.count(machine) for machine in on_machines} == on_machines

    def test_filter_by_state_and_success(self, cloud: Cloud) -> None:
        failed = self.sessions(cloud, is_success="false")["items"]
        by_state = self.sessions(cloud, session_state="InitFail")["items"]

        assert failed == by_state != []
        assert {session["failed_reason"] for session in failed} == {"The desktop did not answer"}

    @pytest.mark.parametrize(
        ("query", "member"), [("user_name", "login_user"), ("vm_ip", "vm_ip"), ("machine_name", "machine_name")]
    )
    def test_filter_by_user_and_machine(self, cloud: Cloud, query: str, member: str) -> None:
        wanted = self.sessions(cloud)["items"][0][member]

        found = self.sessions(cloud, **{query: wanted})["items"]

        assert {session[member] for session in found} == {wanted}

    def test_have_no_public_address(self, cloud: Cloud) -> None:
        assert self.sessions(cloud, public_ip="203.0.113.1")["count"] == 0

    def test_filter_by_start(self, cloud: Cloud) -> None:
        start = (datetime.now(UTC) - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S.500Z")

        later = self.sessions(cloud, query_begin_time=start)
        earlier = self.sessions(cloud, query_end_time=start)

        assert later["count"] + earlier["count"] == self.sessions(cloud)["count"]
        assert min(later["count"], earlier["count"]) > 0

    def test_may_be_held_to_their_end(self, cloud: Cloud) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        open_ones = self.sessions(cloud, session_state="Active", query_end_time=now)["count"]
        cloud.switch(query_end_time="end")

        before = self.sessions(cloud, session_state="Active", query_end_time="2026-01-01T00:00:00Z")["count"]
        ended = self.sessions(cloud, session_state="SignedOut", query_end_time=now)["count"]

        assert open_ones > 0
        assert before == 0
        assert ended > 0


def test_the_second_project_has_its_own_groups(cloud: Cloud) -> None:
    first, second = cloud.groups(limit=100), cloud.groups(project=OTHER_PROJECT, limit=100)

    assert second.json()["count"] == 8
    assert not {group["id"] for group in first.json()["items"]} & {group["id"] for group in second.json()["items"]}
