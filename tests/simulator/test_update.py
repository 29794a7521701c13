"""UpdateServerGroup: values at and beyond the limits of tables 3 and 4 of the API page."""

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
    response = cloud.patch({member: value})

    assert (response.status_code, response.text) == (200, "null")
    assert response.headers["Content-Type"] == "application/json"
    assert len(response.headers["X-Request-Id"]) == 32
    assert cloud.show()[member] == value


@pytest.mark.parametrize(("member", "value"), REFUSED)
def test_refuses_a_value_outside_its_limits(cloud: Cloud, member: str, value: Any) -> None:
    before = cloud.show()

    response = cloud.patch({member: value})

    assert (response.status_code, response.json()["error_code"]) == (400, "WKS.00129901")
    assert member in response.json()["error_msg"]
    assert cloud.show() == before
    assert cloud.history() == []


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_threshold_has_a_minimum_and_a_maximum(cloud: Cloud, threshold: str) -> None:
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
        (b'{"system_disk_size": 1' + b"0" * 5000 + b"}", "number that is too long"),
        (rb'{"description": "\ud83d"}', "half of a surrogate pair"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_refuses_a_body_that_is_not_a_strict_json_object(cloud: Cloud, body: bytes, sentence: str) -> None:
    response = cloud.patch_raw(body)

    assert (response.status_code, response.json()["error_code"]) == (400, "WKS.00129901")
    assert sentence in response.json()["error_msg"]


def test_a_switch_selects_the_code_of_a_patch_without_a_body(cloud: Cloud) -> None:
    cloud.switch(no_body="WKS.0001")

    codes = [cloud.patch_raw(body).json()["error_code"] for body in (b"", b"null")]

    assert codes == ["WKS.0001", "WKS.00129901"]


def test_a_complete_surrogate_pair_is_a_character(cloud: Cloud) -> None:
    assert cloud.patch_raw(rb'{"description": "\ud83d\ude00"}').status_code == 200
    assert cloud.show()["description"] == "\N{GRINNING FACE}"


def test_an_error_body_has_two_short_members(cloud: Cloud) -> None:
    body = cloud.patch_raw(b'{"' + b"n" * 1000 + b'": 1, "' + b"n" * 1000 + b'": 1}').json()

    assert list(body) == ["error_code", "error_msg"]
    assert len(body["error_msg"]) == 255


def test_the_example_of_the_api_page_changes_only_the_name(cloud: Cloud) -> None:
    before = cloud.show()

    cloud.patch({"name": "TEST"})

    after = cloud.show()
    assert {name for name in after if after[name] != before[name]} == {"name", "update_time"}
    assert after["update_time"] > before["update_time"]


def test_an_unknown_group_is_not_found(cloud: Cloud) -> None:
    response = cloud.patch({"name": "TEST"}, group="7b1d2c52-0000-4c57-9a3b-2f8f6a1c9e10")

    assert (response.status_code, response.json()["error_code"]) == (404, "WKS.00120404")


def test_a_group_of_another_project_is_not_found(cloud: Cloud) -> None:
    assert cloud.patch({"name": "TEST"}, project=OTHER_PROJECT).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "HEAD", "OPTIONS"])
def test_another_method_is_not_allowed(cloud: Cloud, method: str) -> None:
    response = cloud.call(method, f"/v1/{PROJECT}/app-server-groups/{DESIGN_POOL}")

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, PATCH")
    assert method == "HEAD" or response.json()["error_code"] == "WKS.00000405"


def test_a_switch_makes_another_method_unknown_to_the_gateway(cloud: Cloud) -> None:
    cloud.switch(wrong_method="404")

    response = cloud.call("PUT", f"/v1/{PROJECT}/app-server-groups")

    assert (response.status_code, response.json()["error_code"]) == (404, "APIGW.0101")


def test_an_unknown_path_is_unknown_to_the_gateway(cloud: Cloud) -> None:
    response = cloud.get(f"/v1/{PROJECT}/app-groups")

    body = response.json()
    assert (response.status_code, body["error_code"]) == (404, "APIGW.0101")
    assert body["request_id"] == response.headers["X-Request-Id"]


def test_a_body_over_12_mb_is_too_large(cloud: Cloud) -> None:
    response = cloud.patch_raw(b" " * (12 * 1024 * 1024 + 1))

    assert (response.status_code, response.json()["error_code"]) == (413, "APIGW.0201")
