"""System events: sign-ins, sign-outs, and changes of accounts and roles."""

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
SYSTEM = "/projects/default/audit/system/"
SIGN_IN = "/accounts/login/"


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice", password="correct horse")


def recorded() -> list[tuple[str, str, str, str]]:
    return [(row.kind, row.actor, row.from_address, row.proof) for row in SystemEvent.objects.order_by("number")]


def test_records_a_sign_in_and_a_sign_out(alice: User) -> None:
    client = Client(REMOTE_ADDR="192.0.2.7")

    client.post(SIGN_IN, {"login": "alice", "password": "correct horse"})
    client.post("/accounts/logout/")
    client.post("/accounts/logout/")

    assert recorded() == [("sign_in", "alice", "192.0.2.7", ""), ("sign_out", "alice", "192.0.2.7", "")]
    assert verify().count == 2
    assert not ChangeIntent.objects.exists()


def test_records_a_failed_sign_in_without_the_typed_text(alice: User) -> None:
    for name in ("alice", "hunter2 typed into the wrong field"):
        Client().post(SIGN_IN, {"login": name, "password": "hunter2"})

    assert recorded() == [("sign_in_failed", "alice", "127.0.0.1", ""), ("sign_in_failed", "", "127.0.0.1", "")]
    assert [str(row) for row in SystemEvent.objects.order_by("number")] == [
        "sign_in_failed, alice",
        "sign_in_failed, unknown",
    ]


def test_records_given_and_removed_roles(alice: User) -> None:
    viewer, auditor = (Group.objects.get(name=name) for name in ("viewer", "auditor"))

    alice.groups.set([viewer, auditor])
    alice.groups.set([viewer])
    alice.groups.set([viewer])
    auditor.user_set.add(alice)
    auditor.user_set.remove(alice)
    alice.groups.clear()
    alice.groups.clear()

    by = f" By OS user {pwd.getpwuid(os.getuid()).pw_name}."
    proofs = [proof.removesuffix(by) for kind, actor, _, proof in recorded() if (kind, actor) == ("roles", "alice")]
    assert proofs == [
        "Given: auditor, viewer.",
        "Taken away: auditor.",
        "Given: auditor.",
        "Taken away: auditor.",
        "Taken away: viewer.",
    ]


def test_records_changes_of_an_account(alice: User) -> None:
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


def test_records_the_removal_of_a_deleted_role(alice: User) -> None:
    role = Group.objects.create(name="operator")
    alice.groups.add(role)

    role.delete()

    assert "Taken away: operator, because the role was deleted." in recorded()[-1][3]


def test_records_a_new_password_without_its_text(alice: User) -> None:
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.post(SIGN_IN, {"login": "alice", "password": "correct horse"})

    client.post(
        "/accounts/password/change/",
        {"oldpassword": "correct horse", "password1": "battery staple 9", "password2": "battery staple 9"},
    )

    assert ("account", "alice", "192.0.2.7", "A new password.") in recorded()
    assert "battery" not in str(recorded())


@pytest.mark.parametrize("member", ["is_superuser", "is_active"])
def test_an_account_does_not_change_without_an_entry(alice: User, settings: Settings, member: str) -> None:
    settings.AUDIT_KEY = ""
    setattr(alice, member, not getattr(alice, member))

    with pytest.raises(LedgerError):
        alice.save()

    assert getattr(User.objects.get(pk=alice.pk), member) is not getattr(alice, member)


def test_roles_do_not_change_without_an_entry(alice: User) -> None:
    fill_disk("audit_changeoutcome")

    with pytest.raises(LedgerError), transaction.atomic():
        alice.groups.add(Group.objects.get(name="administrator"))

    assert not alice.groups.exists()


def test_people_can_sign_in_without_the_ledger(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    fill_disk("audit_changeoutcome")

    answer = Client().post(SIGN_IN, {"login": "alice", "password": "correct horse"})

    assert answer.status_code == 302
    assert "The event sign_in of alice could not be recorded" in caplog.text


def test_the_page_lists_system_events(
    client_as: Callable[[str], Client], project: Project, alice: User, enter: Enter
) -> None:
    enter("alice")
    alice.groups.set([Group.objects.get(name="viewer")])
    Client().post(SIGN_IN, {"login": "nobody", "password": "x"})
    client = client_as("auditor")

    everyone, only = said(client.get(SYSTEM)), said(client.get(f"{SYSTEM}?actor=alice"))

    assert "The roles of alice changed Given: viewer." in everyone
    assert "Unknown person failed to sign in Address 127.0.0.1" in everyone
    assert "The roles of alice changed" in only
    assert "Unknown person" not in only
    links = [a.attrs["href"] for a in read(client.get("/projects/default/audit/?actor=alice")).all("a")]
    assert f"{SYSTEM}?actor=alice" in links


def test_system_event_pages_link_in_both_directions(
    client_as: Callable[[str], Client], project: Project, alice: User
) -> None:
    for _ in range(120):
        record_event(Event(EventKind.SIGN_IN, "alice", alice.pk, "192.0.2.9"))
    client = client_as("auditor")

    def follow(link: str, rel: str) -> list[list[str]]:
        seen = []
        while link:
            page = read(client.get(SYSTEM + link))
            rows = re.findall(r"Row (\d+)", " ".join(words(row.text) for row in page.by_class("muted")))
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
        ("?actor=nobody", "The ledger has no events of nobody."),
        ("?cursor=1", "There are no events after this page."),
        ("", "No events yet"),
    ],
)
def test_an_empty_page_of_system_events_says_why(
    client_as: Callable[[str], Client], project: Project, query: str, expected: str
) -> None:
    client = client_as("auditor")
    empty_ledger()

    assert expected in said(client.get(SYSTEM + query))


def test_the_number_of_an_outcome_redirects_to_its_change(
    client_as: Callable[[str], Client], project: Project, enter: Enter
) -> None:
    entry = enter(outcomes=("unknown", "applied"))
    last = entry.outcomes.order_by("-number")[0]

    answer = client_as("auditor").get(f"/projects/default/audit/{last.number}/")

    assert last.number != entry.number
    assert answer.headers["Location"] == f"/projects/default/audit/{entry.number}/"
