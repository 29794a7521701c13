"""Sign-in, sign-out and change of password. Other pages of allauth do not exist."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from dashboard.accounts.models import User
from dashboard.cloud.projects import Project
from tests.conftest import address
from tests.markup import read, said

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
LOGIN = "/accounts/login/"


@pytest.fixture
def someone() -> User:
    user = User.objects.create_user("someone", password=PASSWORD)
    user.groups.set([Group.objects.get(name="help desk")])
    return user


def sign_in(client: Client, **fields: str) -> Any:
    return client.post(LOGIN, {"login": "someone", "password": PASSWORD, **fields})


def test_sign_in_leads_to_the_server_groups(someone: User, project: Project) -> None:
    response = Client().post(LOGIN, {"login": "someone", "password": PASSWORD}, follow=True)

    assert response.redirect_chain == [("/", 302), (address(group_id=None), 302)]
    assert "Server groups" in said(response)


def test_sign_in_leads_back_to_the_requested_page(someone: User, project: Project) -> None:
    client = Client()

    redirect = client.get(address("edit/"))
    page = read(client.get(redirect.headers["Location"]))
    (form,) = [form for form in page.forms if "login" in form.fields]
    response = client.post(LOGIN, form.fields | {"login": "someone", "password": PASSWORD})

    assert redirect.headers["Location"] == f"{LOGIN}?next={address('edit/')}"
    assert response.headers["Location"] == address("edit/")


@pytest.mark.parametrize("to", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", "\\\\x"])
def test_sign_in_does_not_lead_to_another_site(someone: User, to: str) -> None:
    assert sign_in(Client(), next=to).headers["Location"] == "/"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"password": "wrong"}, "The username and/or password you specified are not correct."),
        ({"login": "unknown"}, "The username and/or password you specified are not correct."),
        ({"login": ""}, "This field is required."),
        ({"password": ""}, "This field is required."),
        ({"login": "someone\x00"}, "Null characters are not allowed."),
    ],
)
def test_a_wrong_sign_in_is_rejected(someone: User, fields: dict[str, str], message: str) -> None:
    client = Client()

    response = sign_in(client, **fields)

    assert response.status_code == 200
    assert message in said(response)
    assert PASSWORD not in response.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_wrong_name_and_a_wrong_password_get_the_same_message(someone: User) -> None:
    messages = [said(sign_in(Client(), **fields)) for fields in ({"password": "wrong"}, {"login": "unknown"})]

    assert "The username and/or password you specified are not correct." in messages[0]
    assert messages[0] == messages[1]


def test_limits_failed_sign_ins(someone: User) -> None:
    client = Client()
    for _ in range(5):
        sign_in(client, password="wrong")

    response = sign_in(client)

    assert "Too many failed login attempts." in said(response)
    assert client.get("/").headers["Location"].startswith(LOGIN)


def test_a_closed_account_cannot_sign_in(someone: User) -> None:
    User.objects.update(is_active=False)
    client = Client()

    response = client.post(LOGIN, {"login": "someone", "password": PASSWORD}, follow=True)

    assert "This account is deactivated" in said(response)
    assert client.get("/").headers["Location"].startswith(LOGIN)


def test_sign_out_asks_and_then_ends_the_session(client_as: Callable[[str], Client], project: Project) -> None:
    client = client_as("viewer")

    question, ended = said(client.get("/accounts/logout/")), client.post("/accounts/logout/")

    assert "Sign out?" in question
    assert ended.headers["Location"] == LOGIN
    assert client.get(address()).headers["Location"].startswith(LOGIN)


def test_a_change_of_password_needs_the_current_one(someone: User, project: Project) -> None:
    client = Client()
    sign_in(client)
    new = "another one, just as long"

    wrong = client.post("/accounts/password/change/", {"oldpassword": "x", "password1": new, "password2": new})
    weak = client.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": "short", "password2": "short"}
    )
    done = client.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new}, follow=True
    )

    assert (wrong.status_code, weak.status_code, done.status_code) == (200, 200, 200)
    assert "Please type your current password." in said(wrong)
    assert "too short" in said(weak)
    assert User.objects.get().check_password(new)


@pytest.mark.parametrize(
    "page", ["signup/", "password/reset/", "email/", "confirm-email/", "3rdparty/", "2fa/", "login/code/", ""]
)
def test_the_other_pages_of_allauth_do_not_exist(page: str) -> None:
    assert Client().get(f"/accounts/{page}").status_code == 404


def test_there_is_no_admin_site() -> None:
    assert Client().get("/admin/").status_code == 404
