from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser

from dashboard.accounts.roles import ROLE_LABELS


class User(AbstractUser):
    """A person who can sign in. The permissions come from the roles in `roles.py`."""

    @property
    def role_names(self) -> str:
        """The labels of the roles, for pages."""
        names = self.groups.values_list("name", flat=True)
        return ", ".join(str(ROLE_LABELS.get(name, name)) for name in names)


@dataclass(frozen=True)
class Actor:
    """The person who acts, and the address, for permission checks and the ledger."""

    user: User
    address: str

    def may(self, permission: str) -> bool:
        return self.user.has_perm(permission)
