"""UpdateServerGroup, the heart of the contract: Tables 3 and 4 of the API page, at both ends and beyond."""

from typing import Any

import pytest

from tests.simulator.conftest import DESIGN_POOL, OTHER_PROJECT, PROJECT, Cloud

ACCEPTED: list[tuple[str, Any]] = [
    ("name", "a"),
    ("name", "A-b_9" * 12 + "wxyz"),
    ("name", "研发设计组-2"),
    ("description", ""),
    ("description", "d" * 255),
    ("description", "two\nlines, <b>, =1+1"),
    ("storage_mount_policy", "USER"),
    ("storage_mount_policy", "SHARE"),
    ("storage_mount_policy", "ANY"),
    ("image_id", "x"),
    ("image_id", "i" * 128),
    ("image_product_id", "p"),
    ("image_product_id", "p" * 128),
    ("image_type", "gold"),
    ("image_type", "public"),
    ("image_type", "private"),
    ("image_type", "shared"),
    ("image_type", "other"),
    ("system_disk_type", "ESSD"),
    ("system_disk_type", "SSD"),
    ("system_disk_type", "GPSSD"),
    ("system_disk_type", "SAS"),
    ("system_disk_type", "SATA"),
    ("system_disk_size", 60),
    ("system_disk_size", 32768),
    ("ou_name", ""),
    ("ou_name", "O" * 255),
    ("app_type", "SESSION_DESKTOP_APP"),
    ("app_type", "COMMON_APP"),
    ("server_group_status", False),
    ("server_group_status", True),
]

REFUSED: list[tuple[str, Any]] = [
    ("name", ""),
    ("name", "n" * 65),
    ("name", "two words"),
    ("name", "line\n"),
    ("name", "dot.dot"),
    ("name", "naïve"),
    ("name", "zero\u200bwidth"),
    ("name", "１２"),
    ("name", 5),
    ("name", None),
    ("description", "d" * 256),
    ("description", None),
    ("description", ["a"]),
    ("storage_mount_policy", "user"),
    ("storage_mount_policy", ""),
    ("image_id", ""),
    ("image_id", "i" * 129),
    ("image_id", "a b"),
    ("image_id", "id\n"),
    ("image_product_id", "p" * 129),
    ("image_product_id", "a b"),
    ("image_type", "market"),
    ("system_disk_type", "NVME"),
    ("system_disk_size", 9),
    ("system_disk_size", 32769),
    ("system_disk_size", 80.0),
    ("system_disk_size", "80"),
    ("system_disk_size", True),
    ("ou_name", "O" * 256),
    ("app_type", "DESKTOP"),
    ("server_group_status", "true"),
    ("server_group_status", 1),
    ("server_group_status", None),
    ("route_policy", None),
    ("route_policy", []),
]

THRESHOLDS = {"max_session": 1024, "cpu_threshold": 100, "gpu_threshold": 100, "mem_threshold": 100}


@pytest.mark.parametrize(("member", "value"), ACCEPTED)
def test_accepts_a_value_within_its_limits(cloud: Cloud, member: str, value: Any) -> None:
    answer = cloud.patch({member: value})

    assert (answer.status_code, answer.text) == (200, "null")
    assert answer.headers["Content-Type"] == "application/json"
    assert len(answer.headers["X-Request-Id"]) == 32
    assert cloud.show()[member] == value


@pytest.mark.parametrize(("member", "value"), REFUSED)
def test_refuses_a_value_outside_its_limits(cloud: Cloud, member: str, value: Any) -> None:
    before = cloud.show()

    answer = cloud.patch({member: value})

    assert (answer.status_code, answer.json()["error_code"]) == (400, "WKS.00129901")
    assert member in answer.json()["error_msg"]
    assert cloud.show() == before
    assert cloud.history() == []


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_thresholds_have_two_ends(cloud: Cloud, threshold: str) -> None:
    largest = THRESHOLDS[threshold]
    statuses = [
        cloud.patch({"route_policy": {threshold: value}}).status_code
        for value in (0, 1, largest, largest + 1, "50", 50.0, True, None)
    ]

    assert statuses == [400, 200, 200, 400, 400, 400, 400, 400]
    assert cloud.show()["route_policy"][threshold] == largest


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "has no body"),
        (b"null", "the body must be an object"),
        (b"[]", "the body must be an object"),
        (b'"name"', "the body must be an object"),
        (b"{", "not JSON"),
        (b"name=TEST", "not JSON"),
        (b'{"name": "a", "name": "b"}', "name is there twice"),
        (b'{"route_policy": {"max_session": 2, "max_session": 3}}', "max_session is there twice"),
        (b'{"system_disk_size": NaN}', "NaN is not JSON"),
        (b'{"name": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_refuses_a_body_that_is_no_plain_object(cloud: Cloud, body: bytes, sentence: str) -> None:
    answer = cloud.patch_raw(body)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "WKS.00129901")
    assert sentence in answer.json()["error_msg"]


def test_an_error_body_has_two_short_members(cloud: Cloud) -> None:
    body = cloud.patch_raw(b'{"' + b"n" * 1000 + b'": 1, "' + b"n" * 1000 + b'": 1}').json()

    assert list(body) == ["error_code", "error_msg"]
    assert len(body["error_msg"]) == 255


def test_the_example_of_the_page_changes_the_name_and_nothing_else(cloud: Cloud) -> None:
    before = cloud.show()

    cloud.patch({"name": "TEST"})

    after = cloud.show()
    assert {name for name in after if after[name] != before[name]} == {"name", "update_time"}
    assert after["update_time"] > before["update_time"]


def test_an_unknown_group_is_not_found(cloud: Cloud) -> None:
    answer = cloud.patch({"name": "TEST"}, group="7b1d2c52-0000-4c57-9a3b-2f8f6a1c9e10")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "WKS.00120404")


def test_a_group_of_another_project_is_not_found(cloud: Cloud) -> None:
    assert cloud.patch({"name": "TEST"}, project=OTHER_PROJECT).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "HEAD", "OPTIONS"])
def test_another_method_is_not_allowed(cloud: Cloud, method: str) -> None:
    answer = cloud.call(method, f"/v1/{PROJECT}/app-server-groups/{DESIGN_POOL}")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, PATCH")
    assert method == "HEAD" or answer.json()["error_code"] == "WKS.00000405"


def test_another_method_may_be_unknown_to_the_gateway(cloud: Cloud) -> None:
    cloud.switch(wrong_method="404")

    answer = cloud.call("PUT", f"/v1/{PROJECT}/app-server-groups")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "APIGW.0101")


def test_an_unknown_path_is_unknown_to_the_gateway(cloud: Cloud) -> None:
    answer = cloud.get(f"/v1/{PROJECT}/app-groups")

    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (404, "APIGW.0101")
    assert body["request_id"] == answer.headers["X-Request-Id"]


def test_a_body_over_12_mb_is_too_large(cloud: Cloud) -> None:
    answer = cloud.patch_raw(b" " * (12 * 1024 * 1024 + 1))

    assert (answer.status_code, answer.json()["error_code"]) == (413, "APIGW.0201")


class TestUnknownMembers:
    def test_are_ignored(self, cloud: Cloud) -> None:
        answer = cloud.patch({"name": "TEST", "is_vdi": True, "route_policy": {"max_session": 7, "extra": 1}})

        group = cloud.show()
        assert (answer.status_code, group["name"], group["is_vdi"]) == (200, "TEST", False)

    @pytest.mark.parametrize(
        ("body", "member"), [({"is_vdi": True}, "is_vdi"), ({"route_policy": {"x": 1}}, "route_policy.x")]
    )
    def test_may_be_refused(self, cloud: Cloud, body: Any, member: str) -> None:
        cloud.switch(unknown_members="refuse")

        answer = cloud.patch(body)

        assert (answer.status_code, f"{member} is not known" in answer.json()["error_msg"]) == (400, True)
        assert cloud.patch({"name": "TEST"}).status_code == 200


class TestEmptyPatch:
    def test_is_accepted_since_all_members_are_optional(self, cloud: Cloud) -> None:
        assert cloud.patch({}).status_code == 200

    def test_may_be_refused(self, cloud: Cloud) -> None:
        cloud.switch(empty_patch="refuse")

        assert cloud.patch({}).status_code == 400


class TestRoutePolicy:
    def test_is_merged(self, cloud: Cloud) -> None:
        cloud.patch({"route_policy": {"cpu_threshold": 60}})

        assert cloud.show()["route_policy"] == {
            "max_session": 6,
            "cpu_threshold": 60,
            "gpu_threshold": 75,
            "mem_threshold": 85,
        }

    def test_may_be_replaced(self, cloud: Cloud) -> None:
        cloud.switch(route_policy="replace")

        cloud.patch({"route_policy": {"cpu_threshold": 60}})

        assert cloud.show()["route_policy"] == {"cpu_threshold": 60}

    def test_only_multi_session_groups_have_it(self, cloud: Cloud) -> None:
        single = cloud.named("engineering-vdi")["id"]

        answer = cloud.patch({"route_policy": {"max_session": 2}}, group=single)

        assert (answer.status_code, "multi-session" in answer.json()["error_msg"]) == (400, True)

    def test_the_tenant_may_have_a_lower_ceiling(self, cloud: Cloud) -> None:
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

    def test_the_stored_image_type_counts(self, cloud: Cloud) -> None:
        assert cloud.patch({"image_product_id": ""}).status_code == 400
        assert cloud.patch({"image_product_id": "", "image_type": "public"}).status_code == 200

    def test_a_change_elsewhere_does_not_ask_for_the_product_id(self, cloud: Cloud) -> None:
        cloud.control("PUT", f"groups/{DESIGN_POOL}", {"image_product_id": ""})

        assert cloud.patch({"name": "TEST"}).status_code == 200

    def test_a_product_id_may_be_for_gold_only(self, cloud: Cloud) -> None:
        body = {"image_type": "private", "image_product_id": "00301"}

        accepted = cloud.patch(body).status_code
        cloud.switch(product_id_without_gold="refuse")

        assert (accepted, cloud.patch(body).status_code) == (200, 400)

    def test_a_known_image_brings_its_name_and_disk(self, cloud: Cloud) -> None:
        image = cloud.named("medical-imaging")["image_id"]

        cloud.patch({"image_id": image, "image_type": "shared", "system_disk_size": 100})

        group = cloud.show()
        assert (group["image_name"], group["image_min_disk"]) == ("partner-imaging-2026-07", 100)

    def test_an_unknown_image_may_be_refused(self, cloud: Cloud) -> None:
        accepted = cloud.patch({"image_id": "no-such-image"}).status_code
        cloud.switch(unknown_image="refuse")

        assert (accepted, cloud.patch({"image_id": "no-such-image"}).status_code) == (200, 400)

    def test_servers_keep_the_image_they_have(self, cloud: Cloud) -> None:
        cloud.patch({"image_id": "new-image"})

        servers = cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id=DESIGN_POOL).json()["items"]
        assert {server["image_id"] for server in servers} == {"c0a5e1f2-6b7d-4d0b-8a52-91f3d7e40b11"}


class TestSystemDisk:
    def test_is_not_below_the_minimum_of_the_image(self, cloud: Cloud) -> None:
        answer = cloud.patch({"system_disk_size": 59})

        assert (answer.status_code, "needs 60 GB" in answer.json()["error_msg"]) == (400, True)

    def test_a_new_image_may_need_a_larger_one(self, cloud: Cloud) -> None:
        image = cloud.named("marketing-studio")["image_id"]

        statuses = [cloud.patch({"image_id": image, **more}).status_code for more in ({}, {"system_disk_size": 100})]

        assert statuses == [400, 200]

    def test_may_go_down(self, cloud: Cloud) -> None:
        assert [cloud.patch({"system_disk_size": size}).status_code for size in (90, 80)] == [200, 200]

    def test_may_have_a_lower_maximum(self, cloud: Cloud) -> None:
        cloud.switch(system_disk_maximum="1024")

        assert [cloud.patch({"system_disk_size": size}).status_code for size in (1024, 1025)] == [200, 400]


class TestOu:
    @pytest.mark.parametrize(
        ("directory", "statuses"), [("by_project", [200, 400]), ("connected", [200, 200]), ("none", [400, 400])]
    )
    def test_needs_a_directory(self, cloud: Cloud, directory: str, statuses: list[int]) -> None:
        cloud.switch(directory=directory)
        other = cloud.named("office-za", OTHER_PROJECT)["id"]
        body = {"ou_name": "OU=Design"}

        first, second = cloud.patch(body), cloud.patch(body, group=other, project=OTHER_PROJECT)

        assert [first.status_code, second.status_code] == statuses

    def test_can_be_cleared_without_one(self, cloud: Cloud) -> None:
        cloud.switch(directory="none")

        assert cloud.patch({"ou_name": ""}).status_code == 200


class TestName:
    def test_is_unique_in_a_project(self, cloud: Cloud) -> None:
        answer = cloud.patch({"name": "finance-eu"})

        assert (answer.status_code, answer.json()["error_msg"]) == (
            400,
            "The server group name is already used: finance-eu",
        )

    def test_may_be_the_groups_own_or_one_of_another_project(self, cloud: Cloud) -> None:
        assert [cloud.patch({"name": name}).status_code for name in ("design-pool", "office-za")] == [200, 200]


class TestPrimaryAndStandby:
    def test_two_members_cascade_to_the_standby(self, cloud: Cloud) -> None:
        cloud.patch({"app_type": "SESSION_DESKTOP_APP", "storage_mount_policy": "USER", "description": "new"})

        standby = cloud.named("design-pool-standby")
        assert (standby["app_type"], standby["storage_mount_policy"]) == ("SESSION_DESKTOP_APP", "USER")
        assert standby["description"] == "Standby of design-pool"
        assert [(change["group"], change["request"]) for change in cloud.history()] == [
            (DESIGN_POOL, 1),
            (standby["id"], 1),
        ]

    def test_a_standby_may_be_patched_with_the_same_values(self, cloud: Cloud) -> None:
        standby = cloud.named("design-pool-standby")["id"]

        assert cloud.patch({"app_type": "COMMON_APP", "name": "spare"}, group=standby).status_code == 200

    def test_a_deviating_standby_is_refused(self, cloud: Cloud) -> None:
        standby = cloud.named("design-pool-standby")["id"]

        answer = cloud.patch({"storage_mount_policy": "USER"}, group=standby)

        assert (answer.status_code, "storage_mount_policy is ANY" in answer.json()["error_msg"]) == (400, True)

    def test_a_deviating_standby_may_be_accepted(self, cloud: Cloud) -> None:
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

    def test_keeps_the_sessions(self, cloud: Cloud) -> None:
        before = self.open_sessions(cloud)

        cloud.patch({"server_group_status": False})

        assert self.open_sessions(cloud) == before
        assert before["Active"] >= 1

    def test_may_disconnect_them(self, cloud: Cloud) -> None:
        before = self.open_sessions(cloud)
        cloud.switch(sessions_when_off="disconnect")

        cloud.patch({"server_group_status": False})

        assert self.open_sessions(cloud) == {"Disconnected": sum(before.values())}

    def test_may_sign_them_out(self, cloud: Cloud) -> None:
        cloud.switch(sessions_when_off="sign_out")

        cloud.patch({"server_group_status": False})

        servers = cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id=DESIGN_POOL).json()["items"]
        assert self.open_sessions(cloud) == {}
        assert [server["session_count"] for server in servers] == [0, 0, 0]


def test_the_time_of_change_may_stay(cloud: Cloud) -> None:
    before = cloud.show()
    cloud.switch(update_time="stays")

    cloud.patch({"name": "TEST"})

    assert cloud.show() == {**before, "name": "TEST"}
