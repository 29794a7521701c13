from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser
from django.utils.functional import cached_property
from django.db import models

from dashboard.accounts.roles import ROLE_LABELS


@dataclass(frozen=True)
class Grant:
    """A role of a person, with one of its permissions. A role without permissions has an empty one."""

    role: str
    app: str | None
    codename: str | None

    @property
    def permission(self) -> str:
        return f"{self.app}.{self.codename}"


class User(AbstractUser):
    """A person who can sign in. The permissions come from the roles in `roles.py`."""

    @cached_property
    def grants(self) -> list[Grant]:
        """The roles and their permissions. `RoleBackend` reads them with the person."""
        columns = ("name", "permissions__content_type__app_label", "permissions__codename")
        return [Grant(*row) for row in self.groups.values_list(*columns)]

    @property
    def role_names(self) -> str:
        """The labels of the roles, for pages."""
        names = dict.fromkeys(grant.role for grant in self.grants)
        return ", ".join(str(ROLE_LABELS.get(name, name)) for name in names)


@dataclass(frozen=True)
class Actor:
    """The person who acts, and the address, for permission checks and the ledger."""

    user: User
    address: str

    def may(self, permission: str) -> bool:
        return self.user.has_perm(permission)


class KeptInput(models.Model):
    """The form that a person posted after the session had expired. Only this person sees it again."""

    person = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="+")
    path = models.TextField()
    """URL-encoded, as is `data`, because PostgreSQL cannot store a NUL character."""
    data = models.TextField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.person_id}: {self.path}"
