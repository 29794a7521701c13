"""Sign-ins, sign-outs and changes of accounts and roles go into the ledger.

These are heard as Django's own signals, though everything else here is called by name: they happen in allauth, in a
command and in a shell too, and a place that forgot to call would leave a hole that nobody sees.

A ledger that is away keeps nobody out: reading stays open, and changes are refused anyway. Roles are different: whoever
gives them changes what may be done, so that a change of roles that cannot be recorded does not happen. No page gives
roles or changes accounts: who did is who ran the command, as the operating system knows them.
"""

import logging
import os
import pwd
from typing import Any

from allauth.account.signals import password_changed, password_reset, password_set
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import m2m_changed, pre_delete, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from dashboard.accounts.models import User
from dashboard.audit.ledger.services import Event, LedgerError, record_event
from dashboard.audit.models import EventKind, Outcome

logger = logging.getLogger(__name__)
RECORDED = ("username", "is_active", "is_superuser", "is_staff")
"""What an account may do beside its roles, and what it is called."""


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    _record(Event(EventKind.SIGN_IN, user.get_username(), user.pk, _address(request)))


@receiver(user_logged_out)
def _signed_out(request: HttpRequest, user: User | None, **_kwargs: Any) -> None:
    if user is not None:  # a second sign-out is nobody's
        _record(Event(EventKind.SIGN_OUT, user.get_username(), user.pk, _address(request)))


@receiver(user_login_failed)
def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_kwargs: Any) -> None:
    """Only a name that there is is written down: people type passwords into the wrong field."""
    user = User.objects.filter(username=credentials.get("username") or "").first()
    who, who_id = (user.get_username(), user.pk) if user else ("", None)
    _record(Event(EventKind.SIGN_IN_FAILED, who, who_id, _address(request), outcome=Outcome.DENIED))


@receiver(m2m_changed, sender=User.groups.through)
def _roles_changed(
    action: str, instance: User | Group, pk_set: set[int] | None, *, reverse: bool, **_kwargs: Any
) -> None:
    """Raises LedgerError, inside the transaction of the change. Django also says it from the side of the role."""
    words = {"post_add": "Given", "post_remove": "Taken away", "pre_clear": "Taken away"}
    if action not in words:
        return
    memberships = User.groups.through.objects.filter(**{"group" if reverse else "user": instance})
    ids = pk_set if pk_set is not None else set(memberships.values_list("user" if reverse else "group", flat=True))
    people = User.objects.filter(pk__in=ids) if reverse else User.objects.filter(pk=instance.pk)
    roles = Group.objects.filter(pk=instance.pk) if reverse else Group.objects.filter(pk__in=ids)
    names = ", ".join(roles.order_by("name").values_list("name", flat=True))
    for user in people if names else ():
        _record_by_hand(EventKind.ROLES, user, f"{words[action]}: {names}.")


@receiver(pre_delete, sender=Group)
def _role_deleted(instance: Group, **_kwargs: Any) -> None:
    for user in User.objects.filter(groups=instance):
        _record_by_hand(EventKind.ROLES, user, f"Taken away: {instance.name}, because the role was deleted.")


@receiver(pre_save, sender=User)
def _account_changed(instance: User, **_kwargs: Any) -> None:
    """Raises LedgerError: what lets someone in, or do anything, is not changed unrecorded."""
    before = User.objects.filter(pk=instance.pk).first()
    changes = [(name, getattr(before, name), getattr(instance, name)) for name in RECORDED] if before else []
    told = "; ".join(f"{name}: {old} to {new}" for name, old, new in changes if old != new)
    if before and told:
        _record_by_hand(EventKind.ACCOUNT, before, f"{told}.")


@receiver(pre_delete, sender=User)
def _account_deleted(instance: User, **_kwargs: Any) -> None:
    _record_by_hand(EventKind.ACCOUNT, instance, "Deleted.")


@receiver([password_changed, password_set, password_reset])
def _password_changed(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    _record(Event(EventKind.ACCOUNT, user.get_username(), user.pk, _address(request), told="A new password."))


def name_of_os_user() -> str:
    """Not from the environment, which anyone may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _record_by_hand(kind: EventKind, user: User, told: str) -> None:
    told = f"{told} By OS user {name_of_os_user()}."
    record_event(Event(kind, user.get_username(), user.pk, told=told))


def _record(event: Event) -> None:
    try:
        record_event(event)
    except LedgerError:
        logger.exception("That %s %s could not be recorded", event.who or "someone", event.kind.label)


def _address(request: HttpRequest | None) -> str:
    return request.META.get("REMOTE_ADDR", "") if request else ""
