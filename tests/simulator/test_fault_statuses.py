"""Faults that send a status: well-formed and malformed bodies, and Retry-After."""

import base64
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from tests.simulator.conftest import Cloud
from tests.simulator.connections import GROUP, is_applied, set_fault, wait_for


class TestStatuses:
    @pytest.mark.parametrize(
        ("name", "status", "code"),
        [
            ("bad_request", 400, "WKS.00129901"),
            ("unauthorized", 401, "APIGW.0301"),
            ("expired_token", 401, "APIGW.0301"),
            ("forbidden", 403, "WKS.00081102"),
            ("gateway_forbidden", 403, "APIGW.0302"),
            ("not_found", 404, "WKS.00120404"),
            ("method_not_allowed", 405, "WKS.00000405"),
            ("request_timeout", 408, "APIGW.0201"),
            ("conflict", 409, "WKS.00211103"),
            ("too_early", 425, "APIGW.0201"),
            ("client_closed_request", 499, "APIGW.0201"),
            ("too_large", 413, "APIGW.0201"),
            ("unsupported_type", 415, "WKS.00129901"),
            ("throttled", 429, "APIGW.0308"),
            ("internal_error", 500, "WKS.00211401"),
            ("bad_gateway", 502, "APIGW.0201"),
            ("unavailable", 503, "WKS.00050902"),
            ("gateway_timeout", 504, "APIGW.0201"),
        ],
    )
    def test_an_error_has_a_well_formed_body_and_applies_nothing(
        self, cloud: Cloud, name: str, status: int, code: str
    ) -> None:
        set_fault(cloud, name)

        response = cloud.patch({"name": "TEST"})

        assert (response.status_code, response.json()["error_code"]) == (status, code)
        assert response.json()["error_msg"]
        assert cloud.requests()[-1]["status"] == status
        assert not is_applied(cloud)

    @pytest.mark.parametrize(
        ("options", "status", "text"),
        [
            (
                {},
                500,
                '{"error_code":"WKS.00211401","error_msg":"The requested operation failed. Please try again delayed."}',
            ),
            ({"status": 418, "body": "teapot"}, 418, "teapot"),
            ({"status": 503, "body": {"a": 1}}, 503, '{"a":1}'),
            ({"status": 200, "body": []}, 200, "[]"),
            ({"status": 200}, 200, "null"),
        ],
    )
    def test_status_sends_any_body(self, cloud: Cloud, options: Any, status: int, text: str) -> None:
        set_fault(cloud, "status", headers={"X-Extra": "yes"}, **options)

        response = cloud.patch({"name": "TEST"})

        assert (response.status_code, response.text, response.headers["X-Extra"]) == (status, text, "yes")
        assert not is_applied(cloud)

    def test_status_sets_the_request_id(self, cloud: Cloud) -> None:
        set_fault(cloud, "status", headers={"X-Request-Id": "mine", "X-Odd": "研"})

        response = cloud.groups()

        assert (response.headers["X-Request-Id"], response.headers["X-Odd"]) == ("mine", "?")

    def test_status_can_be_unknown_to_http(self, cloud: Cloud) -> None:
        set_fault(cloud, "status", status=494)

        assert (cloud.groups().status_code, cloud.groups().status_code) == (494, 200)


class TestAppliedChanges:
    """A fault that sends another response can still have the request applied."""

    @pytest.mark.parametrize(
        ("entry", "status"),
        [
            *(({"fault": "status", "status": status}, status) for status in (307, 400, 408, 409, 425, 429, 499, 500)),
            ({"fault": "status", "status": 400, "body": "<h1>No</h1>", "headers": {"Content-Type": "text/html"}}, 400),
            ({"fault": "status", "status": 400, "body": ""}, 400),
            ({"fault": "error_html", "status": 409}, 409),
            ({"fault": "error_empty", "status": 408}, 408),
            ({"fault": "bad_request"}, 400),
            ({"fault": "conflict"}, 409),
            ({"fault": "too_early"}, 425),
            ({"fault": "client_closed_request"}, 499),
            ({"fault": "retry_after_seconds", "seconds": 600}, 429),
            ({"fault": "retry_after_garbage", "status": 503}, 503),
            ({"fault": "redirect"}, 307),
            ({"fault": "error_in_200"}, 200),
        ],
        ids=str,
    )
    def test_a_refused_change_is_applied(self, cloud: Cloud, entry: dict[str, Any], status: int) -> None:
        cloud.faults({**entry, "applied": True, "times": 1})

        response = cloud.patch({"name": "TEST"})

        assert (response.status_code, cloud.show()["name"]) == (status, "TEST")

    def test_a_refused_change_is_applied_later(self, cloud: Cloud) -> None:
        set_fault(cloud, "conflict", after_ms=100)

        assert cloud.patch({"name": "TEST"}).status_code == 409

        assert cloud.show()["name"] == "design-pool"
        assert wait_for(lambda: bool(cloud.show()["name"] == "TEST"))

    def test_a_change_without_a_credential_is_not_applied(self, cloud: Cloud) -> None:
        set_fault(cloud, "conflict", applied=True)

        response = cloud.call("PATCH", GROUP, json={"name": "TEST"}, headers={"X-Auth-Token": "guess"})

        assert response.status_code == 409
        assert not is_applied(cloud)

    @pytest.mark.parametrize("changes", [{"name": "theirs"}, {"description": "theirs"}])
    def test_a_throttled_change_is_overtaken_by_another_one(self, cloud: Cloud, changes: dict[str, str]) -> None:
        set_fault(cloud, "retry_after_seconds", seconds=60, changes=changes)

        response = cloud.patch({"name": "ours"})

        assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
        assert changes.items() <= cloud.show().items()
        assert [change["request"] for change in cloud.history()] == [None]

    def test_an_outside_change_keeps_the_other_thresholds(self, cloud: Cloud) -> None:
        set_fault(cloud, "throttled", changes={"route_policy": {"cpu_threshold": 11}})

        cloud.patch({"name": "ours"})

        assert cloud.show()["route_policy"] == {
            "max_session": 6,
            "cpu_threshold": 11,
            "gpu_threshold": 75,
            "mem_threshold": 85,
        }

    def test_an_outside_change_needs_a_single_group(self, cloud: Cloud) -> None:
        set_fault(cloud, "throttled", changes={"name": "theirs"})

        assert cloud.groups().status_code == 429
        assert cloud.history() == []


TOKEN = "simulator-token"


class TestEchoedCredentials:
    @pytest.mark.parametrize(
        ("encoding", "text"),
        [
            ("plain", TOKEN),
            ("base64", base64.b64encode(TOKEN.encode()).decode()),
            ("url", "".join(f"%{ord(character):02X}" for character in TOKEN)),
            ("json", "".join(f"\\u{ord(character):04x}" for character in TOKEN)),
            ("hex", TOKEN.encode().hex()),
        ],
    )
    def test_the_credential_is_encoded(self, cloud: Cloud, encoding: str, text: str) -> None:
        set_fault(cloud, "error_echoes_credential", encoding=encoding)

        response = cloud.groups()

        assert (response.status_code, response.json()["error_msg"]) == (401, f"Incorrect token: {text}")

    def test_a_part_of_the_credential_follows_other_text(self, cloud: Cloud) -> None:
        set_fault(cloud, "error_echoes_credential", start=4, length=6, padding=3, status=400, applied=True)

        response = cloud.patch({"name": "TEST"})

        assert (response.status_code, response.json()["error_msg"]) == (400, "Incorrect token: xxxlator-")
        assert is_applied(cloud)

    @pytest.mark.parametrize(("where", "in_body"), [("header", False), ("both", True)])
    def test_the_credential_is_in_a_header(self, cloud: Cloud, where: str, in_body: bool) -> None:
        set_fault(cloud, "error_echoes_credential", where=where)

        response = cloud.groups()

        assert (response.headers["X-Request-Id"], TOKEN in response.text) == (TOKEN, in_body)

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            ({"auth": {"identity": {"password": {"user": {"password": "canary"}}}}}, "canary"),
            ({"auth": []}, ""),
        ],
    )
    def test_the_credential_is_the_password_of_a_sign_in(self, cloud: Cloud, body: Any, text: str) -> None:
        set_fault(cloud, "error_echoes_credential")

        response = requests.post(f"{cloud.url}/v3/auth/tokens", json=body, timeout=10)

        assert response.json()["error_msg"] == f"Incorrect token: {text}"

    def test_the_credential_is_a_signature(self, cloud: Cloud) -> None:
        set_fault(cloud, "error_echoes_credential")

        response = requests.get(cloud.url + GROUP, headers={"Authorization": "canary"}, timeout=10)

        assert response.json()["error_msg"] == "Incorrect token: canary"


class TestWrongErrors:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("error_html", "<h1>Bad Gateway</h1>"),
            ("error_empty", ""),
            ("error_not_json", "upstream connect error"),
            ("error_null", "null"),
            ("error_list", "[" + '"error_code"'),
            ("error_message", '"error_message":"Failed."'),
            ("error_nested", '{"error":{'),
            ("error_wrong_types", '"error_code":500'),
            ("error_control_characters", "\\u001b[31m"),
            ("error_bidi_controls", "\\u202eevil\\u2066"),
            ("error_encoded", "encoded_authorization_message"),
        ],
    )
    @pytest.mark.parametrize("status", [403, 500])
    def test_an_error_has_an_unexpected_body(self, cloud: Cloud, name: str, text: str, status: int) -> None:
        set_fault(cloud, name, status=status)

        response = cloud.patch({"name": "TEST"})

        assert (response.status_code, text in response.text) == (status, True)
        assert not is_applied(cloud)


class TestRetryAfter:
    @pytest.mark.parametrize(("status", "code"), [(429, "APIGW.0308"), (503, "WKS.00050902")])
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("retry_after_seconds", "2"),
            ("retry_after_absurd", "99999999999"),
            ("retry_after_negative", "-5"),
            ("retry_after_garbage", "soon"),
        ],
    )
    def test_retry_after_has_many_forms(self, cloud: Cloud, name: str, value: str, status: int, code: str) -> None:
        set_fault(cloud, name, status=status, seconds=2)

        response = cloud.groups()

        assert (response.status_code, response.headers["Retry-After"]) == (status, value)
        assert response.json()["error_code"] == code

    def test_retry_after_is_a_date(self, cloud: Cloud) -> None:
        set_fault(cloud, "retry_after_date", seconds=60)

        response = cloud.groups()

        wait = parsedate_to_datetime(response.headers["Retry-After"]) - parsedate_to_datetime(response.headers["Date"])
        assert 58 <= wait.total_seconds() <= 61

    def test_throttling_refuses_requests_over_its_limit(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "throttling", "requests": 3, "seconds": 60})

        responses = [cloud.groups() for _ in range(5)]

        assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
        assert "policy user over ratelimit,limit:3,time:60 second" in responses[-1].json()["error_msg"]

    def test_throttling_counts_only_recent_requests(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "throttling", "requests": 1, "seconds": 0})

        assert [cloud.groups().status_code for _ in range(3)] == [200, 200, 200]
