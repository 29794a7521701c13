"""Faults that are a status: right bodies, wrong bodies, every kind of Retry-After."""

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.simulator.conftest import Cloud
from tests.simulator.wire import is_applied, play


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
            ("too_large", 413, "APIGW.0201"),
            ("unsupported_type", 415, "WKS.00129901"),
            ("throttled", 429, "APIGW.0308"),
            ("internal_error", 500, "WKS.00211401"),
            ("bad_gateway", 502, "APIGW.0201"),
            ("unavailable", 503, "WKS.00050902"),
            ("gateway_timeout", 504, "APIGW.0201"),
        ],
    )
    def test_have_right_bodies_and_apply_nothing(self, cloud: Cloud, name: str, status: int, code: str) -> None:
        play(cloud, name)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, answer.json()["error_code"]) == (status, code)
        assert answer.json()["error_msg"]
        assert cloud.requests()[-1]["status"] == status
        assert not is_applied(cloud)

    @pytest.mark.parametrize(
        ("options", "status", "text"),
        [
            (
                {},
                500,
                '{"error_code":"WKS.00211401","error_msg":"The requested operation failed. Please try again later."}',
            ),
            ({"status": 418, "body": "teapot"}, 418, "teapot"),
            ({"status": 503, "body": {"a": 1}}, 503, '{"a":1}'),
            ({"status": 200, "body": []}, 200, "[]"),
            ({"status": 200}, 200, "null"),
        ],
    )
    def test_can_be_any_with_any_body(self, cloud: Cloud, options: Any, status: int, text: str) -> None:
        play(cloud, "status", headers={"X-Extra": "yes"}, **options)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, answer.text, answer.headers["X-Extra"]) == (status, text, "yes")
        assert not is_applied(cloud)

    def test_may_name_their_own_request_id(self, cloud: Cloud) -> None:
        play(cloud, "status", headers={"X-Request-Id": "mine", "X-Odd": "研"})

        answer = cloud.groups()

        assert (answer.headers["X-Request-Id"], answer.headers["X-Odd"]) == ("mine", "?")

    def test_may_be_one_http_does_not_know(self, cloud: Cloud) -> None:
        play(cloud, "status", status=494)

        assert (cloud.groups().status_code, cloud.groups().status_code) == (494, 200)


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
            ("error_encoded", "encoded_authorization_message"),
        ],
    )
    @pytest.mark.parametrize("status", [403, 500])
    def test_have_another_body(self, cloud: Cloud, name: str, text: str, status: int) -> None:
        play(cloud, name, status=status)

        answer = cloud.patch({"name": "TEST"})

        assert (answer.status_code, text in answer.text) == (status, True)
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
    def test_has_many_forms(self, cloud: Cloud, name: str, value: str, status: int, code: str) -> None:
        play(cloud, name, status=status, seconds=2)

        answer = cloud.groups()

        assert (answer.status_code, answer.headers["Retry-After"]) == (status, value)
        assert answer.json()["error_code"] == code

    def test_may_be_a_date(self, cloud: Cloud) -> None:
        play(cloud, "retry_after_date", seconds=60)

        answer = cloud.groups()

        wait = parsedate_to_datetime(answer.headers["Retry-After"]) - parsedate_to_datetime(answer.headers["Date"])
        assert 58 <= wait.total_seconds() <= 61

    def test_throttling_counts(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "throttling", "requests": 3, "seconds": 60})

        answers = [cloud.groups() for _ in range(5)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert "policy user over ratelimit,limit:3,time:60 second" in answers[-1].json()["error_msg"]

    def test_throttling_forgets_what_is_long_ago(self, cloud: Cloud) -> None:
        cloud.faults({"fault": "throttling", "requests": 1, "seconds": 0})

        assert [cloud.groups().status_code for _ in range(3)] == [200, 200, 200]
