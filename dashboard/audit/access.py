"""Find changes of accounts, roles and permissions that no page and no signal recorded.

`QuerySet.update`, SQL, a fixture or a shell can change what a person may do. A table holds the last seen state of each
account and role. The worker compares it with the present state, and each difference becomes a system event. A change
that is undone between two comparisons is not found.

`events` records some changes at once. It notes them here, so that the comparison does not record them again.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group

from dashboard.accounts.models import User
from dashboard.audit.ledger.services import Event, appending, reading_ledger, record_event
from dashboard.audit.models import AccessState, EventKind

State = dict[str, Any]

ATTRIBUTES = ("username", "is_active", "is_superuser", "is_staff")
FIRST_VALUES = {
    ("is_active", False): "Not active.",
    ("is_superuser", True): "is_superuser.",
    ("is_staff", True): "is_staff.",
}
"""Sentences about a new account. Other first values say nothing."""
PERMISSION = ("permission__content_type__app_label", "permission__codename")
FOUND = "Found by comparison, so the author is not known."


@dataclass(frozen=True)
class Difference:
    """A subject is an account (`person 3`) or a role (`role 2`). A state is None before it is made, or once deleted."""

    subject: str
    before: State | None
    after: State | None

    @property
    def event(self) -> Event:
        state: State = self.before or self.after or {}
        kind, _, number = self.subject.partition(" ")
        if kind == "role":
            return Event(EventKind.PERMISSIONS, proof=f"Role {state['name']}. {self._sentence}")
        return Event(EventKind.ACCOUNT, state["username"], int(number), proof=self._sentence)

    @property
    def _sentence(self) -> str:
        if self.after is None:
            return f"Deleted. {FOUND}"
        old, new = self.before or {}, self.after
        parts = [part for name in new if (part := _describe(name, old.get(name), new[name]))]
        return " ".join((*([] if self.before else ["New."]), *parts, FOUND))


def record_access_changes() -> None:
    """Record each difference to the last seen state. Raises LedgerError."""
    with reading_ledger():
        is_changed = any(_differences())
    if is_changed:
        with appending():  # other processes may record the same difference, or make a change, until now
            for difference in _differences():
                record_event(difference.event)
                _remember(difference)


def note(person: User, **values: object) -> None:
    """Note values of an account that are recorded already."""
    _note(person, lambda state: state | values)


def note_roles(person: User, *, given: Iterable[str] = (), taken: Iterable[str] = ()) -> None:
    """Note roles of an account that are recorded already."""
    _note(person, lambda state: state | {"roles": sorted({*state["roles"], *given} - {*taken})})


def note_deleted(person: User) -> None:
    """Note a deleted account that is recorded already."""
    AccessState.objects.filter(subject=_subject_of(person)).delete()


def fingerprint(password: str) -> str:
    """Identifies the stored hash of a password, and cannot be used to guess the password."""
    return hashlib.sha256(password.encode()).hexdigest()[:16]


def _note(person: User, change: Callable[[State], State]) -> None:
    """Change a noted state. A new account has none until the first comparison, which records the account."""
    if (known := AccessState.objects.filter(subject=_subject_of(person)).first()) is not None:
        known.state = change(known.state)
        known.save()


def _subject_of(person: User) -> str:
    return f"person {person.pk}"


def _differences() -> Iterator[Difference]:
    seen: dict[str, State] = dict(AccessState.objects.values_list("subject", "state"))
    present = dict((*_roles(), *_people()))
    for subject in sorted(seen.keys() | present.keys()):
        before, after = seen.get(subject), present.get(subject)
        if before != after:
            yield Difference(subject, before, after)


def _remember(difference: Difference) -> None:
    if difference.after is None:
        AccessState.objects.filter(subject=difference.subject).delete()
    else:
        AccessState.objects.update_or_create(subject=difference.subject, defaults={"state": difference.after})


def _roles() -> Iterator[tuple[str, State]]:
    permissions = _names(Group.permissions.through.objects.values_list("group", *PERMISSION))
    for pk, name in Group.objects.values_list("pk", "name"):
        yield f"role {pk}", {"name": name, "permissions": permissions[pk]}


def _people() -> Iterator[tuple[str, State]]:
    roles = _names(User.groups.through.objects.values_list("user", "group__name"))
    permissions = _names(User.user_permissions.through.objects.values_list("user", *PERMISSION))
    for pk, password, *values in User.objects.values_list("pk", "password", *ATTRIBUTES):
        state = dict(zip(ATTRIBUTES, values, strict=True))
        state |= {"password": fingerprint(password), "roles": roles[pk], "permissions": permissions[pk]}
        yield f"person {pk}", state


def _names(rows: Iterable[tuple[Any, ...]]) -> dict[int, list[str]]:
    """Group names, which can have parts, by the id in front of them."""
    names: dict[int, list[str]] = defaultdict(list)
    for pk, *parts in rows:
        names[pk].append(".".join(parts))
    return defaultdict(list, {pk: sorted(found) for pk, found in names.items()})


def _describe(name: str, old: Any, new: Any) -> str:
    """A sentence about one value. Empty if there is nothing to say."""
    if name == "password":
        return "" if old in (None, new) else "A new password."
    if isinstance(new, list):
        given, taken = sorted(set(new) - set(old or ())), sorted(set(old or ()) - set(new))
        sentences = (("given", given), ("taken away", taken))
        return " ".join(f"{name.capitalize()} {verb}: {', '.join(names)}." for verb, names in sentences if names)
    if old is None:
        return FIRST_VALUES.get((name, new), "")
    return "" if old == new else f"{name}: {old} to {new}."
