"""Record sign-ins, sign-outs and changes of accounts and roles in the ledger.

This module uses Django's signals, although the rest of the project calls services by name. These events also happen in
allauth, in commands and in a shell, and a forgotten call would leave a gap that no check finds.

If the ledger is unavailable, people can still sign in and read: changes are refused anyway. A change of roles or of an
account that cannot be recorded does not happen, because it changes a person's permissions. No page changes roles or
accounts, so the recorded author is the operating system's user who ran the command.

`access` finds the changes that cause no signal.
"""

import logging
import os
import pwd
from collections.abc import Callable
from typing import Any

from allauth.account.signals import password_changed, password_reset, password_set
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import m2m_changed, pre_delete, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from dashboard.accounts.models import User, find_account
from dashboard.accounts.sign_in_limits import limit_reached
from dashboard.audit.access import ATTRIBUTES, fingerprint, note, note_deleted, note_roles
from dashboard.audit.ledger.folding import Fold, record_refused_event
from dashboard.audit.ledger.services import Event, LedgerError, appending, record_event
from dashboard.audit.models import EventKind, Outcome

logger = logging.getLogger(__name__)


@receiver(user_logged_in)
def _record_sign_in(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    _record(Event(EventKind.SIGN_IN, user.get_username(), user.pk, _address(request)))


@receiver(user_logged_out)
def _record_sign_out(request: HttpRequest, user: User | None, **_kwargs: Any) -> None:
    if user is not None:  # None: the person was not signed in
        _record(Event(EventKind.SIGN_OUT, user.get_username(), user.pk, _address(request)))


@receiver(user_login_failed)
def _record_failed_sign_in(credentials: dict[str, Any], request: HttpRequest | None = None, **_kwargs: Any) -> None:
    """Record only the name of an account that exists: people type passwords into the wrong field."""
    account = find_account(credentials.get("username") or "")
    _record_refused(EventKind.SIGN_IN_FAILED, account, _address(request))


@receiver(limit_reached)
def _record_limited_sign_in(account: User | None, address: str, **_kwargs: Any) -> None:
    _record_refused(EventKind.SIGN_IN_LIMITED, account, address)


@receiver(m2m_changed, sender=User.groups.through)
def _record_roles(
    action: str, instance: User | Group, pk_set: set[int] | None, *, reverse: bool, **_kwargs: Any
) -> None:
    """Record given and removed roles. With `reverse`, the instance is the role. Raises LedgerError."""
    words = {"post_add": "Given", "post_remove": "Taken away", "pre_clear": "Taken away"}
    if action not in words:
        return
    memberships = User.groups.through.objects.filter(**{"group" if reverse else "user": instance})
    ids = pk_set if pk_set is not None else set(memberships.values_list("user" if reverse else "group", flat=True))
    people = User.objects.filter(pk__in=ids) if reverse else User.objects.filter(pk=instance.pk)
    roles = Group.objects.filter(pk=instance.pk) if reverse else Group.objects.filter(pk__in=ids)
    names = list(roles.order_by("name").values_list("name", flat=True))
    for user in people if names else ():
        _record_by_os_user(EventKind.ROLES, user, f"{words[action]}: {', '.join(names)}.")
        note_roles(user, **{"given" if action == "post_add" else "taken": names})


@receiver(pre_delete, sender=Group)
def _record_deleted_role(instance: Group, **_kwargs: Any) -> None:
    for user in User.objects.filter(groups=instance):
        _record_by_os_user(EventKind.ROLES, user, f"Taken away: {instance.name}, because the role was deleted.")
        note_roles(user, taken=[instance.name])


@receiver(pre_save, sender=User)
def _record_account(instance: User, update_fields: frozenset[str] | None = None, **_kwargs: Any) -> None:
    """Record changes of an account. Raises LedgerError, so that no unrecorded change is saved."""
    if (before := User.objects.filter(pk=instance.pk).first()) is None:
        return
    changes = [(name, getattr(before, name), getattr(instance, name)) for name in ATTRIBUTES]
    if proof := "; ".join(f"{name}: {old} to {new}" for name, old, new in changes if old != new):
        _record_by_os_user(EventKind.ACCOUNT, before, f"{proof}.")
        note(before, **{name: new for name, old, new in changes if old != new})
    if update_fields and set(update_fields) == {"password"}:  # Django does this after a change of the hasher
        _record_by_os_user(EventKind.ACCOUNT, before, "A new password, or a new hash of the same password.")
        note(before, password=fingerprint(instance.password))


@receiver(pre_delete, sender=User)
def _record_deleted_account(instance: User, **_kwargs: Any) -> None:
    _record_by_os_user(EventKind.ACCOUNT, instance, "Deleted.")
    note_deleted(instance)


@receiver([password_changed, password_set, password_reset])
def _record_new_password(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    event = Event(EventKind.ACCOUNT, user.get_username(), user.pk, _address(request), proof="A new password.")
    _record(event, lambda: note(user, password=fingerprint(user.password)))


def name_of_os_user() -> str:
    """Return the name of the process's owner, not from the environment, which anyone can set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _record_by_os_user(kind: EventKind, user: User, proof: str) -> None:
    proof = f"{proof} By OS user {name_of_os_user()}."
    record_event(Event(kind, user.get_username(), user.pk, proof=proof))


def _record(event: Event, then: Callable[[], None] = lambda: None) -> None:
    """Record an event that has happened. A failure is only logged."""
    try:
        with appending():
            record_event(event)
            then()
    except LedgerError:
        logger.exception("The event %s of %s could not be recorded", event.kind.value, event.actor or "unknown")


def _record_refused(kind: EventKind, account: User | None, address: str) -> None:
    """Record a refused sign-in: one row a minute for each account and address. A failure is only logged."""
    actor, actor_id = (account.get_username(), account.pk) if account else ("", None)
    event = Event(kind, actor, actor_id, address, outcome=Outcome.DENIED)
    try:
        record_refused_event(event, Fold((kind, actor_id, address), ("account", actor_id)))
    except LedgerError:
        logger.exception("The event %s of %s could not be recorded", kind.value, actor or "unknown")


def _address(request: HttpRequest | None) -> str:
    return request.META.get("REMOTE_ADDR", "") if request else ""
