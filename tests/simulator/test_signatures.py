"""SDK-HMAC-SHA256 signatures: signed content, keys and dates."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import time_machine

from tests.simulator.conftest import OTHER_PROJECT, PROJECT, Cloud
from tests.simulator.signing import ACCESS, GROUP, GROUPS, SECRET, refusal, signed_call


class TestSignatures:
    def test_accepts_a_signed_read(self, cloud: Cloud) -> None:
        assert signed_call(cloud).status_code == 200

    def test_accepts_a_body_and_a_query_in_any_order(self, cloud: Cloud) -> None:
        listed = signed_call(cloud, path=f"{GROUPS}?server_group_name=%E7%A0%94%E5%8F%91&limit=5&app_type=")
        patched = signed_call(cloud, "PATCH", GROUP, json={"description": "ünïcode"})

        assert [item["name"] for item in listed.json()["items"]] == ["研发设计组"]
        assert patched.status_code == 200
        assert cloud.show()["description"] == "ünïcode"

    def test_refuses_a_wrong_secret(self, cloud: Cloud) -> None:
        response = signed_call(cloud, keys=(ACCESS, "guess"))

        assert refusal(response) == (401, "APIGW.0301", "verify aksk signature fail")

    def test_refuses_an_unknown_key(self, cloud: Cloud) -> None:
        response = signed_call(cloud, keys=("NOBODY", SECRET))

        assert refusal(response) == (401, "APIGW.0301", "ak NOBODY not exist")

    @pytest.mark.parametrize(
        "alter",
        [
            lambda request: setattr(request, "body", b'{"name": "no-you"}'),
            lambda request: setattr(request, "url", request.url + "?limit=1"),
            lambda request: request.headers.update({"x-project-id": OTHER_PROJECT}),
        ],
        ids=["body", "query", "header"],
    )
    def test_refuses_a_request_altered_after_signing(
        self, cloud: Cloud, alter: Callable[[requests.PreparedRequest], None]
    ) -> None:
        headers = {"x-project-id": PROJECT}
        response = signed_call(cloud, "PATCH", GROUP, json={"name": "no-one"}, alter=alter, headers=headers)

        assert refusal(response) == (401, "APIGW.0301", "verify aksk signature fail")
        assert cloud.history() == []

    @pytest.mark.parametrize(("minutes", "status"), [(-16, 401), (-14, 200), (14, 200), (16, 401)])
    def test_the_clocks_can_differ_by_15_minutes(self, cloud: Cloud, minutes: int, status: int) -> None:
        moment = datetime.now(UTC) + timedelta(minutes=minutes)

        response = signed_call(cloud, headers={"x-sdk-date": moment.strftime("%Y%m%dT%H%M%SZ")})

        assert response.status_code == status

    @pytest.mark.parametrize("date", ["", "yesterday"])
    def test_refuses_an_invalid_date(self, cloud: Cloud, date: str) -> None:
        assert signed_call(cloud, headers={"x-sdk-date": date}).status_code == 401

    @pytest.mark.parametrize("header", ["Basic b3BzOm9wcw==", "SDK-HMAC-SHA256 Access=A"])
    def test_refuses_a_malformed_header(self, cloud: Cloud, header: str) -> None:
        response = requests.get(cloud.url + GROUPS, headers={"Authorization": header}, timeout=10)

        assert refusal(response) == (401, "APIGW.0301", "verify aksk signature fail")

    def test_accepts_an_unsigned_payload(self, cloud: Cloud) -> None:
        def unsign(request: requests.PreparedRequest) -> None:
            request.headers["X-Sdk-Content-Sha256"] = "UNSIGNED-PAYLOAD"

        assert signed_call(cloud, "PATCH", GROUP, json={"name": "x"}, alter=unsign).status_code == 401

    def test_more_than_five_failures_lock_a_key(self, cloud: Cloud) -> None:
        for _ in range(6):
            signed_call(cloud, keys=(ACCESS, "guess"))

        response = signed_call(cloud)

        assert refusal(response) == (401, "APIGW.0301", "AK access failed to reach the limit,forbidden")

    def test_five_failures_do_not_lock_a_key(self, cloud: Cloud) -> None:
        for _ in range(5):
            signed_call(cloud, keys=(ACCESS, "guess"))
        assert signed_call(cloud).status_code == 200

        signed_call(cloud, keys=(ACCESS, "guess"))
        assert signed_call(cloud).status_code == 200

    def test_a_switch_removes_the_lock(self, cloud: Cloud) -> None:
        cloud.switch(key_lock="off")
        for _ in range(8):
            signed_call(cloud, keys=(ACCESS, "guess"))

        assert signed_call(cloud).status_code == 200


class TestTemporaryKeys:
    def key(self, cloud: Cloud, **token: Any) -> Any:
        identity = {"methods": ["token"], "token": {"id": "simulator-token", **token}}
        return cloud.call("POST", "/v3.0/OS-CREDENTIAL/securitytokens", json={"auth": {"identity": identity}})

    def test_a_temporary_key_needs_its_security_token(self, cloud: Cloud) -> None:
        made = self.key(cloud)
        key = made.json()["credential"]
        keys = (key["access"], key["secret"])

        responses = [
            signed_call(cloud, keys=keys, headers=headers)
            for headers in ({"x-security-token": key["securitytoken"]}, {}, {"x-security-token": "guess"})
        ]

        assert made.status_code == 201
        assert responses[0].status_code == 200
        assert [refusal(response)[2] for response in responses[1:]] == ["Get secretKey failed", "decrypt token fail"]

    def test_a_temporary_key_expires(self, cloud: Cloud) -> None:
        key = self.key(cloud, duration_seconds=900).json()["credential"]

        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16)):
            headers = {"x-security-token": key["securitytoken"]}
            response = signed_call(cloud, keys=(key["access"], key["secret"]), headers=headers)

        assert refusal(response)[2] == f"token expires, expires_at: {key['expires_at']}"

    @pytest.mark.parametrize(("token", "status"), [({"id": "guess"}, 401), ({"duration_seconds": 899}, 400)])
    def test_a_temporary_key_needs_a_valid_token(self, cloud: Cloud, token: Any, status: int) -> None:
        assert self.key(cloud, **token).status_code == status

    def test_a_permanent_key_has_no_security_token(self, cloud: Cloud) -> None:
        response = signed_call(cloud, headers={"x-security-token": "guess"})

        assert refusal(response)[2] == "decrypt token fail"
