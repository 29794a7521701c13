from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Someone who may sign in; what they may do comes from the roles in `roles.py`."""

    @property
    def role_names(self) -> str:
        return ", ".join(self.groups.values_list("name", flat=True))


@dataclass(frozen=True)
class Actor:
    """Who does something, and from which address: what a service needs to allow it and the ledger to record it."""

    user: User
    address: str

    def may(self, permission: str) -> bool:
        return self.user.has_perm(permission)
