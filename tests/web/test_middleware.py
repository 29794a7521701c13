"""Middleware: proxies, sign-in, and input that is kept after an expired sign-in."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.test import Client
from pytest_django import Settings

from dashboard.accounts.models import KeptInput, User
from dashboard.audit.models import EventKind, SystemEvent
from dashboard.cloud.projects import Project
from dashboard.web.requests import MAX_KEPT
from tests.conftest import Simulated, address
from tests.markup import read, said

LIST, LOGIN = address(group_id=None), "/accounts/login/"
PASSWORD = "correct horse battery staple"
BACKEND = "dashboard.accounts.backends.RoleBackend"


@pytest.fixture
def admin(person: Callable[[str], User]) -> User:
    return person("administrator")


@pytest.mark.parametrize(
    ("path", "following"),
    [
        (LIST, LIST),
        (f"{LIST}?q=design&page=2", f"{LIST}%3Fq%3Ddesign%26page%3D2"),
        (address("edit/"), address("edit/")),
        ("/", "/"),
    ],
)
def test_a_page_without_a_session_leads_to_the_sign_in_and_back(
    db: None, project: Project, path: str, following: str
) -> None:
    response = Client().get(path)

    assert (response.status_code, response.headers["Location"]) == (302, f"{LOGIN}?next={following}")


@pytest.mark.parametrize(
    ("shown", "back"),
    [
        (f"http://testserver{LIST}?q=a", f"{LIST}?q=a"),
        ("http://elsewhere.example/projects/", "/"),
        ("//elsewhere.example/", "/"),
        ("no address", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_htmx_without_a_session_redirects_the_whole_page_to_the_sign_in(
    db: None, project: Project, method: str, shown: str | None, back: str
) -> None:
    headers = {"HX-Request": "true"} | ({} if shown is None else {"HX-Current-URL": shown})

    response = Client().generic(method, address("switch/"), headers=headers)

    following = back.replace("/", "%2F").replace("?", "%3F").replace("=", "%3D")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["HX-Redirect"] == f"{LOGIN}?next={following}"


def test_an_ended_session_leads_to_the_sign_in(client_as: Callable[[str], Client], project: Project) -> None:
    client = client_as("administrator")
    Session.objects.all().delete()

    assert client.get(LIST).headers["Location"].startswith(f"{LOGIN}?next=")


def test_sends_nothing_after_the_session_ended(
    client_as: Callable[[str], Client], project: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")
    Session.objects.all().delete()

    for below, data in (("edit/", {"name": "TEST"}), ("switch/", {"status": "off", "reason": "x"})):
        assert client.post(address(below), data).status_code == 302

    assert simulator.requests() == []


@pytest.fixture
def expired(admin: User, db: None) -> Client:
    """A browser in which the administrator signed in. The session has expired."""
    client = sign_in(Client(), admin)
    Session.objects.all().delete()
    return client


def sign_in(client: Client, user: User) -> Client:
    user.set_password(PASSWORD)
    user.save()
    assert client.post(LOGIN, {"login": user.username, "password": PASSWORD}).status_code == 302
    return client


def name_in_form(client: Client) -> str:
    return read(client.get(address("edit/"))).form("edit-form").fields["name"]


@pytest.mark.parametrize("below", ["edit/", "edit/review/"])
def test_keeps_the_input_after_the_session_end(
    expired: Client, admin: User, project: Project, simulator: Simulated, below: str
) -> None:
    expired.post(address(below), {"name": "TEST", "ou_name": "OU=kept\x00"})

    sign_in(expired, admin)
    first, second = expired.get(address("edit/")), expired.get(address("edit/"))

    fields = read(first).form("edit-form").fields
    assert (fields["name"], fields["ou_name"]) == ("TEST", "OU=kept\x00")
    assert "Your session ended before the form was sent." in said(first)
    assert read(second).form("edit-form").fields["name"] == "design-pool"
    assert simulator.patches == []


@pytest.mark.parametrize("path", [address("edit/"), address("edit/review/"), address("edit/", "x" * 2000)])
@pytest.mark.parametrize("cookie", ["", "1", "1:1tAbCd:forged"])
def test_a_post_without_an_earlier_sign_in_stores_nothing(
    admin: User, project: Project, path: str, cookie: str
) -> None:
    client = Client()
    client.cookies["person"] = cookie

    client.post(path, {"name": "x" * 10_000})

    assert (Session.objects.count(), KeptInput.objects.count()) == (0, 0)


def test_each_person_has_at_most_one_kept_form(expired: Client, admin: User, project: Project) -> None:
    for number in range(5):
        expired.post(address("edit/"), {"name": f"TEST-{number}"})

    assert (Session.objects.count(), KeptInput.objects.count()) == (0, 1)
    assert name_in_form(sign_in(expired, admin)) == "TEST-4"


def test_the_next_person_does_not_see_the_kept_form(
    expired: Client, admin: User, project: Project, person: Callable[[str], User]
) -> None:
    expired.post(address("edit/"), {"name": "TEST"})
    other = person("help desk")
    other.groups.set([Group.objects.get(name="administrator")])

    seen_by_other = name_in_form(sign_in(expired, other))
    expired.post("/accounts/logout/")

    assert seen_by_other == "design-pool"
    assert name_in_form(sign_in(expired, admin)) == "design-pool"


def test_keeps_no_input_of_a_deactivated_account(expired: Client, admin: User, project: Project) -> None:
    User.objects.update(is_active=False)

    expired.post(address("edit/"), {"name": "TEST"})

    assert not KeptInput.objects.exists()


@pytest.mark.parametrize(("path", "size"), [(address("switch/"), 10), (address("edit/"), MAX_KEPT), (LIST, 10)])
def test_keeps_no_other_input(expired: Client, admin: User, project: Project, path: str, size: int) -> None:
    expired.post(path, {"name": "x" * size})

    assert name_in_form(sign_in(expired, admin)) == "design-pool"


def test_does_not_show_the_input_for_another_group(expired: Client, admin: User, project: Project) -> None:
    other = "7b1d2c52-4f0e-4c57-9a3b-2f8f6a1c9e1"  # the address of the first begins with that of the second
    expired.post(address("edit/"), {"name": "TEST"})
    sign_in(expired, admin)

    response = expired.get(address("edit/", other))

    assert response.status_code == 404
    assert name_in_form(expired) == "TEST"


def visit(slug: str, method: str, path: str, client: Client, **headers: str) -> tuple[object, ...]:
    """What a visitor sees of a page in a project, without the project's name."""
    response = client.generic(method, path.replace("default", slug), headers=headers)
    shown = {name: value.replace(slug, "default") for name, value in response.headers.items()}
    text = re.sub(r'(csrfmiddlewaretoken" value=)"\w+"', r"\1", response.content.decode().replace(slug, "default"))
    return response.status_code, shown, text, sorted(response.cookies)


@pytest.mark.parametrize("path", [LIST, LIST[:-1], address(), address("edit/"), address("switch/"), f"{LIST}nowhere/x"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("enforce_csrf_checks", [False, True])
def test_a_visitor_cannot_tell_an_existing_project_from_a_missing_one(
    db: None, project: Project, path: str, method: str, enforce_csrf_checks: bool
) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        existing, missing = (
            visit(slug, method, path, Client(enforce_csrf_checks=enforce_csrf_checks), **headers)
            for slug in ("default", "missing")
        )

        assert existing == missing


def test_a_missing_project_is_not_found_for_a_person(client_as: Callable[[str], Client], project: Project) -> None:
    assert client_as("administrator").get(LIST.replace("default", "missing")).status_code == 404


@pytest.mark.parametrize("proxies", [0, 1])
def test_people_can_sign_in_through_a_unix_socket(admin: User, settings: Settings, proxies: int) -> None:
    settings.PROXIES = proxies
    admin.set_password(PASSWORD)
    admin.save()

    response = Client(REMOTE_ADDR="").post(LOGIN, {"login": "administrator", "password": PASSWORD})

    assert (response.status_code, response.headers["Location"]) == (302, "/")
    assert SystemEvent.objects.get(kind=EventKind.SIGN_IN).from_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "203.0.113.9", "192.0.2.7"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1,2001:db8::7, 10.0.0.1", "2001:db8::7"),
        (1, "", "192.0.2.7"),
        (2, "203.0.113.9", "192.0.2.7"),
        (1, "203.0.113.9, <script>", "192.0.2.7"),
    ],
)
def test_the_ledger_has_the_address_of_the_client_behind_proxies(
    db: None, settings: Settings, proxies: int, forwarded: str, expected: str
) -> None:
    settings.PROXIES = proxies

    Client(REMOTE_ADDR="192.0.2.7", headers={"X-Forwarded-For": forwarded}).post(
        LOGIN, {"login": "unknown", "password": "wrong"}
    )

    assert SystemEvent.objects.get().from_address == expected
