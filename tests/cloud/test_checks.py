"""Trying a project without changing anything."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from dashboard.cloud.checks import Check, Result, check_project, policy_to_grant
from dashboard.cloud.credentials import PasswordCredential, TokenCredential
from dashboard.cloud.permissions import ACTIONS

from .scripted import GROUP_ID, PATIENT, Act, Received, answer, closed_port, scripted_cloud

FORBIDDEN = answer(403, {"error_code": "WKS.00081102", "error_msg": "no permission"})


def permissive(received: Received) -> Act:
    date = {"Date": format_datetime(datetime.now(UTC), usegmt=True)}
    if received.path.endswith("/app-server-groups"):
        return answer(200, {"count": 1, "items": [{"id": GROUP_ID}]}, date)
    return answer(200, {}, date)


def results(checks: tuple[Check, ...]) -> dict[str, Result]:
    return {check.title: check.result for check in checks}


def test_a_project_that_works_is_good_but_for_what_cannot_be_tried() -> None:
    with scripted_cloud(route=permissive) as cloud:
        checks = check_project(cloud.project(), PATIENT)

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


def test_missing_permissions_make_a_policy_to_paste() -> None:
    def route(received: Received) -> Act:
        is_forbidden = "session" in received.path or "cloudimages" in received.path
        return FORBIDDEN if is_forbidden else permissive(received)

    with scripted_cloud(route=route) as cloud:
        checks = check_project(cloud.project(), PATIENT)

    rejected = "The cloud rejects the call. HTTP 403, WKS.00081102: no permission"
    assert [check for check in checks if check.is_missing] == [
        Check("ListSessions", Result.BAD, rejected, "workspace:session:listSessions", is_missing=True),
        Check("ListImages", Result.BAD, rejected, "ims:images:list", is_missing=True),
    ]
    assert json.loads(policy_to_grant(checks)) == {
        "Version": "5.0",
        "Statement": [{"Effect": "Allow", "Action": ["ims:images:list", "workspace:session:listSessions"]}],
    }


def test_who_may_list_nothing_is_told_so() -> None:
    with scripted_cloud(FORBIDDEN) as cloud:
        found = results(check_project(cloud.project(), PATIENT))

    assert (found["Endpoint"], found["Credential"]) == (Result.GOOD, Result.GOOD)
    assert found["ListServerGroups"] is Result.BAD
    assert (found["ShowServerGroup"], found["Clock"]) == (Result.NOT_TRIED, Result.NOT_TRIED)


@pytest.mark.parametrize(
    ("act", "result", "detail"),
    [
        (answer(500, {"error_msg": "failed"}), Result.BAD, "The cloud reports an internal error. HTTP 500, failed"),
        (
            answer(404, {"error_msg": "no such API"}),
            Result.NOT_TRIED,
            "The cloud rejects the call. HTTP 404, no such API",
        ),
        (answer(429, {}), Result.NOT_TRIED, "The cloud reports too many calls. HTTP 429"),
    ],
)
def test_a_call_that_fails_otherwise_says_nothing_about_its_permission(act: Act, result: Result, detail: str) -> None:
    def route(received: Received) -> Act:
        return act if "volume" in received.path else permissive(received)

    with scripted_cloud(route=route) as cloud:
        checks = check_project(cloud.project(), PATIENT)

    assert Check("ListVolumeType", result, detail, "workspace:baseResource:list") in checks
    assert policy_to_grant(checks) == ""


def test_an_ims_that_is_not_there_is_bad() -> None:
    with scripted_cloud(route=permissive) as cloud:
        checks = check_project(replace(cloud.project(), ims_endpoint=closed_port()), PATIENT)

    assert results(checks)["ListImages"] is Result.BAD


@pytest.mark.parametrize(("minutes", "result"), [(14, Result.GOOD), (16, Result.BAD)])
def test_a_clock_may_be_15_minutes_off(minutes: int, result: Result) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(minutes=minutes), usegmt=True)
    with scripted_cloud(answer(200, {"count": 0, "items": []}, {"Date": date})) as cloud:
        found = results(check_project(cloud.project(), PATIENT))

    assert found["Clock"] is result


@pytest.mark.parametrize("date", ["", "noon", "Tue, 24 Nov 2026 09:05:22 -0000"])
def test_a_cloud_that_does_not_say_the_time_proves_nothing(date: str) -> None:
    with scripted_cloud(answer(200, {"count": 0, "items": []}, {"Date": date})) as cloud:
        found = results(check_project(cloud.project(), PATIENT))

    assert found["Clock"] is Result.NOT_TRIED


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (answer(302, b"", {"Location": "/"}), "is a redirect"),
        (answer(200, b"<html>"), "not JSON"),
    ],
)
def test_an_endpoint_that_is_not_the_cloud_is_named(act: Act, expected: str) -> None:
    with scripted_cloud(act) as cloud:
        endpoint, *_ = check_project(cloud.project(), PATIENT)

    assert endpoint.result is Result.BAD
    assert cloud.url in endpoint.detail
    assert expected in endpoint.detail


def test_an_endpoint_that_is_not_there_is_named() -> None:
    with scripted_cloud() as cloud:
        nowhere = replace(cloud.project(), workspace_endpoint=closed_port())

    endpoint, *_ = check_project(nowhere, PATIENT)

    assert endpoint.result is Result.BAD
    assert "Connection refused" in endpoint.detail


def test_a_wrong_credential_is_named_and_nothing_else_is_tried() -> None:
    refusal = answer(401, {"error_code": "APIGW.0301", "error_msg": "decrypt token fail: canary-token"})
    with scripted_cloud(refusal) as cloud:
        checks = check_project(cloud.project(TokenCredential("canary-token")), PATIENT)

    assert results(checks)["Credential"] is Result.BAD
    assert "The cloud does not accept the credential. HTTP 401, APIGW.0301: decrypt token fail: ***" in [
        check.detail for check in checks
    ]
    assert len(cloud.requests) == 1


def test_a_failed_sign_in_is_a_bad_credential() -> None:
    refusal = answer(401, {"error": {"code": 401, "message": "The username or password is wrong."}})
    with scripted_cloud(refusal) as cloud:
        checks = check_project(cloud.project(PasswordCredential("d", "u", "canary-phrase")), PATIENT)

    assert results(checks) == {"Credential": Result.BAD}
    assert "The username or password is wrong." in checks[0].detail
