"""The frame around every page: headers, markup, errors, and the pages that belong to no room."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from dashboard.cloud.projects import Project
from dashboard.server_groups import views
from tests.conftest import Simulated, address
from tests.markup import read, said

LIST = address(group_id=None)
PAGES = (
    LIST,
    address(),
    address("edit/"),
    address("switch/"),
    f"{LIST}?q=nothing-like-it",
    f"{LIST}cloud-check/",
    "/projects/default/audit/",
    "/accounts/login/",
    "/accounts/password/change/",
    "/nowhere/",
)
POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_private_and_loads_nothing_foreign(
    client_as: Callable[[str], Client], project: Project, page: str
) -> None:
    answer = client_as("administrator").get(page, follow=True)

    assert set(answer.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert {name: answer.headers[name] for name in ("X-Frame-Options", "Cross-Origin-Opener-Policy")} == {
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "no-store" in answer.headers["Cache-Control"]
    for element in read(answer).elements:
        assert not {name for name in element.attrs if name == "style" or name.startswith(("on", "hx-on"))}
        assert element.tag != "style"
        assert element.tag != "script" or (element.attrs["src"].startswith("/static/") and not element.text.strip())
        assert not element.attrs.get("href", "/").startswith(("http:", "https:", "//", "javascript:"))


def test_a_sign_of_life_needs_no_sign_in_and_no_database(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_the_start_leads_to_the_first_project(client_as: Callable[[str], Client], project: Project) -> None:
    assert client_as("viewer").get("/").headers["Location"] == LIST


def test_without_a_project_the_start_says_what_to_set(client_as: Callable[[str], Client], settings: Settings) -> None:
    settings.CLOUD_PROJECTS = ()

    answer = client_as("viewer").get("/")

    assert answer.status_code == 503
    assert "HUAWEICLOUD_SDK_PROJECT_ID" in said(answer)


@pytest.mark.parametrize(
    ("posted", "goes", "theme"),
    [
        ({"theme": "dark", "next": "/projects/default/audit/"}, "/projects/default/audit/", "dark"),
        ({"theme": "dark", "next": "https://elsewhere.example/"}, "/", "dark"),
        ({"theme": "dark", "next": "//elsewhere.example/"}, "/", "dark"),
        ({"theme": "pink"}, "/", "auto"),
    ],
)
def test_the_light_is_chosen_and_nobody_is_led_away(db: None, posted: dict[str, str], goes: str, theme: str) -> None:
    client = Client()

    answer = client.post("/theme/", posted)

    assert (answer.status_code, answer.headers["Location"]) == (302, goes)
    assert read(client.get("/accounts/login/")).all("html")[0].attrs["data-theme"] == theme


def test_an_expired_session_sends_the_whole_browser_to_the_sign_in(project: Project, db: None) -> None:
    here = f"http://testserver{LIST}?q=design"

    plain = Client().get(f"{LIST}?q=design")
    partial = Client().get(f"{LIST}counts/", headers={"HX-Request": "true", "HX-Current-URL": here})

    assert plain.headers["Location"] == f"/accounts/login/?next={LIST}%3Fq%3Ddesign"
    assert partial.status_code == 200
    assert partial.headers["HX-Redirect"] == f"/accounts/login/?next={LIST.replace('/', '%2F')}%3Fq%3Ddesign"
    assert partial.content == b""


def test_a_forged_post_gets_our_page(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    client.handler.enforce_csrf_checks = True

    answer = client.post(address("switch/"), {"status": "off", "reason": "x"})

    assert answer.status_code == 403
    assert "This page was open for too long" in said(answer)
    assert simulator.patches == []


def test_a_server_error_shows_neither_trace_nor_secret(
    client_as: Callable[[str], Client], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError("simulator-token and other inner things")

    monkeypatch.setattr(views, "list_groups", broken)
    client = client_as("administrator")
    client.raise_request_exception = False

    answer = client.get(LIST)

    assert answer.status_code == 500
    assert "Something went wrong here" in said(answer)
    assert "simulator-token" not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()


@pytest.mark.parametrize("name", ["unavailable", "html", "drop_before_answer", "forbidden", "unauthorized"])
def test_no_page_about_the_cloud_shows_a_secret(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated, name: str
) -> None:
    simulator.play({"fault": name})

    answer = client_as("administrator").get(address())

    assert answer.status_code == 503
    assert "The cloud does not answer as it should" in said(answer)
    assert "simulator-token" not in answer.content.decode()
