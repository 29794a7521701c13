"""The comparison of accounts, roles and permissions with their last seen state."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from dashboard.accounts.models import User
from dashboard.audit.access import FOUND, record_access_changes
from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger.services import LedgerError
from dashboard.audit.models import AccessState, SystemEvent
from dashboard.cloud.projects import Project
from dashboard.worker.jobs import Worker
from tests.ledger import run
from tests.markup import said

pytestmark = pytest.mark.django_db
SIGN_IN = "/accounts/login/"


@pytest.fixture
def alice() -> User:
    """An account that the comparison has seen."""
    user = User.objects.create_user("alice", password="correct horse")
    record_access_changes()
    return user


def found() -> list[tuple[str, str, str]]:
    """The new events of the comparison."""
    before = SystemEvent.objects.count()
    record_access_changes()
    rows = SystemEvent.objects.order_by("number")[before:]
    assert all(row.proof.endswith(FOUND) for row in rows)
    return [(row.kind, row.actor, row.proof.removesuffix(FOUND).strip()) for row in rows]


def permission(name: str) -> Permission:
    return Permission.objects.get(codename=name)


def test_the_first_comparison_records_each_account_and_role() -> None:
    User.objects.create_user("alice", password="x").groups.add(Group.objects.get(name="viewer"))

    events = found()

    assert ("account", "alice", "New. Roles given: viewer.") in events
    assert ("permissions", "", "Role viewer. New. Permissions given: server_groups.view_servergroup.") in events
    assert (len(events), found(), verify().count > 0) == (5, [], True)


def test_createsuperuser_is_recorded(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "correct horse")

    call_command("createsuperuser", "--noinput", "--username", "root", "--email", "", verbosity=0)

    assert found() == [("account", "root", "New. is_superuser. is_staff.")]


def test_a_made_account_is_recorded(alice: User) -> None:
    User.objects.bulk_create([User(username="bob"), User(username="eve", is_active=False)])

    assert found() == [("account", "bob", "New."), ("account", "eve", "New. Not active.")]


@pytest.mark.parametrize("name", ["is_superuser", "is_staff", "is_active"])
def test_an_update_of_a_query_set_is_recorded(alice: User, name: str) -> None:
    old = getattr(alice, name)

    User.objects.filter(pk=alice.pk).update(**{name: not old})

    assert (found(), found()) == ([("account", "alice", f"{name}: {old} to {not old}.")], [])


def test_a_change_by_sql_is_recorded(alice: User) -> None:
    run("UPDATE accounts_user SET username = 'mallory' WHERE id = %s", alice.pk)

    assert found() == [("account", "alice", "username: alice to mallory.")]


def test_permissions_given_to_a_person_are_recorded(alice: User) -> None:
    alice.user_permissions.add(permission("edit_servergroup"), permission("view_ledger"))
    given = found()
    alice.user_permissions.clear()

    both = "audit.view_ledger, server_groups.edit_servergroup"
    assert given == [("account", "alice", f"Permissions given: {both}.")]
    assert found() == [("account", "alice", f"Permissions taken away: {both}.")]


def test_permissions_given_to_a_role_are_recorded(alice: User) -> None:
    Group.objects.get(name="viewer").permissions.set([permission("edit_servergroup")])

    changes = (
        "Permissions given: server_groups.edit_servergroup. Permissions taken away: server_groups.view_servergroup."
    )
    assert found() == [("permissions", "", f"Role viewer. {changes}")]


def test_a_made_renamed_or_deleted_role_is_recorded(alice: User) -> None:
    role = Group.objects.create(name="operator")
    made = found()
    Group.objects.filter(pk=role.pk).update(name="root")
    renamed = found()
    role.delete()

    assert made == [("permissions", "", "Role operator. New.")]
    assert renamed == [("permissions", "", "Role operator. name: operator to root.")]
    assert found() == [("permissions", "", "Role root. Deleted.")]


def test_roles_given_by_sql_are_recorded(alice: User) -> None:
    run("INSERT INTO accounts_user_groups (user_id, group_id) SELECT %s, id FROM auth_group", alice.pk)

    assert found() == [("account", "alice", "Roles given: administrator, auditor, help desk, viewer.")]


def test_a_password_set_in_a_shell_is_recorded(alice: User) -> None:
    alice.set_password("another one")
    alice.save()

    assert found() == [("account", "alice", "A new password.")]
    assert "another" not in str(AccessState.objects.values_list("state", flat=True))


def test_an_account_deleted_by_sql_is_recorded(alice: User) -> None:
    run("DELETE FROM accounts_user WHERE id = %s", alice.pk)

    assert found() == [("account", "alice", "Deleted.")]


def test_what_is_recorded_at_once_is_not_recorded_again(alice: User) -> None:
    viewer, auditor = (Group.objects.get(name=name) for name in ("viewer", "auditor"))
    alice.groups.set([viewer, auditor])
    auditor.user_set.remove(alice)
    alice.is_superuser = True
    alice.save()
    client = Client()
    client.post(SIGN_IN, {"login": "alice", "password": "correct horse"})
    new = {"password1": "battery staple 9", "password2": "battery staple 9"}
    assert client.post("/accounts/password/change/", {"oldpassword": "correct horse", **new}).status_code == 302
    rehashed = User.objects.get(pk=alice.pk)
    rehashed.set_password("battery staple 9")
    rehashed.save(update_fields=["password"])

    assert found() == []
    rehashed.delete()
    assert found() == []


def test_a_recorded_change_does_not_hide_another(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_superuser=True)
    alice.refresh_from_db()
    alice.is_staff = True
    alice.save()
    alice.groups.add(Group.objects.get(name="viewer"))

    assert found() == [("account", "alice", "is_superuser: False to True.")]


def test_a_difference_stays_until_the_ledger_can_record_it(alice: User, settings: Settings) -> None:
    User.objects.update(is_superuser=True)
    key, settings.AUDIT_KEY = settings.AUDIT_KEY, ""

    with pytest.raises(LedgerError):
        record_access_changes()

    settings.AUDIT_KEY = key
    assert found() == [("account", "alice", "is_superuser: False to True.")]


def test_the_worker_compares_once_a_minute(alice: User) -> None:
    worker = Worker()
    User.objects.update(is_superuser=True)
    worker.compare_access()
    first = SystemEvent.objects.latest("number").proof
    User.objects.update(is_superuser=False)
    worker.compare_access()

    assert first == SystemEvent.objects.latest("number").proof == f"is_superuser: False to True. {FOUND}"


def test_the_page_of_system_events_shows_the_change_of_a_role(
    alice: User, client_as: Callable[[str], Client], project: Project
) -> None:
    Group.objects.get(name="viewer").permissions.clear()
    record_access_changes()

    page = said(client_as("auditor").get("/projects/default/audit/system/"))

    assert "A role changed Role viewer. Permissions taken away: server_groups.view_servergroup." in page
