"""Who came in, who went, who could not, and whose account or roles changed."""

import os
import pwd
import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from pytest_django import Settings

from dashboard.accounts.models import User
from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger.services import Event, LedgerError, record_event
from dashboard.audit.models import ChangeIntent, EventKind, SystemEvent
from dashboard.cloud.projects import Project
from tests.audit.conftest import Enter
from tests.ledger import empty_ledger, fill_disk
from tests.markup import read, said, words

pytestmark = pytest.mark.django_db
HOUSE = "/projects/default/audit/system/"
SIGN_IN = "/accounts/login/"


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice", password="correct horse")


def recorded() -> list[tuple[str, str, str, str]]:
    return [(row.kind, row.actor, row.from_address, row.proof) for row in SystemEvent.objects.order_by("number")]


def test_a_sign_in_and_a_sign_out_are_recorded(alice: User) -> None:
    client = Client(REMOTE_ADDR="192.0.2.7")

    client.post(SIGN_IN, {"login": "alice", "password": "correct horse"})
    client.post("/accounts/logout/")
    client.post("/accounts/logout/")

    assert recorded() == [("sign_in", "alice", "192.0.2.7", ""), ("sign_out", "alice", "192.0.2.7", "")]
    assert verify().count == 2
    assert not ChangeIntent.objects.exists()


def test_a_failed_sign_in_is_recorded_without_what_was_typed(alice: User) -> None:
    for name in ("alice", "hunter2 typed into the wrong field"):
        Client().post(SIGN_IN, {"login": name, "password": "hunter2"})

    assert recorded() == [("sign_in_failed", "alice", "127.0.0.1", ""), ("sign_in_failed", "", "127.0.0.1", "")]
    assert [str(row) for row in SystemEvent.objects.order_by("number")] == [
        "alice could not sign in.",
        "someone could not sign in.",
    ]


def test_roles_are_recorded_as_they_are_given_and_taken_away(alice: User) -> None:
    viewer, auditor = (Group.objects.get(name=name) for name in ("viewer", "auditor"))

    alice.groups.set([viewer, auditor])
    alice.groups.set([viewer])
    alice.groups.set([viewer])
    auditor.user_set.add(alice)
    auditor.user_set.remove(alice)
    alice.groups.clear()
    alice.groups.clear()

    by = f" By OS user {pwd.getpwuid(os.getuid()).pw_name}."
    told = [told.removesuffix(by) for kind, who, _, told in recorded() if (kind, who) == ("roles", "alice")]
    assert told == [
        "Given: auditor, viewer.",
        "Taken away: auditor.",
        "Given: auditor.",
        "Taken away: auditor.",
        "Taken away: viewer.",
    ]


def test_what_an_account_may_do_is_recorded_when_it_changes(alice: User) -> None:
    alice.save()
    for name, value in (("is_active", False), ("is_superuser", True), ("username", "alicia")):
        setattr(alice, name, value)
        alice.save()
    alice.delete()

    by = f" By OS user {pwd.getpwuid(os.getuid()).pw_name}."
    assert recorded() == [
        ("account", "alice", "", f"is_active: True to False.{by}"),
        ("account", "alice", "", f"is_superuser: False to True.{by}"),
        ("account", "alice", "", f"username: alice to alicia.{by}"),
        ("account", "alicia", "", f"Deleted.{by}"),
    ]


def test_a_role_that_is_deleted_is_taken_from_who_had_it(alice: User) -> None:
    role = Group.objects.create(name="operator")
    alice.groups.add(role)

    role.delete()

    assert "Taken away: operator, because the role was deleted." in recorded()[-1][3]


def test_a_new_password_is_recorded_and_not_which(alice: User) -> None:
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.post(SIGN_IN, {"login": "alice", "password": "correct horse"})

    client.post(
        "/accounts/password/change/",
        {"oldpassword": "correct horse", "password1": "battery staple 9", "password2": "battery staple 9"},
    )

    assert ("account", "alice", "192.0.2.7", "A new password.") in recorded()
    assert "battery" not in str(recorded())


@pytest.mark.parametrize("member", ["is_superuser", "is_active"])
def test_an_account_does_not_change_unrecorded(alice: User, settings: Settings, member: str) -> None:
    settings.AUDIT_KEY = ""
    setattr(alice, member, not getattr(alice, member))

    with pytest.raises(LedgerError):
        alice.save()

    assert getattr(User.objects.get(pk=alice.pk), member) is not getattr(alice, member)


def test_roles_that_cannot_be_recorded_are_not_given(alice: User) -> None:
    fill_disk("audit_changeoutcome")

    with pytest.raises(LedgerError), transaction.atomic():
        alice.groups.add(Group.objects.get(name="administrator"))

    assert not alice.groups.exists()


def test_a_ledger_that_is_away_keeps_nobody_out(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    fill_disk("audit_changeoutcome")

    answer = Client().post(SIGN_IN, {"login": "alice", "password": "correct horse"})

    assert answer.status_code == 302
    assert "That alice signed in could not be recorded" in caplog.text


def test_what_happened_at_the_door_has_its_page(
    client_as: Callable[[str], Client], project: Project, alice: User, enter: Enter
) -> None:
    enter("alice")
    alice.groups.set([Group.objects.get(name="viewer")])
    Client().post(SIGN_IN, {"login": "nobody", "password": "x"})
    client = client_as("auditor")

    everyone, only = said(client.get(HOUSE)), said(client.get(f"{HOUSE}?actor=alice"))

    assert "alice had roles changed Given: viewer." in everyone
    assert "Someone unknown could not sign in from 127.0.0.1" in everyone
    assert "alice had roles changed" in only
    assert "Someone unknown" not in only
    links = [a.attrs["href"] for a in read(client.get("/projects/default/audit/?actor=alice")).all("a")]
    assert f"{HOUSE}?actor=alice" in links


def test_system_event_pages_lead_both_ways(client_as: Callable[[str], Client], project: Project, alice: User) -> None:
    for _ in range(120):
        record_event(Event(EventKind.SIGN_IN, "alice", alice.pk, "192.0.2.9"))
    client = client_as("auditor")

    def follow(link: str, rel: str) -> list[list[str]]:
        seen = []
        while link:
            page = read(client.get(HOUSE + link))
            rows = re.findall(r"row (\d+)", " ".join(words(row.text) for row in page.by_class("muted")))
            seen.append(rows)
            link = next((a.attrs["href"] for a in page.all("a", rel=rel)), "")
        assert "Newest" in [words(a.text) for a in page.all("a")]
        return seen

    there, back = follow("?actor=alice", "next"), follow("?actor=alice&cursor=newer.0", "prev")

    assert [len(page) for page in there] == [50, 50, 20]
    assert [row for page in there for row in page] == [row for page in back[::-1] for row in page]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?actor=nobody", "Nothing is recorded of nobody."),
        ("?cursor=1", "The events end here."),
        ("", "Nobody came in yet"),
    ],
)
def test_nothing_at_the_door_says_so(
    client_as: Callable[[str], Client], project: Project, query: str, expected: str
) -> None:
    client = client_as("auditor")
    empty_ledger()

    assert expected in said(client.get(HOUSE + query))


def test_an_outcomes_number_leads_to_its_change(
    client_as: Callable[[str], Client], project: Project, enter: Enter
) -> None:
    entry = enter(outcomes=("unknown", "applied"))
    last = entry.outcomes.order_by("-number")[0]

    answer = client_as("auditor").get(f"/projects/default/audit/{last.number}/")

    assert last.number != entry.number
    assert answer.headers["Location"] == f"/projects/default/audit/{entry.number}/"
