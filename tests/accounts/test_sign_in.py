"""The door: who comes in, where they land, and what is not open at all."""

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


def test_signing_in_leads_to_the_groups(someone: User, project: Project) -> None:
    answer = Client().post(LOGIN, {"login": "someone", "password": PASSWORD}, follow=True)

    assert answer.redirect_chain == [("/", 302), (address(group_id=None), 302)]
    assert "Server groups" in said(answer)


def test_signing_in_leads_back_to_where_one_was_going(someone: User, project: Project) -> None:
    client = Client()

    asked = client.get(address("edit/"))
    page = read(client.get(asked.headers["Location"]))
    (form,) = [form for form in page.forms if "login" in form.fields]
    answer = client.post(LOGIN, form.fields | {"login": "someone", "password": PASSWORD})

    assert asked.headers["Location"] == f"{LOGIN}?next={address('edit/')}"
    assert answer.headers["Location"] == address("edit/")


@pytest.mark.parametrize("to", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", "\\\\x"])
def test_signing_in_leads_nowhere_else(someone: User, to: str) -> None:
    assert sign_in(Client(), next=to).headers["Location"] == "/"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"password": "wrong"}, "The username and/or password you specified are not correct."),
        ({"login": "nobody"}, "The username and/or password you specified are not correct."),
        ({"login": ""}, "This field is required."),
        ({"password": ""}, "This field is required."),
        ({"login": "someone\x00"}, "Null characters are not allowed."),
    ],
)
def test_a_wrong_sign_in_stays_outside(someone: User, fields: dict[str, str], told: str) -> None:
    client = Client()

    answer = sign_in(client, **fields)

    assert answer.status_code == 200
    assert told in said(answer)
    assert PASSWORD not in answer.content.decode()
    assert "_auth_user_id" not in client.session


def test_a_wrong_name_is_told_in_the_same_words_as_a_wrong_password(someone: User) -> None:
    answers = [said(sign_in(Client(), **fields)) for fields in ({"password": "wrong"}, {"login": "nobody"})]

    assert "The username and/or password you specified are not correct." in answers[0]
    assert answers[0] == answers[1]


def test_guessing_is_slowed_down(someone: User) -> None:
    client = Client()
    for _ in range(5):
        sign_in(client, password="wrong")

    answer = sign_in(client)

    assert "Too many failed login attempts." in said(answer)
    assert client.get("/").headers["Location"].startswith(LOGIN)


def test_an_account_that_was_closed_stays_outside(someone: User) -> None:
    User.objects.update(is_active=False)
    client = Client()

    answer = client.post(LOGIN, {"login": "someone", "password": PASSWORD}, follow=True)

    assert "This account is closed" in said(answer)
    assert client.get("/").headers["Location"].startswith(LOGIN)


def test_signing_out_asks_and_then_ends_the_session(client_as: Callable[[str], Client], project: Project) -> None:
    client = client_as("viewer")

    asked, ended = said(client.get("/accounts/logout/")), client.post("/accounts/logout/")

    assert "Sign out?" in asked
    assert ended.headers["Location"] == LOGIN
    assert client.get(address()).headers["Location"].startswith(LOGIN)


def test_a_password_is_changed_by_who_knows_it(someone: User, project: Project) -> None:
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
    "door", ["signup/", "password/reset/", "email/", "confirm-email/", "3rdparty/", "2fa/", "login/code/", ""]
)
def test_no_other_door_is_there(door: str) -> None:
    assert Client().get(f"/accounts/{door}").status_code == 404


def test_there_is_no_admin_site() -> None:
    assert Client().get("/admin/").status_code == 404
