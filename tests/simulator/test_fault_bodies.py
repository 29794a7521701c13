"""Faults in the body of a successful response."""

import gzip
import json

import pytest
import requests

from tests.simulator.conftest import DESIGN_POOL, Cloud
from tests.simulator.connections import GROUP, RawConnection, is_applied, set_fault


class TestBodies:
    @pytest.mark.parametrize(
        ("name", "text"),
        [("html", "<h1>"), ("empty", ""), ("not_json", "OK"), ("null", "null"), ("error_in_200", '"error_code"')],
    )
    @pytest.mark.parametrize("applied", [True, False])
    def test_the_body_of_a_200_is_replaced(self, cloud: Cloud, name: str, text: str, applied: bool) -> None:
        set_fault(cloud, name, applied=applied)

        response = cloud.patch({"name": "TEST"})

        assert (response.status_code, text in response.text) == (200, True)
        assert is_applied(cloud) == applied

    def raw(self, cloud: Cloud) -> bytes:
        return cloud.get(GROUP).content

    def test_the_json_ends_in_the_middle(self, cloud: Cloud) -> None:
        set_fault(cloud, "cut_json")

        with pytest.raises(json.JSONDecodeError):
            json.loads(self.raw(cloud))

    def test_a_member_is_repeated(self, cloud: Cloud) -> None:
        set_fault(cloud, "duplicate_keys")

        assert self.raw(cloud).startswith(b'{"id":"first","id":"' + DESIGN_POOL.encode())

    def test_the_null_of_a_patch_has_no_member_to_repeat(self, cloud: Cloud) -> None:
        set_fault(cloud, "duplicate_keys")

        assert cloud.patch({"name": "TEST"}).text == "null"

    def test_values_have_other_types(self, cloud: Cloud) -> None:
        set_fault(cloud, "wrong_types")

        group = cloud.show()

        assert (group["id"], group["name"], group["is_vdi"], group["system_disk_size"]) == (DESIGN_POOL, 11, "no", "80")
        assert (group["tags"], group["route_policy"]) == ({"0": "zero"}, ["not", "an", "object"])

    def test_enumerations_have_unknown_values(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "unknown_enums"})

        assert cloud.show()["storage_mount_policy"] == "BRAND_NEW"
        assert {group["app_type"] for group in cloud.groups().json()["items"]} == {"BRAND_NEW"}

    def test_the_named_member_is_missing(self, cloud: Cloud) -> None:
        set_fault(cloud, "missing_members", members=["name", "route_policy"])

        assert not {"name", "route_policy"} & set(cloud.show())

    def test_the_named_member_is_missing_only_where_the_path_matches(self, cloud: Cloud) -> None:
        match = {"method": "GET", "path": "*/app-server-groups/*"}
        cloud.faults({"fault": "missing_members", "members": ["server_group_status"], "match": match})

        shown = [cloud.show() for _ in range(3)]

        assert all("server_group_status" not in group for group in shown)
        assert all("server_group_status" in group for group in cloud.groups(limit=100).json()["items"])

    def test_the_named_nested_member_is_missing(self, cloud: Cloud) -> None:
        set_fault(cloud, "missing_members", members=["route_policy.cpu_threshold", "no.such.member"])

        assert set(cloud.show()["route_policy"]) == {"max_session", "gpu_threshold", "mem_threshold"}

    def test_the_id_is_missing_in_some_rows(self, cloud: Cloud) -> None:
        set_fault(cloud, "missing_members", members=["id"], rows=[0, 2])

        assert ["id" in item for item in cloud.groups(limit=4).json()["items"]] == [False, True, False, True]

    def test_the_named_members_have_other_types(self, cloud: Cloud) -> None:
        set_fault(cloud, "wrong_types", members=["route_policy.cpu_threshold", "server_group_status"])

        group = cloud.show()

        assert (group["server_group_status"], group["name"]) == ("yes", "design-pool")
        assert (group["route_policy"]["cpu_threshold"], group["route_policy"]["mem_threshold"]) == ("80", 85)

    def test_ids_contain_a_slash(self, cloud: Cloud) -> None:
        set_fault(cloud, "changed_values", rows=[1])

        items = cloud.groups(limit=3).json()["items"]

        assert [item["id"] == "a/b" for item in items] == [False, True, False]

    def test_members_have_other_values(self, cloud: Cloud) -> None:
        set_fault(cloud, "changed_values", values={"name": ["x"], "route_policy.max_session": -1, "unknown": 1})

        group = cloud.show()

        assert (group["name"], group["route_policy"]["max_session"], "unknown" in group) == (["x"], -1, False)

    def test_texts_contain_bidirectional_control_characters(self, cloud: Cloud) -> None:
        set_fault(cloud, "bidi_controls", members=["name"])

        assert cloud.show()["name"] == "\u202e\u202adesign-pool\u2066\u2067"

    def test_values_are_null(self, cloud: Cloud) -> None:
        set_fault(cloud, "null_members", members=["name", "tags"])

        group = cloud.show()

        assert (group["name"], group["tags"], group["id"]) == (None, None, DESIGN_POOL)

    def test_the_body_has_extra_members(self, cloud: Cloud) -> None:
        set_fault(cloud, "extra_members")

        assert {"x_new", "", "__proto__"} < set(cloud.show())

    def test_the_count_is_wrong(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "wrong_count", "by": -2})

        assert cloud.groups().json()["count"] == 40
        assert cloud.show()["name"] == "design-pool"

    def test_the_body_of_an_error_does_not_change(self, cloud: Cloud) -> None:
        set_fault(cloud, "extra_members")

        assert set(cloud.groups("/unknown").json()) == {"error_code", "error_msg"}

    def test_the_null_of_a_patch_does_not_change(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "wrong_types", "times": 1}, {"fault": "wrong_count", "times": 1})

        assert [cloud.patch({"name": name}).text for name in ("a", "b")] == ["null", "null"]

    def test_the_body_is_huge(self, cloud: Cloud) -> None:
        set_fault(cloud, "huge")

        raw = self.raw(cloud)

        assert len(raw) > 5_000_000
        assert json.loads(raw)["name"] == "design-pool"

    def test_the_body_is_a_gzip_bomb(self, cloud: Cloud) -> None:
        set_fault(cloud, "gzip_bomb", bytes=20_000_000)

        with cloud.call("GET", GROUP, stream=True) as response:
            packed = response.raw.read(decode_content=False)

        assert response.headers["Content-Encoding"] == "gzip"
        assert len(packed) < 50_000
        assert len(gzip.decompress(packed)) > 20_000_000

    def test_a_header_is_huge(self, cloud: Cloud) -> None:
        set_fault(cloud, "huge_header")

        with pytest.raises(requests.exceptions.ConnectionError):
            cloud.get(GROUP)

    def test_a_second_response_follows_the_body(self, cloud: Cloud) -> None:
        set_fault(cloud, "surplus_bytes")

        with RawConnection(cloud) as connection:
            connection.send()
            head, _, rest = connection.socket.recv(65536).partition(b"\r\n\r\n")

        assert (head.count(b"Content-Length"), b"Content-Length: 4" in head) == (1, True)
        assert rest.startswith(b"nullHTTP/1.1 200 OK")

    def test_the_body_is_wrongly_declared_as_gzip(self, cloud: Cloud) -> None:
        set_fault(cloud, "broken_gzip")

        with pytest.raises(requests.exceptions.ContentDecodingError):
            self.raw(cloud)

    def test_the_body_is_not_utf8(self, cloud: Cloud) -> None:
        set_fault(cloud, "bad_utf8")

        with pytest.raises(UnicodeDecodeError):
            self.raw(cloud).decode("utf-8")

    def test_the_body_is_wrongly_declared_as_html(self, cloud: Cloud) -> None:
        set_fault(cloud, "wrong_content_type")

        response = cloud.get(GROUP)

        assert (response.headers["Content-Type"], response.json()["id"]) == ("text/html", DESIGN_POOL)

    def test_the_body_is_nested_deeply(self, cloud: Cloud) -> None:
        set_fault(cloud, "deep_nesting")

        with pytest.raises(RecursionError):
            json.loads(self.raw(cloud))
