from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction
from django.utils.functional import cached_property

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

    def save(self, *args: Any, **options: Any) -> None:
        """Save an account together with the rows of the ledger about it, or not at all."""
        with transaction.atomic():
            super().save(*args, **options)

    @property
    def role_names(self) -> str:
        """The labels of the roles, for pages."""
        names = dict.fromkeys(grant.role for grant in self.grants)
        return ", ".join(str(ROLE_LABELS.get(name, name)) for name in names)


def find_account(name: str) -> User | None:
    """The account that a typed name means at the sign-in, in any case of letters."""
    found = list(User.objects.filter(username__iexact=name)[:2])
    return found[0] if len(found) == 1 else None


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


class PasswordAttempt(models.Model):
    """A check of a password that failed or is under way. It counts for the limits."""

    account = models.CharField(max_length=64)
    """The id of the account, or a MAC of the typed name."""
    address = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["account", "at"], name="accounts_attempt_account"),
            models.Index(fields=["address", "at"], name="accounts_attempt_address"),
        ]

    def __str__(self) -> str:
        return f"{self.account} from {self.address}"


class KnownAddress(models.Model):
    """An address, or an IPv6 network, from which a person signed in."""

    person = models.ForeignKey(User, models.CASCADE, related_name="+")
    address = models.CharField(max_length=64)
    last_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["person", "address"], name="accounts_known_address")]

    def __str__(self) -> str:
        return f"{self.person_id} from {self.address}"
