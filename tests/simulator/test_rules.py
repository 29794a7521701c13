"""Rules that combine several members, the stored group and the tenant."""

from typing import Any

import pytest

from tests.simulator.conftest import DESIGN_POOL, OTHER_PROJECT, PROJECT, Cloud


class TestUnknownMembers:
    def test_unknown_members_are_ignored(self, cloud: Cloud) -> None:
        response = cloud.patch({"name": "TEST", "is_vdi": True, "route_policy": {"max_session": 7, "extra": 1}})

        group = cloud.show()
        assert (response.status_code, group["name"], group["is_vdi"]) == (200, "TEST", False)
        assert "extra" not in group["route_policy"]

    @pytest.mark.parametrize(
        ("body", "member"), [({"is_vdi": True}, "is_vdi"), ({"route_policy": {"x": 1}}, "route_policy.x")]
    )
    def test_a_switch_refuses_unknown_members(self, cloud: Cloud, body: Any, member: str) -> None:
        cloud.switch(unknown_members="refuse")

        response = cloud.patch(body)

        assert (response.status_code, f"{member} is not known" in response.json()["error_msg"]) == (400, True)
        assert cloud.patch({"name": "TEST"}).status_code == 200


class TestEmptyPatch:
    def test_an_empty_patch_is_accepted(self, cloud: Cloud) -> None:
        assert cloud.patch({}).status_code == 200

    def test_a_switch_refuses_an_empty_patch(self, cloud: Cloud) -> None:
        cloud.switch(empty_patch="refuse")

        assert cloud.patch({}).status_code == 400


class TestRoutePolicy:
    def test_the_route_policy_is_merged(self, cloud: Cloud) -> None:
        cloud.patch({"route_policy": {"cpu_threshold": 60}})

        assert cloud.show()["route_policy"] == {
            "max_session": 6,
            "cpu_threshold": 60,
            "gpu_threshold": 75,
            "mem_threshold": 85,
        }

    def test_a_switch_replaces_the_route_policy(self, cloud: Cloud) -> None:
        cloud.switch(route_policy="replace")

        cloud.patch({"route_policy": {"cpu_threshold": 60}})

        assert cloud.show()["route_policy"] == {"cpu_threshold": 60}

    def test_only_multi_session_groups_have_a_route_policy(self, cloud: Cloud) -> None:
        single = cloud.named("engineering-vdi")["id"]

        response = cloud.patch({"route_policy": {"max_session": 2}}, group=single)

        assert (response.status_code, "multi-session" in response.json()["error_msg"]) == (400, True)

    def test_a_switch_lowers_the_maximum_of_sessions(self, cloud: Cloud) -> None:
        cloud.switch(max_session_quota="100")

        statuses = [cloud.patch({"route_policy": {"max_session": most}}).status_code for most in (100, 101)]

        assert statuses == [200, 400]
        assert cloud.groups("/resources/restrict").json()["max_session"] == 100


class TestImage:
    def test_a_gold_image_needs_a_product_id(self, cloud: Cloud) -> None:
        private = cloud.named("training-lab")["id"]

        statuses = [
            cloud.patch(body, group=private).status_code
            for body in ({"image_type": "gold"}, {"image_type": "gold", "image_product_id": "00301-884211-0--0"})
        ]

        assert statuses == [400, 200]

    def test_the_stored_image_type_applies(self, cloud: Cloud) -> None:
        assert cloud.patch({"image_product_id": ""}).status_code == 400
        assert cloud.patch({"image_product_id": "", "image_type": "public"}).status_code == 200

    def test_a_change_of_another_member_needs_no_product_id(self, cloud: Cloud) -> None:
        cloud.control("PUT", f"groups/{DESIGN_POOL}", {"image_product_id": ""})

        assert cloud.patch({"name": "TEST"}).status_code == 200

    def test_a_switch_limits_product_ids_to_gold_images(self, cloud: Cloud) -> None:
        body = {"image_type": "private", "image_product_id": "00301"}

        accepted = cloud.patch(body).status_code
        cloud.switch(product_id_without_gold="refuse")

        assert (accepted, cloud.patch(body).status_code) == (200, 400)

    def test_a_known_image_sets_its_name_and_minimum_disk(self, cloud: Cloud) -> None:
        image = cloud.named("medical-imaging")["image_id"]

        cloud.patch({"image_id": image, "image_type": "shared", "system_disk_size": 100})

        group = cloud.show()
        assert (group["image_name"], group["image_min_disk"]) == ("partner-imaging-2026-07", 100)

    def test_a_switch_refuses_an_unknown_image(self, cloud: Cloud) -> None:
        accepted = cloud.patch({"image_id": "no-such-image"}).status_code
        cloud.switch(unknown_image="refuse")

        assert (accepted, cloud.patch({"image_id": "no-such-image"}).status_code) == (200, 400)

    def test_servers_keep_their_image(self, cloud: Cloud) -> None:
        cloud.patch({"image_id": "new-image"})

        servers = cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id=DESIGN_POOL).json()["items"]
        assert {server["image_id"] for server in servers} == {"c0a5e1f2-6b7d-4d0b-8a52-91f3d7e40b11"}


class TestSystemDisk:
    def test_a_disk_below_the_minimum_of_the_image_is_refused(self, cloud: Cloud) -> None:
        response = cloud.patch({"system_disk_size": 59})

        assert (response.status_code, "needs 60 GB" in response.json()["error_msg"]) == (400, True)

    def test_a_new_image_can_need_a_larger_disk(self, cloud: Cloud) -> None:
        image = cloud.named("marketing-studio")["image_id"]

        statuses = [cloud.patch({"image_id": image, **more}).status_code for more in ({}, {"system_disk_size": 100})]

        assert statuses == [400, 200]

    def test_the_disk_size_can_decrease(self, cloud: Cloud) -> None:
        assert [cloud.patch({"system_disk_size": size}).status_code for size in (90, 80)] == [200, 200]

    def test_a_switch_lowers_the_maximum_of_the_disk(self, cloud: Cloud) -> None:
        cloud.switch(system_disk_maximum="1024")

        assert [cloud.patch({"system_disk_size": size}).status_code for size in (1024, 1025)] == [200, 400]


class TestOu:
    @pytest.mark.parametrize(
        ("directory", "statuses"), [("by_project", [200, 400]), ("connected", [200, 200]), ("none", [400, 400])]
    )
    def test_an_ou_needs_a_directory(self, cloud: Cloud, directory: str, statuses: list[int]) -> None:
        cloud.switch(directory=directory)
        other = cloud.named("office-za", OTHER_PROJECT)["id"]
        body = {"ou_name": "OU=Design"}

        first, second = cloud.patch(body), cloud.patch(body, group=other, project=OTHER_PROJECT)

        assert [first.status_code, second.status_code] == statuses

    def test_an_ou_can_be_cleared_without_a_directory(self, cloud: Cloud) -> None:
        cloud.switch(directory="none")

        assert cloud.patch({"ou_name": ""}).status_code == 200


class TestName:
    def test_a_name_is_unique_in_a_project(self, cloud: Cloud) -> None:
        response = cloud.patch({"name": "finance-eu"})

        assert (response.status_code, response.json()["error_msg"]) == (
            400,
            "The server group name is already used: finance-eu",
        )

    def test_a_name_can_stay_the_same_or_exist_in_another_project(self, cloud: Cloud) -> None:
        assert [cloud.patch({"name": name}).status_code for name in ("design-pool", "office-za")] == [200, 200]


class TestPrimaryAndStandby:
    def test_two_members_are_copied_to_the_standby(self, cloud: Cloud) -> None:
        cloud.patch({"app_type": "SESSION_DESKTOP_APP", "storage_mount_policy": "USER", "description": "new"})

        standby = cloud.named("design-pool-standby")
        assert (standby["app_type"], standby["storage_mount_policy"]) == ("SESSION_DESKTOP_APP", "USER")
        assert standby["description"] == "Standby of design-pool"
        assert [(change["group"], change["request"]) for change in cloud.history()] == [
            (DESIGN_POOL, 1),
            (standby["id"], 1),
        ]

    def test_a_standby_accepts_the_values_of_its_primary(self, cloud: Cloud) -> None:
        standby = cloud.named("design-pool-standby")["id"]

        assert cloud.patch({"app_type": "COMMON_APP", "name": "spare"}, group=standby).status_code == 200

    def test_a_deviating_standby_is_refused(self, cloud: Cloud) -> None:
        standby = cloud.named("design-pool-standby")["id"]

        response = cloud.patch({"storage_mount_policy": "USER"}, group=standby)

        assert (response.status_code, "storage_mount_policy is ANY" in response.json()["error_msg"]) == (400, True)

    def test_a_switch_accepts_a_deviating_standby(self, cloud: Cloud) -> None:
        standby = cloud.named("design-pool-standby")["id"]
        cloud.switch(standby_deviation="accept")

        assert cloud.patch({"storage_mount_policy": "USER"}, group=standby).status_code == 200
        assert cloud.show()["storage_mount_policy"] == "ANY"


class TestSwitchingOff:
    def open_sessions(self, cloud: Cloud) -> dict[str, int]:
        query = {"query_begin_time": "2020-01-01T00:00:00.000Z", "query_end_time": "2100-01-01T00:00:00Z"}
        found = cloud.get(f"/v1/{PROJECT}/session/list-sessions", app_server_group_id=DESIGN_POOL, limit=100, **query)
        states = [session["session_state"] for session in found.json()["items"]]
        return {state: states.count(state) for state in ("Active", "Disconnected", "AppcInit") if state in states}

    def test_switching_off_keeps_the_sessions(self, cloud: Cloud) -> None:
        before = self.open_sessions(cloud)

        cloud.patch({"server_group_status": False})

        assert self.open_sessions(cloud) == before
        assert before["Active"] >= 1

    def test_a_switch_disconnects_the_sessions(self, cloud: Cloud) -> None:
        before = self.open_sessions(cloud)
        cloud.switch(sessions_when_off="disconnect")

        cloud.patch({"server_group_status": False})

        assert self.open_sessions(cloud) == {"Disconnected": sum(before.values())}

    def test_a_switch_signs_the_sessions_out(self, cloud: Cloud) -> None:
        cloud.switch(sessions_when_off="sign_out")

        cloud.patch({"server_group_status": False})

        servers = cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id=DESIGN_POOL).json()["items"]
        assert self.open_sessions(cloud) == {}
        assert [server["session_count"] for server in servers] == [0, 0, 0]


def test_a_switch_keeps_the_update_time(cloud: Cloud) -> None:
    before = cloud.show()
    cloud.switch(update_time="stays")

    cloud.patch({"name": "TEST"})

    assert cloud.show() == {**before, "name": "TEST"}
