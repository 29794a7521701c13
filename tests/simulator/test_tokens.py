"""The ready-made token, tokens that IAM issues, and the details of APIGW.0301."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import time_machine

from tests.simulator.conftest import OTHER_PROJECT, PROJECT, Cloud
from tests.simulator.signing import GROUPS, refusal, sign_in, with_token


class TestTokens:
    @pytest.mark.parametrize("project", [PROJECT, OTHER_PROJECT])
    def test_the_ready_made_token_is_valid_for_both_projects(self, cloud: Cloud, project: str) -> None:
        assert with_token(cloud, "simulator-token", f"/v1/{project}/app-server-groups").status_code == 200

    def test_a_request_without_a_token_is_refused(self, cloud: Cloud) -> None:
        response = requests.get(cloud.url + GROUPS, timeout=10)

        assert refusal(response) == (401, "APIGW.0301", "x-auth-token not found")

    def test_an_unknown_token_is_refused(self, cloud: Cloud) -> None:
        assert refusal(with_token(cloud, "guess")) == (401, "APIGW.0301", "decrypt token fail")

    @pytest.mark.parametrize("scope", [{"project": {"name": "ap-southeast-3"}}, {"project": {"id": PROJECT}}])
    def test_an_issued_token_is_valid_for_its_project_only(self, cloud: Cloud, scope: Any) -> None:
        token = sign_in(cloud, scope).headers["X-Subject-Token"]

        assert with_token(cloud, token).status_code == 200
        other = with_token(cloud, token, f"/v1/{OTHER_PROJECT}/app-server-groups")
        assert refusal(other) == (403, "APIGW.0310", "")

    @pytest.mark.parametrize(("choice", "code"), [("401", "APIGW.0301"), ("404", "APIGW.0101")])
    def test_a_switch_selects_the_response_to_a_wrong_project(self, cloud: Cloud, choice: str, code: str) -> None:
        cloud.switch(project_mismatch=choice)

        response = with_token(cloud, "simulator-token", "/v1/unknown/app-server-groups")

        assert refusal(response)[:2] == (int(choice), code)

    @pytest.mark.parametrize("scope", [None, {"domain": {"name": "example-corp"}}])
    def test_a_token_without_a_project_is_valid_for_no_project(self, cloud: Cloud, scope: Any) -> None:
        response = sign_in(cloud, scope)

        token = response.headers["X-Subject-Token"]
        assert "project" not in response.json()["token"]
        assert with_token(cloud, token).status_code == 403
        assert with_token(cloud, token, "/v2/cloudimages").status_code == 403

    def test_a_token_expires_after_24_hours(self, cloud: Cloud) -> None:
        response = sign_in(cloud, {"project": {"id": PROJECT}})
        token, times = response.headers["X-Subject-Token"], response.json()["token"]
        lifetime = datetime.fromisoformat(times["expires_at"]) - datetime.fromisoformat(times["issued_at"])

        with time_machine.travel(datetime.now(UTC) + timedelta(hours=23, minutes=59)):
            before = with_token(cloud, token).status_code
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=24, minutes=1)):
            after = with_token(cloud, token)

        assert timedelta(hours=23, minutes=59) < lifetime <= timedelta(hours=24)
        assert (before, refusal(after)[:2]) == (200, (401, "APIGW.0301"))
        assert refusal(after)[2] == f"token expires, expires_at: {times['expires_at']}"

    def test_older_tokens_stay_valid(self, cloud: Cloud) -> None:
        tokens = [sign_in(cloud, {"project": {"id": PROJECT}}).headers["X-Subject-Token"] for _ in range(2)]

        assert len(set(tokens)) == 2
        assert [with_token(cloud, token).status_code for token in tokens] == [200, 200]

    def test_a_control_expires_all_issued_tokens(self, cloud: Cloud) -> None:
        token = sign_in(cloud, {"project": {"id": PROJECT}}).headers["X-Subject-Token"]

        assert cloud.control("POST", "tokens/expire").status_code == 204

        assert with_token(cloud, token).status_code == 401
        assert with_token(cloud, "simulator-token").status_code == 200


class TestSigningIn:
    def test_a_sign_in_responds_with_201_and_a_document(self, cloud: Cloud) -> None:
        response = sign_in(cloud, {"project": {"name": "af-south-1"}})

        token = response.json()["token"]
        assert response.status_code == 201
        assert (token["methods"], token["user"]["name"]) == (["password"], "ops-bot")
        assert (token["project"]["id"], token["project"]["domain"]["name"]) == (OTHER_PROJECT, "example-corp")
        assert token["catalog"]

    def test_a_parameter_removes_the_catalogue(self, cloud: Cloud) -> None:
        user = {"name": "ops-bot", "password": "simulator", "domain": {"name": "example-corp"}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}

        response = cloud.call("POST", "/v3/auth/tokens?nocatalog=true", json=body)

        assert response.json()["token"]["catalog"] == []

    @pytest.mark.parametrize("wrong", [{"password": "guess"}, {"name": "someone"}, {"domain": {"name": "other-corp"}}])
    def test_a_wrong_password_is_refused(self, cloud: Cloud, wrong: Any) -> None:
        response = sign_in(cloud, {"project": {"id": PROJECT}}, **wrong)

        error = {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}
        assert (response.status_code, response.json()) == (401, {"error": error})

    def test_an_unknown_project_is_refused(self, cloud: Cloud) -> None:
        assert sign_in(cloud, {"project": {"name": "moon-1"}}).status_code == 401

    @pytest.mark.parametrize("body", [b"", b"{", b"{}", b'{"auth": {"identity": {"methods": ["token"]}}}'])
    def test_an_invalid_body_is_refused(self, cloud: Cloud, body: bytes) -> None:
        response = cloud.call("POST", "/v3/auth/tokens", data=body)

        assert (response.status_code, response.json()["error"]["title"]) == (400, "Bad Request")
        assert response.json()["error"]["message"].startswith("The request body is invalid")

    @pytest.mark.parametrize(("name", "found"), [("af-south-1", [OTHER_PROJECT]), ("moon-1", [])])
    def test_a_project_is_found_by_its_region(self, cloud: Cloud, name: str, found: list[str]) -> None:
        projects = cloud.get("/v3/projects", name=name).json()["projects"]

        assert [project["id"] for project in projects] == found

    def test_listing_projects_needs_a_credential(self, cloud: Cloud) -> None:
        response = with_token(cloud, "guess", "/v3/projects")

        assert (response.status_code, response.json()["error"]["title"]) == (401, "Unauthorized")
