"""A submitted edit form as a value: what the person saw and what they typed.

A form validates and renders a submission. After a failure, a conflict or a choice, a pure function makes the next one.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.core import signing
from django.http import QueryDict

from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.fields import FIELDS, GroupContext, ShownGroup, snapshot
from dashboard.server_groups.inputs import is_same

SEEN_SALT = "server-group-as-seen"
SUBMISSION_SALT = "server-group-submission"
MAX_AGE = timedelta(days=7)
"""The longest time between rendering a form or a review and posting it."""


class StaleFormError(Exception):
    """The signed part of a form is altered or expired, so that nothing of the form may be sent."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        super().__init__("the form is altered or expired")
        self.typed = typed
        """Text by form field, as far as it can be read."""


def new_key() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Submission:
    shown: ShownGroup
    typed: Mapping[str, str] = field(default_factory=dict)
    """Text by form field, only where it differs from what was shown."""
    is_seen: bool = True
    """Whether the person saw the group as `shown`. A script that names wanted values did not."""
    reason: str = ""
    revert: str = ""
    """The number of the entry that this change reverts, if it began as that."""
    key: str = field(default_factory=new_key)
    repeated: frozenset[str] = frozenset()
    """Names that were sent more than once."""


@dataclass(frozen=True)
class Conflict:
    """A field that both the person and someone else changed: three values to choose from."""

    name: str
    label: str
    yours: str
    seen: str
    now: str


@dataclass(frozen=True)
class Unsent:
    """A value that a stale form asked for, beside the one that the cloud holds."""

    label: str
    typed: str
    now: str


def texts(data: QueryDict) -> dict[str, str]:
    """The last text of each name."""
    return {name: str(data[name]) for name in data}


def submit(data: QueryDict, shown: ShownGroup, *, is_seen: bool) -> Submission:
    """Make a submission of posted fields."""
    return _with_post(
        Submission(shown, _differences(texts(data), shown.group), is_seen=is_seen, revert=data.get("revert", "")), data
    )


def _with_post(submission: Submission, data: QueryDict) -> Submission:
    """Add what travels beside the fields. A script posts no key: each of its posts is a change of its own."""
    return replace(
        submission,
        reason=data.get("reason", ""),
        key=data.get("key") or new_key(),
        repeated=frozenset(name for name in data if len(data.getlist(name)) > 1),
    )


def resolve(submission: Submission, theirs: Collection[str]) -> Submission:
    """Leave the fields `theirs` as the cloud has them."""
    typed = {name: text for name, text in submission.typed.items() if name not in theirs}
    return replace(submission, typed=typed)


def rebase(submission: Submission, group: ServerGroup) -> Submission:
    """Offer the same input over the group as it is now.

    A field that the person left alone follows the cloud; it must not set back what someone else did.
    """
    shown = ShownGroup(group, submission.shown.context)
    return replace(submission, shown=shown, typed=_differences(submission.typed, group), is_seen=True, key=new_key())


def find_conflicts(submission: Submission, group: ServerGroup) -> tuple[Conflict, ...]:
    """Find the typed fields that someone else changed to another value since the form was shown."""
    before, typed = submission.shown.group, _differences(submission.typed, group)
    return tuple(
        Conflict(
            name=field.name,
            label=field.label,
            yours=field.display(typed[field.name]),
            seen=field.display(before.value(field.path)),
            now=field.display(group.value(field.path)),
        )
        for field in FIELDS
        if field.name in typed and group.value(field.path) not in (None, before.value(field.path))
        if before.value(field.path) is not None
    )


def find_followed(submission: Submission, group: ServerGroup) -> tuple[str, ...]:
    """Name the fields left alone that someone else changed since the form was shown, with their new values."""
    before = submission.shown.group
    return tuple(
        f"{field.label} is now {field.display(group.value(field.path))}"
        for field in FIELDS
        if field.name not in submission.typed and before.value(field.path) != group.value(field.path)
    )


def find_unsent(typed: Mapping[str, str], group: ServerGroup) -> tuple[Unsent, ...]:
    """List what a stale form asked for and the cloud does not hold."""
    typed = _differences(typed, group)
    return tuple(
        Unsent(field.label, field.display(typed[field.name]), field.display(group.value(field.path)))
        for field in FIELDS
        if field.name in typed
    )


def _differences(posted: Mapping[str, str], group: ServerGroup) -> dict[str, str]:
    return {
        field.name: posted[field.name]
        for field in FIELDS
        if field.name in posted and not is_same(posted[field.name], group.value(field.path))
    }


# Signed, so that a browser can carry it and not alter it


def sign_seen(shown: ShownGroup) -> str:
    """Sign the group as a form shows it, so that the post can be compared with what the person saw."""
    return signing.dumps(_document(shown), salt=SEEN_SALT, compress=True)


def read_seen(text: str, group_id: str) -> ShownGroup | None:
    """Read what a form was rendered from. None: altered, expired, or about another group."""
    try:
        shown = _shown(signing.loads(text, salt=SEEN_SALT, max_age=MAX_AGE))
    except signing.BadSignature:
        return None
    return shown if shown and shown.group.id == group_id else None


@dataclass(frozen=True)
class Scope:
    """What a signed submission is good for."""

    project: str
    person_id: int
    group_id: str

    @property
    def salt(self) -> str:
        return f"{SUBMISSION_SALT}/{self.project}/{self.person_id}/{self.group_id}"


def sign_submission(submission: Submission, scope: Scope) -> str:
    """Sign a submission for its review; the key and the reason travel beside it."""
    document = [_document(submission.shown), dict(submission.typed), submission.revert]
    return signing.dumps(document, salt=scope.salt, compress=True)


def read_submission(data: QueryDict, scope: Scope) -> Submission:
    """Read a signed submission and what was posted with it. Raises StaleFormError."""
    text = data.get("submission", "")
    try:
        return _with_post(_signed(text, scope, MAX_AGE), data)
    except signing.SignatureExpired:
        typed = _signed(text, scope, None).typed
        raise StaleFormError({**typed, "reason": data.get("reason", "")}) from None
    except signing.BadSignature:  # nothing in it is known to be the person's own
        raise StaleFormError({"reason": data.get("reason", "")}) from None


def _signed(text: str, scope: Scope, max_age: timedelta | None) -> Submission:
    document, typed, revert = signing.loads(text, salt=scope.salt, max_age=max_age)
    shown = _shown(document)
    if shown is None:
        raise signing.BadSignature
    return Submission(shown, typed, revert=revert)


def _document(shown: ShownGroup) -> list[object]:
    """A JSON document in the form of the API, so that `_shown` reads it as it reads the cloud."""
    group = shown.group
    seen: dict[str, Any] = {
        "id": group.id,
        "is_vdi": group.is_vdi,
        "primary_server_group_ids": group.primary_server_group_ids,
        "secondary_server_group_ids": group.secondary_server_group_ids,
    }
    for path, value in snapshot(group).items():
        parent, _, member = path.rpartition(".")
        (seen.setdefault(parent, {}) if parent else seen)[member] = value
    return [seen, asdict(shown.context)]


def _shown(document: Any) -> ShownGroup | None:
    seen, context = document
    group = ServerGroup.from_api(seen)
    return ShownGroup(group, GroupContext(**context)) if group else None
