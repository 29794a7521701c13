"""The controls below /_simulator/."""

from typing import Any

import pytest
import requests
from werkzeug.test import Client

from dashboard.simulator.app import create_app
from dashboard.simulator.log import RequestLog
from tests.simulator.conftest import DESIGN_POOL, OTHER_PROJECT, PROJECT, Cloud


class TestRequestLog:
    def test_the_log_has_requests_to_the_cloud_but_not_to_controls(self, cloud: Cloud) -> None:
        cloud.show()
        cloud.patch({"name": "TEST"})
        cloud.get("/nowhere", a="1", b=["2", "3"])

        log = cloud.requests()

        assert [(entry["number"], entry["method"], entry["status"]) for entry in log] == [
            (1, "GET", 200),
            (2, "PATCH", 200),
            (3, "GET", 404),
        ]
        assert log[1]["path"] == f"/v1/{PROJECT}/app-server-groups/{DESIGN_POOL}"
        assert log[1]["body"] == {"name": "TEST"}
        assert (log[0]["body"], log[2]["query"]) == (None, {"a": "1", "b": ["2", "3"]})
        assert log[0]["time"].endswith("Z")

    def test_the_log_masks_tokens_keys_and_signatures(self, cloud: Cloud) -> None:
        headers = {
            "X-Security-Token": "canary",
            "Authorization": "canary",
            "X-Subject-Token": "canary",
            "Cookie": "canary",
        }

        cloud.call("GET", "/nowhere", headers=headers)

        log = cloud.control("GET", "requests")
        assert log.json()["requests"][0]["headers"]["X-Auth-Token"] == "***"
        assert "canary" not in log.text
        assert "simulator-token" not in log.text

    def test_the_log_masks_passwords_and_tokens_in_bodies(self, cloud: Cloud) -> None:
        identity = {"password": {"user": {"password": "canary"}}, "token": {"id": "canary"}}
        cloud.call("POST", "/v3/auth/tokens", json={"auth": {"identity": identity}, "list": [{"secret": "canary"}]})
        cloud.call("POST", "/v3/auth/tokens", data=b'{"password": "canary"')

        log = cloud.control("GET", "requests")
        assert "canary" not in log.text
        assert log.json()["requests"][1]["body"] == "***"

    def test_the_log_shows_a_body_that_is_not_json_as_text(self, cloud: Cloud) -> None:
        cloud.patch_raw(b"name=\xff")

        assert cloud.requests()[0]["body"] == "name=\N{REPLACEMENT CHARACTER}"

    def test_the_numbers_continue_after_the_log_is_cleared(self, cloud: Cloud) -> None:
        cloud.show()

        assert cloud.control("DELETE", "requests").status_code == 204
        cloud.show()

        assert [entry["number"] for entry in cloud.requests()] == [2]

    def test_the_log_removes_the_oldest_entries_first(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dashboard.simulator.log.MOST_ENTRIES", 2)
        for _ in range(3):
            cloud.show()

        assert [entry["number"] for entry in cloud.requests()] == [2, 3]


def test_a_response_to_a_cleared_request_is_not_an_error() -> None:
    log = RequestLog()

    log.responded(1, 200)

    assert log.documents() == []


class TestGroups:
    def test_a_control_shows_a_group_of_each_project(self, cloud: Cloud) -> None:
        assert cloud.control("GET", f"groups/{DESIGN_POOL}").json()["name"] == "design-pool"

    def test_a_control_changes_a_group_without_checks(self, cloud: Cloud) -> None:
        response = cloud.control("PUT", f"groups/{DESIGN_POOL}", {"name": "two words", "new": [1]})

        group = cloud.show()
        assert (response.json()["name"], group["name"], group["new"]) == ("two words", "two words", [1])
        assert [change["request"] for change in cloud.history()] == [None]

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_an_unknown_group_is_not_found(self, cloud: Cloud, method: str) -> None:
        response = cloud.control(method, "groups/unknown", {})

        assert (response.status_code, response.json()) == (404, {"error": "There is no group unknown."})

    @pytest.mark.parametrize("body", [[], "text", 5])
    def test_refuses_a_change_that_is_not_an_object(self, cloud: Cloud, body: Any) -> None:
        response = cloud.control("PUT", f"groups/{DESIGN_POOL}", body)

        assert (response.status_code, response.json()) == (400, {"error": "The body must be a JSON object."})

    def test_a_control_adds_a_group_with_given_members(self, cloud: Cloud) -> None:
        response = cloud.control("POST", "groups", {"name": "new", "system_disk_size": 7})

        added = response.json()
        assert (response.status_code, added["name"], added["system_disk_size"]) == (201, "new", 7)
        assert cloud.show(added["id"])["name"] == "new"
        assert cloud.groups(offset=42).json()["items"][0]["id"] == added["id"]
        servers = cloud.get(f"/v1/{PROJECT}/app-servers", server_group_id=added["id"]).json()
        assert servers["count"] == added["app_server_count"]

    def test_a_control_adds_a_group_to_another_project(self, cloud: Cloud) -> None:
        added = cloud.control("POST", "groups", {"project_id": OTHER_PROJECT}).json()

        assert cloud.groups(f"/{added['id']}", project=OTHER_PROJECT).json()["id"] == added["id"]
        assert "project_id" not in added

    def test_a_control_removes_a_group(self, cloud: Cloud) -> None:
        first, second = (cloud.groups().json()["items"][place]["id"] for place in (0, 1))
        before = cloud.control("GET", f"groups/{first}").json()

        assert cloud.control("DELETE", f"groups/{first}").status_code == 204

        assert cloud.groups(f"/{first}").status_code == 404
        assert (cloud.groups().json()["count"], cloud.groups().json()["items"][0]["id"]) == (41, second)
        assert [(change["before"], change["after"]) for change in cloud.history()] == [(before, None)]
        assert cloud.control("DELETE", f"groups/{first}").status_code == 404

    def test_a_removed_group_can_be_added_again(self, cloud: Cloud) -> None:
        cloud.control("DELETE", f"groups/{DESIGN_POOL}")

        again = cloud.control("POST", "groups", {"id": DESIGN_POOL, "name": "design-pool"})

        assert (again.status_code, again.json()["id"], cloud.show()["name"]) == (201, DESIGN_POOL, "design-pool")
        assert cloud.groups().json()["count"] == 42

    def test_a_control_accepts_ids_with_slashes(self, cloud: Cloud) -> None:
        cloud.control("POST", "groups", {"id": "a/b ?"})

        assert cloud.control("GET", "groups/a%2Fb%20%3F").json()["id"] == "a/b ?"
        assert cloud.control("DELETE", "groups/a%2Fb%20%3F").status_code == 204

    @pytest.mark.parametrize(
        ("body", "status", "error"),
        [
            ({"id": DESIGN_POOL}, 409, f"There is a group {DESIGN_POOL} already."),
            ({"id": 5}, 400, "The id must be a text."),
            ([], 400, "The body must be a JSON object."),
            ({"project_id": "p"}, 404, f"There is no project p. There are {PROJECT}, {OTHER_PROJECT}."),
        ],
    )
    def test_refuses_a_group_that_cannot_be_added(self, cloud: Cloud, body: Any, status: int, error: str) -> None:
        response = cloud.control("POST", "groups", body)

        assert (response.status_code, response.json()) == (status, {"error": error})

    def test_stale_reads_show_the_list_before_groups_came_and_went(self, cloud: Cloud) -> None:
        before = cloud.groups(limit=100).json()
        cloud.control("DELETE", f"groups/{before['items'][4]['id']}")
        cloud.control("POST", "groups")

        cloud.faults({"fault": "stale_reads", "seconds": 60})

        assert cloud.groups(limit=100).json() == before


class TestLife:
    def test_life_is_off_at_first(self, cloud: Cloud) -> None:
        shown = cloud.control("GET", "life").json()

        assert (shown["is_on"], shown["is_clock_stopped"]) == (False, False)

    def test_a_control_stops_the_clock_and_lets_it_go_on(self, cloud: Cloud) -> None:
        stopped = cloud.control("PUT", "life", {"is_on": True, "now": "2026-10-14T10:42:07+02:00"})
        switched_off = cloud.control("PUT", "life", {"is_on": False})
        released = cloud.control("PUT", "life", {"now": None}).json()

        assert stopped.json() == {"is_on": True, "now": "2026-10-14T08:42:07.000Z", "is_clock_stopped": True}
        assert switched_off.json() == {**stopped.json(), "is_on": False}
        assert (released["is_on"], released["is_clock_stopped"]) == (False, False)

    @pytest.mark.parametrize(
        "body", [{"is_on": 1}, {"now": 5}, {"now": "soon"}, {"now": "2026-10-14T10:42:07"}, [], "on"]
    )
    def test_refuses_invalid_settings(self, cloud: Cloud, body: Any) -> None:
        assert cloud.control("PUT", "life", body).status_code == 400
        assert cloud.control("GET", "life").json()["is_on"] is False

    def test_reset_ends_life(self, cloud: Cloud) -> None:
        cloud.control("PUT", "life", {"is_on": True, "now": "2026-10-14T10:42:07Z"})
        cloud.control("POST", "reset")

        shown = cloud.control("GET", "life").json()
        assert (shown["is_on"], shown["is_clock_stopped"]) == (False, False)


def test_the_history_has_every_applied_change(cloud: Cloud) -> None:
    cloud.patch({"name": "TEST"})
    cloud.patch({"name": "two words"})
    cloud.control("PUT", f"groups/{DESIGN_POOL}", {"name": "other"})

    history = cloud.history()

    assert [(change["number"], change["request"]) for change in history] == [(1, 1), (2, None)]
    assert [(change["before"]["name"], change["after"]["name"]) for change in history] == [
        ("design-pool", "TEST"),
        ("TEST", "other"),
    ]
    assert {(change["project"], change["group"]) for change in history} == {(PROJECT, DESIGN_POOL)}


class TestSwitches:
    def test_a_control_shows_the_question_and_values_of_each_switch(self, cloud: Cloud) -> None:
        switch = cloud.control("GET", "switches").json()["switches"]["route_policy"]

        assert (switch["value"], switch["values"]) == ("merge", ["merge", "replace"])
        assert "1.2" in switch["question"]

    def test_a_control_sets_one_switch(self, cloud: Cloud) -> None:
        cloud.switch(route_policy="replace")
        cloud.switch(name_match="exact")

        switches = cloud.control("GET", "switches").json()["switches"]
        assert (switches["route_policy"]["value"], switches["name_match"]["value"]) == ("replace", "exact")

    @pytest.mark.parametrize(
        ("body", "sentence"),
        [
            ({"colour": "red"}, "There is no switch colour."),
            ({"route_policy": "both"}, "route_policy must be one of merge, replace."),
            ({"route_policy": ["merge"]}, "route_policy must be one of merge, replace."),
            ([], "The body must be a JSON object."),
        ],
    )
    def test_a_control_refuses_unknown_switches_and_values(self, cloud: Cloud, body: Any, sentence: str) -> None:
        response = cloud.control("PUT", "switches", body)

        assert (response.status_code, response.json()["error"][: len(sentence)]) == (400, sentence)


class TestPermissions:
    def test_a_control_replaces_all_removed_actions(self, cloud: Cloud) -> None:
        cloud.control("PUT", "permissions/ops-bot", {"taken": ["b", "a"]})
        response = cloud.control("PUT", "permissions/ops-bot", {"taken": ["c"]})

        assert response.json() == cloud.control("GET", "permissions/ops-bot").json() == {"taken": ["c"]}

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_an_unknown_credential_is_not_found(self, cloud: Cloud, method: str) -> None:
        response = cloud.control(method, "permissions/nobody", {"taken": []})

        assert (response.status_code, "simulator-token" in response.json()["error"]) == (404, True)

    @pytest.mark.parametrize("body", [{}, {"taken": "all"}, {"taken": [1]}])
    def test_a_control_refuses_a_body_that_is_not_a_list_of_actions(self, cloud: Cloud, body: Any) -> None:
        assert cloud.control("PUT", "permissions/ops-bot", body).status_code == 400


def test_reset_restores_the_initial_state(cloud: Cloud) -> None:
    before = cloud.show()
    cloud.patch({"name": "TEST"})
    cloud.switch(route_policy="replace")
    cloud.control("PUT", "permissions/simulator-token", {"taken": ["workspace:serverGroup:get"]})
    cloud.faults({"fault": "unavailable"})

    cloud.control("POST", "reset")

    assert (cloud.requests(), cloud.history()) == ([], [])
    assert cloud.control("GET", "faults").json() == {"faults": []}
    assert cloud.control("GET", "switches").json()["switches"]["route_policy"]["value"] == "merge"
    assert cloud.show() == before
    assert cloud.requests()[0]["number"] == 1


def test_reset_expires_issued_tokens(cloud: Cloud) -> None:
    user = {"name": "ops-bot", "password": "simulator", "domain": {"name": "example-corp"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": PROJECT}}}}
    token = cloud.call("POST", "/v3/auth/tokens", json=body).headers["X-Subject-Token"]

    cloud.control("POST", "reset")

    response = cloud.call("GET", f"/v1/{PROJECT}/app-server-groups", headers={"X-Auth-Token": token})
    assert response.status_code == 401


def test_the_root_lists_all_controls(cloud: Cloud) -> None:
    controls = cloud.control("GET", "").json()["controls"]

    assert {"GET /_simulator/requests", "PUT /_simulator/faults", "POST /_simulator/reset"} < set(controls)


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "secrets", 404, "There is no such control."),
        ("PATCH", "faults", 405, "Use GET or PUT."),
        ("GET", "reset", 405, "Use POST."),
    ],
)
def test_an_error_explains_the_control(cloud: Cloud, method: str, path: str, status: int, error: str) -> None:
    response = cloud.control(method, path)

    assert (response.status_code, response.json()) == (status, {"error": error})


def test_a_control_refuses_a_body_that_is_not_json(cloud: Cloud) -> None:
    response = requests.put(f"{cloud.url}/_simulator/faults", data=b"[", timeout=10)

    assert (response.status_code, "not JSON" in response.json()["error"]) == (400, True)


@pytest.mark.parametrize(("peer", "status"), [("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 403), ("", 403)])
def test_controls_accept_requests_only_from_this_machine(peer: str, status: int) -> None:
    response = Client(create_app()).get("/_simulator/requests", environ_overrides={"REMOTE_ADDR": peer})

    assert response.status_code == status
