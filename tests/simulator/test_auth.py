"""Who is let in: tokens, signatures and IAM actions, with the details of APIGW.0301 that the reference lists."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import requests
import time_machine

from tests.simulator.conftest import DESIGN_POOL, OTHER_PROJECT, PROJECT, Cloud

GROUPS = f"/v1/{PROJECT}/app-server-groups"
GROUP = f"{GROUPS}/{DESIGN_POOL}"
ACCESS, SECRET = "SIMULATORACCESSKEY01", "simulator-secret-key-01"


def sign(request: requests.PreparedRequest, access: str, secret: str, **headers: str) -> None:
    """The algorithm as the reference describes it, written once more so that two readings are compared."""
    url = urlsplit(str(request.url))
    signed = {"host": url.netloc, "x-sdk-date": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), **headers}
    query = sorted(parse_qsl(url.query, keep_blank_values=True))
    body = request.body or b""
    canonical = "\n".join(
        [
            str(request.method),
            quote(url.path, safe="/~%") + "/",
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query),
            "".join(f"{name}:{signed[name]}\n" for name in sorted(signed)),
            ";".join(sorted(signed)),
            hashlib.sha256(body if isinstance(body, bytes) else body.encode()).hexdigest(),
        ]
    )
    to_sign = f"SDK-HMAC-SHA256\n{signed['x-sdk-date']}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    request.headers.update(signed)
    names = ";".join(sorted(signed))
    request.headers["Authorization"] = f"SDK-HMAC-SHA256 Access={access}, SignedHeaders={names}, Signature={signature}"


def signed_call(
    cloud: Cloud,
    method: str = "GET",
    path: str = GROUPS,
    *,
    keys: tuple[str, str] = (ACCESS, SECRET),
    spoil: Callable[[requests.PreparedRequest], None] | None = None,
    json: Any = None,
    headers: dict[str, str] | None = None,
) -> requests.Response:
    request = requests.Request(method, cloud.url + path, json=json).prepare()
    sign(request, *keys, **(headers or {}))
    if spoil:
        spoil(request)
    return cloud.session.send(request, timeout=10)


def refusal(answer: requests.Response) -> tuple[int, str, str]:
    body = answer.json()
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return answer.status_code, body["error_code"], body["error_msg"].partition(": ")[2]


def sign_in(cloud: Cloud, scope: Any = None, **user: Any) -> requests.Response:
    person = {"name": "ops-bot", "password": "simulator", "domain": {"name": "example-corp"}, **user}
    auth = {"identity": {"methods": ["password"], "password": {"user": person}}}
    if scope is not None:
        auth["scope"] = scope
    return cloud.call("POST", "/v3/auth/tokens", json={"auth": auth}, headers={"X-Auth-Token": ""})


def with_token(cloud: Cloud, token: str, path: str = GROUPS) -> requests.Response:
    return cloud.call("GET", path, headers={"X-Auth-Token": token})


class TestTokens:
    @pytest.mark.parametrize("project", [PROJECT, OTHER_PROJECT])
    def test_the_ready_made_one_opens_both_projects(self, cloud: Cloud, project: str) -> None:
        assert with_token(cloud, "simulator-token", f"/v1/{project}/app-server-groups").status_code == 200

    def test_none_at_all(self, cloud: Cloud) -> None:
        answer = requests.get(cloud.url + GROUPS, timeout=10)

        assert refusal(answer) == (401, "APIGW.0301", "x-auth-token not found")

    def test_an_unknown_one(self, cloud: Cloud) -> None:
        assert refusal(with_token(cloud, "guess")) == (401, "APIGW.0301", "decrypt token fail")

    @pytest.mark.parametrize("scope", [{"project": {"name": "ap-southeast-3"}}, {"project": {"id": PROJECT}}])
    def test_an_issued_one_opens_its_project_only(self, cloud: Cloud, scope: Any) -> None:
        token = sign_in(cloud, scope).headers["X-Subject-Token"]

        assert with_token(cloud, token).status_code == 200
        other = with_token(cloud, token, f"/v1/{OTHER_PROJECT}/app-server-groups")
        assert refusal(other) == (403, "APIGW.0310", "")

    @pytest.mark.parametrize(("choice", "code"), [("401", "APIGW.0301"), ("404", "APIGW.0101")])
    def test_a_wrong_project_may_be_answered_otherwise(self, cloud: Cloud, choice: str, code: str) -> None:
        cloud.switch(project_mismatch=choice)

        answer = with_token(cloud, "simulator-token", "/v1/unknown/app-server-groups")

        assert refusal(answer)[:2] == (int(choice), code)

    @pytest.mark.parametrize("scope", [None, {"domain": {"name": "example-corp"}}])
    def test_one_without_a_project_opens_none(self, cloud: Cloud, scope: Any) -> None:
        answer = sign_in(cloud, scope)

        token = answer.headers["X-Subject-Token"]
        assert "project" not in answer.json()["token"]
        assert with_token(cloud, token).status_code == 403
        assert with_token(cloud, token, "/v2/cloudimages").status_code == 403

    def test_lives_24_hours(self, cloud: Cloud) -> None:
        answer = sign_in(cloud, {"project": {"id": PROJECT}})
        token, times = answer.headers["X-Subject-Token"], answer.json()["token"]
        lifetime = datetime.fromisoformat(times["expires_at"]) - datetime.fromisoformat(times["issued_at"])

        with time_machine.travel(datetime.now(UTC) + timedelta(hours=23, minutes=59)):
            before = with_token(cloud, token).status_code
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=24, minutes=1)):
            after = with_token(cloud, token)

        assert timedelta(hours=23, minutes=59) < lifetime <= timedelta(hours=24)
        assert (before, refusal(after)[:2]) == (200, (401, "APIGW.0301"))
        assert refusal(after)[2] == f"token expires, expires_at: {times['expires_at']}"

    def test_a_new_one_leaves_older_ones_valid(self, cloud: Cloud) -> None:
        tokens = [sign_in(cloud, {"project": {"id": PROJECT}}).headers["X-Subject-Token"] for _ in range(2)]

        assert len(set(tokens)) == 2
        assert [with_token(cloud, token).status_code for token in tokens] == [200, 200]

    def test_all_issued_ones_can_be_ended(self, cloud: Cloud) -> None:
        token = sign_in(cloud, {"project": {"id": PROJECT}}).headers["X-Subject-Token"]

        assert cloud.control("POST", "tokens/expire").status_code == 204

        assert with_token(cloud, token).status_code == 401
        assert with_token(cloud, "simulator-token").status_code == 200


class TestSigningIn:
    def test_answers_201_with_a_document(self, cloud: Cloud) -> None:
        answer = sign_in(cloud, {"project": {"name": "af-south-1"}})

        token = answer.json()["token"]
        assert answer.status_code == 201
        assert (token["methods"], token["user"]["name"]) == (["password"], "ops-bot")
        assert (token["project"]["id"], token["project"]["domain"]["name"]) == (OTHER_PROJECT, "example-corp")
        assert token["catalog"]

    def test_can_leave_the_catalogue_out(self, cloud: Cloud) -> None:
        user = {"name": "ops-bot", "password": "simulator", "domain": {"name": "example-corp"}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}

        answer = cloud.call("POST", "/v3/auth/tokens?nocatalog=true", json=body)

        assert answer.json()["token"]["catalog"] == []

    @pytest.mark.parametrize("wrong", [{"password": "guess"}, {"name": "someone"}, {"domain": {"name": "other-corp"}}])
    def test_refuses_a_wrong_password(self, cloud: Cloud, wrong: Any) -> None:
        answer = sign_in(cloud, {"project": {"id": PROJECT}}, **wrong)

        error = {"code": 401, "message": "The username or password is wrong.", "title": "Unauthorized"}
        assert (answer.status_code, answer.json()) == (401, {"error": error})

    def test_refuses_an_unknown_project(self, cloud: Cloud) -> None:
        assert sign_in(cloud, {"project": {"name": "moon-1"}}).status_code == 401

    @pytest.mark.parametrize("body", [b"", b"{", b"{}", b'{"auth": {"identity": {"methods": ["token"]}}}'])
    def test_refuses_a_bad_body(self, cloud: Cloud, body: bytes) -> None:
        answer = cloud.call("POST", "/v3/auth/tokens", data=body)

        assert (answer.status_code, answer.json()["error"]["title"]) == (400, "Bad Request")
        assert answer.json()["error"]["message"].startswith("The request body is invalid")

    @pytest.mark.parametrize(("name", "found"), [("af-south-1", [OTHER_PROJECT]), ("moon-1", [])])
    def test_a_project_is_found_by_its_region(self, cloud: Cloud, name: str, found: list[str]) -> None:
        projects = cloud.get("/v3/projects", name=name).json()["projects"]

        assert [project["id"] for project in projects] == found

    def test_projects_are_not_for_strangers(self, cloud: Cloud) -> None:
        answer = with_token(cloud, "guess", "/v3/projects")

        assert (answer.status_code, answer.json()["error"]["title"]) == (401, "Unauthorized")


class TestSignatures:
    def test_a_read_is_let_in(self, cloud: Cloud) -> None:
        assert signed_call(cloud).status_code == 200

    def test_a_query_in_any_order_and_a_body_are_signed(self, cloud: Cloud) -> None:
        listed = signed_call(cloud, path=f"{GROUPS}?server_group_name=%E7%A0%94%E5%8F%91&limit=5&app_type=")
        patched = signed_call(cloud, "PATCH", GROUP, json={"description": "ünïcode"})

        assert [item["name"] for item in listed.json()["items"]] == ["研发设计组"]
        assert patched.status_code == 200
        assert cloud.show()["description"] == "ünïcode"

    def test_a_wrong_secret(self, cloud: Cloud) -> None:
        answer = signed_call(cloud, keys=(ACCESS, "guess"))

        assert refusal(answer) == (401, "APIGW.0301", "verify aksk signature fail")

    def test_an_unknown_key(self, cloud: Cloud) -> None:
        answer = signed_call(cloud, keys=("NOBODY", SECRET))

        assert refusal(answer) == (401, "APIGW.0301", "ak NOBODY not exist")

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda request: setattr(request, "body", b'{"name": "no-you"}'),
            lambda request: setattr(request, "url", request.url + "?limit=1"),
            lambda request: request.headers.update({"x-project-id": OTHER_PROJECT}),
        ],
        ids=["body", "query", "header"],
    )
    def test_what_changes_after_signing(self, cloud: Cloud, spoil: Callable[[requests.PreparedRequest], None]) -> None:
        headers = {"x-project-id": PROJECT}
        answer = signed_call(cloud, "PATCH", GROUP, json={"name": "no-one"}, spoil=spoil, headers=headers)

        assert refusal(answer) == (401, "APIGW.0301", "verify aksk signature fail")
        assert cloud.history() == []

    @pytest.mark.parametrize(("minutes", "status"), [(-16, 401), (-14, 200), (14, 200), (16, 401)])
    def test_a_clock_may_be_15_minutes_off(self, cloud: Cloud, minutes: int, status: int) -> None:
        moment = datetime.now(UTC) + timedelta(minutes=minutes)

        answer = signed_call(cloud, headers={"x-sdk-date": moment.strftime("%Y%m%dT%H%M%SZ")})

        assert answer.status_code == status

    @pytest.mark.parametrize("date", ["", "yesterday"])
    def test_a_date_that_is_none(self, cloud: Cloud, date: str) -> None:
        assert signed_call(cloud, headers={"x-sdk-date": date}).status_code == 401

    @pytest.mark.parametrize("header", ["Basic b3BzOm9wcw==", "SDK-HMAC-SHA256 Access=A"])
    def test_a_header_of_another_form(self, cloud: Cloud, header: str) -> None:
        answer = requests.get(cloud.url + GROUPS, headers={"Authorization": header}, timeout=10)

        assert refusal(answer) == (401, "APIGW.0301", "verify aksk signature fail")

    def test_an_unsigned_payload(self, cloud: Cloud) -> None:
        def unsign(request: requests.PreparedRequest) -> None:
            request.headers["X-Sdk-Content-Sha256"] = "UNSIGNED-PAYLOAD"

        assert signed_call(cloud, "PATCH", GROUP, json={"name": "x"}, spoil=unsign).status_code == 401

    def test_more_than_five_failures_lock_a_key(self, cloud: Cloud) -> None:
        for _ in range(6):
            signed_call(cloud, keys=(ACCESS, "guess"))

        answer = signed_call(cloud)

        assert refusal(answer) == (401, "APIGW.0301", "AK access failed to reach the limit,forbidden")

    def test_five_failures_do_not(self, cloud: Cloud) -> None:
        for _ in range(5):
            signed_call(cloud, keys=(ACCESS, "guess"))
        assert signed_call(cloud).status_code == 200

        signed_call(cloud, keys=(ACCESS, "guess"))
        assert signed_call(cloud).status_code == 200

    def test_the_lock_can_be_off(self, cloud: Cloud) -> None:
        cloud.switch(key_lock="off")
        for _ in range(8):
            signed_call(cloud, keys=(ACCESS, "guess"))

        assert signed_call(cloud).status_code == 200


class TestTemporaryKeys:
    def key(self, cloud: Cloud, **token: Any) -> Any:
        identity = {"methods": ["token"], "token": {"id": "simulator-token", **token}}
        return cloud.call("POST", "/v3.0/OS-CREDENTIAL/securitytokens", json={"auth": {"identity": identity}})

    def test_are_good_with_their_security_token(self, cloud: Cloud) -> None:
        made = self.key(cloud)
        key = made.json()["credential"]
        keys = (key["access"], key["secret"])

        answers = [
            signed_call(cloud, keys=keys, headers=headers)
            for headers in ({"x-security-token": key["securitytoken"]}, {}, {"x-security-token": "guess"})
        ]

        assert made.status_code == 201
        assert answers[0].status_code == 200
        assert [refusal(answer)[2] for answer in answers[1:]] == ["Get secretKey failed", "decrypt token fail"]

    def test_end(self, cloud: Cloud) -> None:
        key = self.key(cloud, duration_seconds=900).json()["credential"]

        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16)):
            headers = {"x-security-token": key["securitytoken"]}
            answer = signed_call(cloud, keys=(key["access"], key["secret"]), headers=headers)

        assert refusal(answer)[2] == f"token expires, expires_at: {key['expires_at']}"

    @pytest.mark.parametrize(("token", "status"), [({"id": "guess"}, 401), ({"duration_seconds": 899}, 400)])
    def test_are_not_for_anyone(self, cloud: Cloud, token: Any, status: int) -> None:
        assert self.key(cloud, **token).status_code == status

    def test_a_lasting_key_has_no_security_token(self, cloud: Cloud) -> None:
        answer = signed_call(cloud, headers={"x-security-token": "guess"})

        assert refusal(answer)[2] == "decrypt token fail"


class TestActions:
    READ_ONLY = ("SIMULATORREADONLY001", "simulator-secret-key-02")

    def test_a_read_only_key_reads(self, cloud: Cloud) -> None:
        paths = (
            GROUPS,
            GROUP,
            f"{GROUP}/state",
            f"{GROUPS}/actions/list",
            f"/v1/{PROJECT}/app-servers",
            "/v2/cloudimages",
        )

        assert {signed_call(cloud, path=path, keys=self.READ_ONLY).status_code for path in paths} == {200}

    def test_a_read_only_key_writes_nothing(self, cloud: Cloud) -> None:
        tags = f"/v1/{PROJECT}/server-group/{DESIGN_POOL}/tags/create"

        patched = signed_call(cloud, "PATCH", GROUP, keys=self.READ_ONLY, json={"name": "TEST"})
        tagged = signed_call(cloud, "POST", tags, keys=self.READ_ONLY, json={"tags": []})

        assert (patched.status_code, tagged.status_code) == (403, 403)
        assert patched.json() == {
            "error_code": "WKS.00081102",
            "error_msg": "User does not have permission to access this resource: workspace:serverGroup:update",
        }
        assert cloud.history() == []

    @pytest.mark.parametrize(
        ("action", "path"),
        [
            ("workspace:serverGroup:list", GROUPS),
            ("workspace:serverGroup:get", GROUP),
            ("workspace:serverGroup:listDetail", f"{GROUPS}/actions/list"),
            ("workspace:serverGroup:getServerState", f"{GROUP}/state"),
            ("workspace:serverGroup:getRestrict", f"{GROUPS}/resources/restrict"),
            ("workspace:serverGroup:listTags", f"/v1/{PROJECT}/server-group/tags"),
            ("workspace:serverGroup:listTagsForResource", f"/v1/{PROJECT}/server-group/{DESIGN_POOL}/tags"),
            ("workspace:baseResource:list", f"/v1/{PROJECT}/volume-type"),
            ("workspace:server:list", f"/v1/{PROJECT}/app-servers"),
            ("workspace:session:listSessions", f"/v1/{PROJECT}/session/list-sessions"),
            ("ims:images:list", "/v2/cloudimages"),
        ],
    )
    def test_can_be_taken_one_by_one(self, cloud: Cloud, action: str, path: str) -> None:
        cloud.control("PUT", "permissions/simulator-token", {"taken": [action]})

        assert with_token(cloud, "simulator-token", path).status_code == 403
        assert signed_call(cloud, path=path).status_code != 403

    def test_of_the_user_go_with_every_token(self, cloud: Cloud) -> None:
        token = sign_in(cloud, {"project": {"id": PROJECT}}).headers["X-Subject-Token"]
        cloud.control("PUT", "permissions/ops-bot", {"taken": ["workspace:serverGroup:list"]})

        assert with_token(cloud, token).status_code == 403

    def test_an_image_needs_the_right_to_list_images(self, cloud: Cloud) -> None:
        cloud.control("PUT", "permissions/simulator-token", {"taken": ["ims:images:list"]})

        assert cloud.patch({"image_id": "x"}).status_code == 403
        assert cloud.patch({"name": "TEST"}).status_code == 200

    def test_every_patch_may_need_the_right_to_list_images(self, cloud: Cloud) -> None:
        cloud.control("PUT", "permissions/simulator-token", {"taken": ["ims:images:list"]})
        cloud.switch(image_permission="always")

        assert cloud.patch({"name": "TEST"}).status_code == 403
