"""The check of a project."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from dashboard.cloud.checks import Check, Result, check_project, policy_to_grant
from dashboard.cloud.credentials import PasswordCredential, TokenCredential
from dashboard.cloud.permissions import ACTIONS

from .scripted import GROUP_ID, LONG_LIMITS, Received, Responder, closed_port, respond, scripted_cloud

FORBIDDEN = respond(403, {"error_code": "WKS.00081102", "error_msg": "no permission"})


def allow_all(received: Received) -> Responder:
    date = {"Date": format_datetime(datetime.now(UTC), usegmt=True)}
    if received.path.endswith("/app-server-groups"):
        return respond(200, {"count": 1, "items": [{"id": GROUP_ID}]}, date)
    return respond(200, {}, date)


def results(checks: tuple[Check, ...]) -> dict[str, Result]:
    return {check.title: check.result for check in checks}


def test_all_checks_of_a_working_project_are_good_except_the_update() -> None:
    with scripted_cloud(route=allow_all) as cloud:
        checks = check_project(cloud.project(), LONG_LIMITS)

    assert results(checks) == {
        "Endpoint": Result.GOOD,
        "Clock": Result.GOOD,
        "Credential": Result.GOOD,
        **dict.fromkeys(ACTIONS, Result.GOOD),
        "UpdateServerGroup": Result.NOT_TRIED,
    }
    assert policy_to_grant(checks) == ""
    assert {request.method for request in cloud.requests} == {"GET", "POST"}
    assert [request.path for request in cloud.requests if request.method == "POST"] == [
        f"/v1/{cloud.project().project_id}/app-server-groups/rules/validate"
    ]


def test_missing_permissions_are_in_the_policy_to_grant() -> None:
    def route(received: Received) -> Responder:
        is_forbidden = "session" in received.path or "cloudimages" in received.path
        return FORBIDDEN if is_forbidden else allow_all(received)

    with scripted_cloud(route=route) as cloud:
        checks = check_project(cloud.project(), LONG_LIMITS)

    rejected = "The cloud rejects the call. HTTP 403, WKS.00081102: no permission"
    assert [check for check in checks if check.is_missing] == [
        Check("ListSessions", Result.BAD, rejected, "workspace:session:listSessions", is_missing=True),
        Check("ListImages", Result.BAD, rejected, "ims:images:list", is_missing=True),
    ]
    assert json.loads(policy_to_grant(checks)) == {
        "Version": "5.0",
        "Statement": [{"Effect": "Allow", "Action": ["ims:images:list", "workspace:session:listSessions"]}],
    }


def test_a_credential_without_permissions_is_reported() -> None:
    with scripted_cloud(FORBIDDEN) as cloud:
        found = results(check_project(cloud.project(), LONG_LIMITS))

    assert (found["Endpoint"], found["Credential"]) == (Result.GOOD, Result.GOOD)
    assert found["ListServerGroups"] is Result.BAD
    assert (found["ShowServerGroup"], found["Clock"]) == (Result.NOT_TRIED, Result.NOT_TRIED)


@pytest.mark.parametrize(
    ("responder", "result", "detail"),
    [
        (respond(500, {"error_msg": "failed"}), Result.BAD, "The cloud reports an internal error. HTTP 500, failed"),
        (
            respond(404, {"error_msg": "no such API"}),
            Result.NOT_TRIED,
            "The cloud rejects the call. HTTP 404, no such API",
        ),
        (respond(429, {}), Result.NOT_TRIED, "The cloud reports too many calls. HTTP 429"),
    ],
)
def test_other_failures_are_not_missing_permissions(responder: Responder, result: Result, detail: str) -> None:
    def route(received: Received) -> Responder:
        return responder if "volume" in received.path else allow_all(received)

    with scripted_cloud(route=route) as cloud:
        checks = check_project(cloud.project(), LONG_LIMITS)

    assert Check("ListVolumeType", result, detail, "workspace:baseResource:list") in checks
    assert policy_to_grant(checks) == ""


def test_an_unreachable_ims_is_bad() -> None:
    with scripted_cloud(route=allow_all) as cloud:
        checks = check_project(replace(cloud.project(), ims_endpoint=closed_port()), LONG_LIMITS)

    assert results(checks)["ListImages"] is Result.BAD


@pytest.mark.parametrize(("minutes", "result"), [(14, Result.GOOD), (16, Result.BAD)])
def test_the_clocks_may_differ_by_15_minutes(minutes: int, result: Result) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=minutes), usegmt=True)
    with scripted_cloud(respond(200, {"count": 0, "items": []}, {"Date": date})) as cloud:
        found = results(check_project(cloud.project(), LONG_LIMITS))

    assert found["Clock"] is result


@pytest.mark.parametrize("date", ["", "noon", "Tue, 24 Nov 2026 09:05:22 -0000"])
def test_the_clock_is_not_checked_without_a_date_in_the_response(date: str) -> None:
    with scripted_cloud(respond(200, {"count": 0, "items": []}, {"Date": date})) as cloud:
        found = results(check_project(cloud.project(), LONG_LIMITS))

    assert found["Clock"] is Result.NOT_TRIED


@pytest.mark.parametrize(
    ("responder", "expected"),
    [
        (respond(302, b"", {"Location": "/"}), "is a redirect"),
        (respond(200, b"<html>"), "not JSON"),
    ],
)
def test_names_an_endpoint_that_is_not_the_cloud(responder: Responder, expected: str) -> None:
    with scripted_cloud(responder) as cloud:
        endpoint, *_ = check_project(cloud.project(), LONG_LIMITS)

    assert endpoint.result is Result.BAD
    assert cloud.url in endpoint.detail
    assert expected in endpoint.detail


def test_names_an_unreachable_endpoint() -> None:
    with scripted_cloud() as cloud:
        unreachable = replace(cloud.project(), workspace_endpoint=closed_port())

    endpoint, *_ = check_project(unreachable, LONG_LIMITS)

    assert endpoint.result is Result.BAD
    assert "Connection refused" in endpoint.detail


def test_reports_a_wrong_credential_and_stops() -> None:
    rejection = respond(401, {"error_code": "APIGW.0301", "error_msg": "decrypt token fail: canary-token"})
    with scripted_cloud(rejection) as cloud:
        checks = check_project(cloud.project(TokenCredential("canary-token")), LONG_LIMITS)

    assert results(checks)["Credential"] is Result.BAD
    assert "The cloud does not accept the credential. HTTP 401, APIGW.0301: decrypt token fail: ***" in [
        check.detail for check in checks
    ]
    assert len(cloud.requests) == 1


def test_reports_a_failed_sign_in_as_a_bad_credential() -> None:
    rejection = respond(401, {"error": {"code": 401, "message": "The username or password is wrong."}})
    with scripted_cloud(rejection) as cloud:
        checks = check_project(cloud.project(PasswordCredential("d", "u", "canary-phrase")), LONG_LIMITS)

    assert results(checks) == {"Credential": Result.BAD}
    assert "The username or password is wrong." in checks[0].detail
