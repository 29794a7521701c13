"""The six tag operations: idempotent, without repeated keys, at most 20 tags."""

from typing import Any

import pytest
import requests

from tests.simulator.conftest import DESIGN_POOL, PROJECT, Cloud

ONE = f"/v1/{PROJECT}/server-group/{DESIGN_POOL}/tags"
MANY = f"/v1/{PROJECT}/server-group/tags"


def create(cloud: Cloud, *tags: Any) -> requests.Response:
    return cloud.call("POST", f"{ONE}/create", json={"tags": list(tags)})


def delete(cloud: Cloud, *tags: Any) -> requests.Response:
    return cloud.call("DELETE", f"{ONE}/delete", json={"tags": list(tags)})


def stored(cloud: Cloud) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in cloud.get(ONE).json()["tags"]}


def test_creating_tags_adds_and_overwrites(cloud: Cloud) -> None:
    response = create(cloud, {"key": "team", "value": "cad"}, {"key": "floor"})

    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Length" not in response.headers
    assert stored(cloud) == {"team": "cad", "floor": ""}


def test_creating_a_tag_twice_has_the_same_result(cloud: Cloud) -> None:
    statuses = [create(cloud, {"key": "a", "value": "1"}).status_code for _ in range(2)]

    assert (statuses, stored(cloud)) == ([204, 204], {"team": "design", "a": "1"})


def test_deleting_an_absent_tag_succeeds(cloud: Cloud) -> None:
    assert [delete(cloud, {"key": key}).status_code for key in ("team", "team", "$odd characters$")] == [204] * 3
    assert stored(cloud) == {}


@pytest.mark.parametrize(
    "tag",
    [
        {"key": ""},
        {"key": "k" * 129},
        {"key": "_sys_internal"},
        {"key": "ends in a space "},
        {"key": "semi;colon"},
        {"key": "slash/"},
        {"key": 1},
        {"value": "no key"},
        {"key": "a", "value": "v" * 256},
        {"key": "a", "value": "<b>"},
        {"key": "a", "value": None},
        "a=b",
    ],
)
def test_refuses_a_tag_outside_its_limits(cloud: Cloud, tag: Any) -> None:
    response = create(cloud, tag)

    assert (response.status_code, response.json()["error_code"]) == (400, "WKS.00211102")
    assert stored(cloud) == {"team": "design"}


@pytest.mark.parametrize("tag", [{"key": "k" * 128, "value": "v" * 255}, {"key": "Größe _.:=+-@", "value": "研发/x y"}])
def test_accepts_a_tag_within_its_limits(cloud: Cloud, tag: Any) -> None:
    assert create(cloud, tag).status_code == 204
    assert stored(cloud)[tag["key"]] == tag["value"]


def test_refuses_a_repeated_key(cloud: Cloud) -> None:
    response = create(cloud, {"key": "a", "value": "1"}, {"key": "a", "value": "2"})

    assert (response.status_code, "repeated" in response.json()["error_msg"]) == (400, True)


def test_a_group_has_at_most_20_tags(cloud: Cloud) -> None:
    tags = [{"key": f"k{number}", "value": ""} for number in range(20)]

    assert create(cloud, *tags[:19]).status_code == 204
    assert create(cloud, tags[19]).status_code == 400
    assert create(cloud, *tags, {"key": "k20"}).status_code == 400


@pytest.mark.parametrize("body", [{}, {"tags": [{"key": ""}]}, {"tags": None}])
def test_deleting_tags_needs_their_keys(cloud: Cloud, body: Any) -> None:
    assert cloud.call("DELETE", f"{ONE}/delete", json=body).status_code == 400


def test_lists_all_keys_of_the_project_with_their_values(cloud: Cloud) -> None:
    create(cloud, {"key": "site", "value": "madrid"}, {"key": "site2"})

    tags = {tag["key"]: tag["values"] for tag in cloud.get(MANY).json()["tags"]}

    assert tags["team"] == ["design", "finance", "service", "hr", "qa"]
    assert tags["site"].count("madrid") == 1
    assert tags["site2"] == [""]


class TestManyGroups:
    def items(self, cloud: Cloud, *names: str) -> list[Any]:
        return [{"server_group_id": cloud.named(name)["id"], "tags": [{"key": "new", "value": "1"}]} for name in names]

    def test_a_batch_adds_and_deletes_tags_of_many_groups(self, cloud: Cloud) -> None:
        body = {"items": self.items(cloud, "design-pool", "training-lab")}

        created = cloud.call("POST", f"{MANY}/batch-create", json=body)
        with_tag = cloud.groups(tags="new=1").json()["count"]
        deleted = cloud.call("DELETE", f"{MANY}/batch-delete", json=body)

        assert (created.status_code, with_tag, deleted.status_code) == (204, 2, 204)
        assert cloud.groups(tags="new=1").json()["count"] == 0

    def test_a_repeated_group_gets_all_its_tags(self, cloud: Cloud) -> None:
        items = [{"server_group_id": DESIGN_POOL, "tags": [{"key": key}]} for key in ("a", "b")]

        cloud.call("POST", f"{MANY}/batch-create", json={"items": items})

        assert set(stored(cloud)) == {"team", "a", "b"}

    def test_a_batch_with_an_unknown_group_is_not_applied(self, cloud: Cloud) -> None:
        items = [*self.items(cloud, "design-pool"), {"server_group_id": "unknown", "tags": []}]

        response = cloud.call("POST", f"{MANY}/batch-create", json={"items": items})

        assert (response.status_code, stored(cloud)) == (404, {"team": "design"})

    @pytest.mark.parametrize("count", [0, 101])
    def test_a_batch_has_1_to_100_groups(self, cloud: Cloud, count: int) -> None:
        items = [{"server_group_id": DESIGN_POOL, "tags": []}] * count

        assert cloud.call("POST", f"{MANY}/batch-create", json={"items": items}).status_code == 400


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/create"), ("DELETE", "/delete")])
def test_an_unknown_group_is_not_found(cloud: Cloud, method: str, path: str) -> None:
    response = cloud.call(method, f"/v1/{PROJECT}/server-group/unknown/tags{path}", json={"tags": []})

    assert response.status_code == 404
