"""The roles in the database after the migration are those of the table."""

import pytest
from django.contrib.auth.models import Group, Permission

from dashboard.accounts.models import Actor, User
from dashboard.accounts.roles import EDIT, ROLES, SWITCH, VIEW, VIEW_LEDGER

pytestmark = pytest.mark.django_db
ALL = (VIEW, SWITCH, EDIT, VIEW_LEDGER)


def test_the_migration_creates_exactly_the_roles_of_the_table() -> None:
    made = {
        group.name: {
            f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.select_related("content_type")
        }
        for group in Group.objects.all()
    }

    assert made == {role: set(permissions) for role, permissions in ROLES.items()}


@pytest.mark.parametrize("permission", ALL)
def test_the_database_has_each_permission_once(permission: str) -> None:
    app_label, _, codename = permission.partition(".")

    (made,) = Permission.objects.filter(codename=codename)

    assert made.content_type.app_label == app_label


@pytest.mark.parametrize(
    ("role", "permissions"),
    [
        ("viewer", [VIEW]),
        ("help desk", [VIEW, SWITCH, VIEW_LEDGER]),
        ("administrator", [VIEW, SWITCH, EDIT, VIEW_LEDGER]),
        ("auditor", [VIEW, VIEW_LEDGER]),
        (None, []),
    ],
)
def test_an_actor_has_the_permissions_of_the_role(role: str | None, permissions: list[str]) -> None:
    user = User.objects.create_user("someone")
    user.groups.set(Group.objects.filter(name=role))

    actor = Actor(user, "192.0.2.7")

    assert [permission for permission in ALL if actor.may(permission)] == permissions


def test_a_closed_account_has_no_permissions() -> None:
    user = User.objects.create_user("someone", is_active=False)
    user.groups.set(Group.objects.all())

    assert [permission for permission in ALL if Actor(user, "").may(permission)] == []


def test_role_names_lists_all_roles() -> None:
    user = User.objects.create_user("someone")
    user.groups.set(Group.objects.filter(name__in=["viewer", "auditor"]))

    assert user.role_names.split(", ") in (["viewer", "auditor"], ["auditor", "viewer"])
