"""The browser's side: headers, requests of other sites, and reports of violations."""

import json
from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.cloud.projects import Project
from dashboard.web import csp_reports
from tests.conftest import Simulated, address
from tests.test_settings import load
from tests.web.observatory import score

LIST, LEDGER, LOGIN = address(group_id=None), "/projects/default/audit/", "/accounts/login/"
REPORTS = "/csp-reports/"
REPORT = {
    "document-uri": "https://streamwarden.example/?q=secret",
    "effective-directive": "script-src-elem",
    "blocked-uri": "inline\nforged line",
    "script-sample": "alert(1)",
}
IN_PRODUCTION = (
    *("SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD", "SECURE_SSL_REDIRECT"),
    *("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME"),
)


@pytest.fixture
def in_production(settings: Settings) -> None:
    production = load()
    for name in IN_PRODUCTION:
        setattr(settings, name, production[name])


@pytest.mark.parametrize(
    ("path", "status", "headers"),
    [
        (LIST, 200, {}),
        (LIST, 200, {"HX-Request": "true"}),
        (f"{LIST}counts/", 200, {"HX-Request": "true"}),
        (address("edit/"), 200, {}),
        (LEDGER, 200, {}),
        (f"{LEDGER}export.csv", 200, {}),
        (f"{LEDGER}export.jsonl", 200, {}),
        ("/nowhere/", 404, {}),
        (LIST, 403, {"Sec-Fetch-Site": "cross-site"}),
        (f"{LIST}?{'&' * 201}", 400, {}),
        ("/healthz", 200, {}),
    ],
)
def test_every_response_gets_130_points_of_the_observatory(
    client_as: Callable[[str], Client],
    project: Project,
    in_production: None,
    path: str,
    status: int,
    headers: dict[str, str],
) -> None:
    response = client_as("administrator").get(path, headers=headers, secure=True)

    html = "" if response.streaming else response.content.decode()
    assert (response.status_code, score(response.headers, response.cookies, html)) in [(status, 130), (status, 135)]


def test_the_sign_in_with_its_cookie_gets_135_points_of_the_observatory(db: None, in_production: None) -> None:
    response = Client().get(LOGIN, secure=True)

    assert sorted(response.cookies) == ["__Host-csrf"]
    assert score(response.headers, response.cookies, response.content.decode()) == 135


def test_a_page_over_http_leads_to_https_on_the_same_host(db: None, in_production: None) -> None:
    response = Client().get(LOGIN)

    assert (response.status_code, response.headers["Location"]) == (301, f"https://testserver{LOGIN}")


def fetch(site: str, mode: str = "navigate", dest: str = "document") -> dict[str, str]:
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}


@pytest.mark.parametrize("site", ["cross-site", "same-site", "unknown"])
@pytest.mark.parametrize("path", [address("edit/"), address("switch/"), LOGIN, "/theme/", "/accounts/logout/"])
def test_a_post_from_another_site_is_refused(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated, site: str, path: str
) -> None:
    client = client_as("administrator")

    statuses = [client.generic(method, path, headers=fetch(site)).status_code for method in ("POST", "PUT", "DELETE")]

    assert (statuses, simulator.requests()) == ([403] * 3, [])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (fetch("cross-site"), 200),
        (fetch("same-site"), 200),
        (fetch("cross-site", dest="iframe"), 403),
        (fetch("cross-site", "no-cors", "image"), 403),
        (fetch("cross-site", "cors", "empty"), 403),
        (fetch("same-origin", "cors", "empty"), 200),
        (fetch("none"), 200),
        ({}, 200),
    ],
)
def test_another_site_can_only_link_to_a_page(
    client_as: Callable[[str], Client], project: Project, headers: dict[str, str], status: int
) -> None:
    assert client_as("viewer").get(LIST, headers=headers).status_code == status


@pytest.fixture
def nothing_logged() -> None:
    csp_reports._logged.clear()


def test_a_report_of_a_violation_is_one_line_of_the_log(
    db: None, nothing_logged: None, caplog: pytest.LogCaptureFixture, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        response = Client(enforce_csrf_checks=True).generic(
            "POST", REPORTS, json.dumps({"csp-report": REPORT}), "application/csp-report"
        )

    assert (response.status_code, response.content) == (204, b"")
    facts = {name: REPORT[name] for name in ("effective-directive", "blocked-uri")}
    (line,) = caplog.messages
    assert line.startswith("Content Security Policy violated: {")
    assert json.loads(line.partition(": ")[2]) == {"document-uri": "https://streamwarden.example/", **facts}
    assert "\n" not in line


def test_few_reports_in_a_minute_are_logged(
    db: None, nothing_logged: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = json.dumps({"csp-report": {"blocked-uri": "x" * 7000}})

    statuses = {Client().generic("POST", REPORTS, long).status_code for _ in range(100)}
    lines, longest = len(caplog.messages), max(map(len, caplog.messages))
    monkeypatch.setattr(csp_reports, "SECONDS", 0)
    Client().generic("POST", REPORTS, long)

    assert (statuses, lines, longest < 300, len(caplog.messages)) == ({204}, 10, True, 11)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 204),
        (b"no json", 204),
        (b"[]", 204),
        (b"null", 204),
        (b'{"csp-report": 1}', 204),
        (b'{"csp-report": "document-uri"}', 204),
        (b"[" * 8000, 204),
        (b"\xff", 204),
        (b" " * 8193, 413),
        (b" " * 300_000, 413),
    ],
)
def test_what_is_no_report_is_not_logged(
    db: None, nothing_logged: None, caplog: pytest.LogCaptureFixture, body: bytes, status: int
) -> None:
    response = Client().generic("POST", REPORTS, body, "application/csp-report")

    assert response.status_code == status
    assert [message for message in caplog.messages if "violated" in message] == []
