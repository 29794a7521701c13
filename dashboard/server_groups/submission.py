"""A submitted edit form as a value: the group that the person saw, and the text that they typed.

A form validates and renders a submission. After a failure, a conflict or a choice, a pure function makes the next one.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.core import signing
from django.http import QueryDict
from django.utils.translation import gettext

from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.fields import FIELDS, GroupContext, ShownGroup, snapshot
from dashboard.server_groups.inputs import is_same

SEEN_SALT = "server-group-as-seen"
SUBMISSION_SALT = "server-group-submission"
MAX_AGE = timedelta(days=7)
"""The longest time between rendering a form or a review and posting it."""


class StaleFormError(Exception):
    """The signed part of a form is altered or expired, so the form must not be sent."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        super().__init__("the form is altered or expired")
        self.typed = typed
        """Text by form field; empty if the signature is wrong."""


def new_key() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Submission:
    shown: ShownGroup
    typed: Mapping[str, str] = field(default_factory=dict)
    """Text by form field, only if it differs from the shown value."""
    is_seen: bool = True
    """Whether the person saw the group as `shown`. A script that names only new values did not."""
    reason: str = ""
    revert: str = ""
    """The number of the entry that this change reverts, or an empty text."""
    key: str = field(default_factory=new_key)
    repeated: frozenset[str] = frozenset()
    """Names of the fields that were sent more than once."""


@dataclass(frozen=True)
class Conflict:
    """A field that both the person and someone else changed, with its three values."""

    name: str
    label: str
    yours: str
    seen: str
    now: str


@dataclass(frozen=True)
class Unsent:
    """A value from a stale form, and the value in the cloud."""

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
    """Add the reason and the key. A script posts no key, so each of its posts is a separate change."""
    return replace(
        submission,
        reason=data.get("reason", ""),
        key=data.get("key") or new_key(),
        repeated=frozenset(name for name in data if len(data.getlist(name)) > 1),
    )


def resolve(submission: Submission, theirs: Collection[str]) -> Submission:
    """Drop the typed text of the fields `theirs`."""
    typed = {name: text for name, text in submission.typed.items() if name not in theirs}
    return replace(submission, typed=typed)


def rebase(submission: Submission, group: ServerGroup) -> Submission:
    """Make the same input for the present state of the group.

    A field that the person did not change takes the cloud's value, so that it does not undo another person's change.
    """
    shown = ShownGroup(group, submission.shown.context)
    return replace(submission, shown=shown, typed=_differences(submission.typed, group), is_seen=True, key=new_key())


def find_conflicts(submission: Submission, group: ServerGroup) -> tuple[Conflict, ...]:
    """Find the typed fields that someone else changed to another value since the form was shown."""
    before, typed = submission.shown.group, _differences(submission.typed, group)
    return tuple(
        Conflict(
            name=field.name,
            label=str(field.label),
            yours=field.display(typed[field.name]),
            seen=field.display(before.value(field.path)),
            now=field.display(group.value(field.path)),
        )
        for field in FIELDS
        if field.name in typed and group.value(field.path) not in (None, before.value(field.path))
        if before.value(field.path) is not None
    )


def changes_by_others(submission: Submission, group: ServerGroup) -> tuple[str, ...]:
    """Describe the changes by others to fields that the person did not change, since the form was shown."""
    before = submission.shown.group
    return tuple(
        gettext("%(field)s is now %(value)s") % {"field": field.label, "value": field.display(group.value(field.path))}
        for field in FIELDS
        if field.name not in submission.typed and before.value(field.path) != group.value(field.path)
    )


def find_unsent(typed: Mapping[str, str], group: ServerGroup) -> tuple[Unsent, ...]:
    """List the values of a stale form that differ from the cloud's."""
    typed = _differences(typed, group)
    return tuple(
        Unsent(str(field.label), field.display(typed[field.name]), field.display(group.value(field.path)))
        for field in FIELDS
        if field.name in typed
    )


def _differences(posted: Mapping[str, str], group: ServerGroup) -> dict[str, str]:
    return {
        field.name: posted[field.name]
        for field in FIELDS
        if field.name in posted and not is_same(posted[field.name], group.value(field.path))
    }


# Signed, so that a browser can store it but not alter it


def sign_seen(shown: ShownGroup) -> str:
    """Sign the group as a form shows it, so that the post can be compared with it."""
    return signing.dumps(_document(shown), salt=SEEN_SALT, compress=True)


def read_seen(text: str, group_id: str) -> ShownGroup | None:
    """Read the group that a form showed. None: altered, expired, or another group."""
    try:
        shown = _shown(signing.loads(text, salt=SEEN_SALT, max_age=MAX_AGE))
    except signing.BadSignature:
        return None
    return shown if shown and shown.group.id == group_id else None


@dataclass(frozen=True)
class Scope:
    """The project, person and group for which a signed submission is valid."""

    project: str
    person_id: int
    group_id: str

    @property
    def salt(self) -> str:
        return f"{SUBMISSION_SALT}/{self.project}/{self.person_id}/{self.group_id}"


def sign_submission(submission: Submission, scope: Scope) -> str:
    """Sign a submission for its review. The key and the reason are separate fields."""
    document = [_document(submission.shown), dict(submission.typed), submission.revert]
    return signing.dumps(document, salt=scope.salt, compress=True)


def read_submission(data: QueryDict, scope: Scope) -> Submission:
    """Read a signed submission and the fields posted with it. Raises StaleFormError."""
    text = data.get("submission", "")
    try:
        return _with_post(_signed(text, scope, MAX_AGE), data)
    except signing.SignatureExpired:
        typed = _signed(text, scope, None).typed
        raise StaleFormError({**typed, "reason": data.get("reason", "")}) from None
    except signing.BadSignature:  # the content may not be the person's own
        raise StaleFormError({"reason": data.get("reason", "")}) from None


def _signed(text: str, scope: Scope, max_age: timedelta | None) -> Submission:
    document, typed, revert = signing.loads(text, salt=scope.salt, max_age=max_age)
    shown = _shown(document)
    if shown is None:
        raise signing.BadSignature
    return Submission(shown, typed, revert=revert)


def _document(shown: ShownGroup) -> list[object]:
    """A JSON document in the format of the API, so that `ServerGroup.from_api` can read it."""
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
