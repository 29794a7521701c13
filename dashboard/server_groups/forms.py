"""The forms, built from the field table. They validate and say what was changed; they never save."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Self

from crispy_forms.bootstrap import AppendedText
from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Fieldset, Layout
from django import forms
from django.core import signing
from django.http import QueryDict
from django.utils.html import format_html

from dashboard.cloud.catalogue import Image
from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.fields import (
    BY_PATH,
    FIELDS,
    IMAGE_PATHS,
    MAX_SESSION,
    EditableField,
    Section,
    Shown,
    Surroundings,
    snapshot,
)
from dashboard.server_groups.inputs import OptionField, StrictField, Value, WholeNumberField, to_text

SALT = "server-group-as-seen"
AIDS = {
    Section.IDENTITY: ("server_groups/_name_check_slot.html",),
    Section.IMAGE: ("server_groups/_choices_slot.html",),
}
"""Partials that help to fill a section, where there is JavaScript; they load after the form."""


def sign_seen(group: ServerGroup, around: Surroundings) -> str:
    """The group as a form shows it, so that the answer can be held against what the person saw, unaltered."""
    seen: dict[str, object] = {
        "id": group.id,
        "is_vdi": group.is_vdi,
        "primary_server_group_ids": group.primary_server_group_ids,
        "secondary_server_group_ids": group.secondary_server_group_ids,
    }
    for path, value in snapshot(group).items():
        parent, _, member = path.rpartition(".")
        place = seen.setdefault(parent, {}) if parent else seen
        place[member] = value  # type: ignore[index]  # a parent holds members
    return signing.dumps([seen, asdict(around)], salt=SALT, compress=True)


def read_seen(text: str, group_id: str) -> Shown | None:
    """What a form was rendered from; None when the text is not ours or is about another group."""
    try:
        seen, around = signing.loads(text, salt=SALT)
    except signing.BadSignature:
        return None
    group = ServerGroup.from_api(seen)
    return Shown(group, Surroundings(**around)) if group and group.id == group_id else None


class OnceForm(forms.Form):
    """A form whose submit counts once: the key is made when it is rendered and travels with it."""

    key = forms.CharField(required=False, widget=forms.HiddenInput, max_length=64, initial=lambda: uuid.uuid4().hex)
    reason = forms.CharField(
        required=False,
        max_length=500,
        help_text="A ticket number, or why. It is kept in the ledger.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_key(self) -> str:
        """A script that posts without a form has no key: each of its posts is a change of its own."""
        return str(self.cleaned_data["key"] or uuid.uuid4().hex)

    def clean(self) -> None:
        for name in self.fields:
            if isinstance(self.data, QueryDict) and len(self.data.getlist(name)) > 1:
                self.add_error(name, "This was sent twice. Send it once.")


class SwitchOffForm(OnceForm):
    """Switching off asks why; the reason is what the next person looks for."""

    field_order = ("reason", "key")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reason = self.fields["reason"]
        reason.required = True
        reason.error_messages["required"] = "Say why, so that the next person knows."


@dataclass(frozen=True)
class Conflict:
    """A field that both the person and someone else changed: three values to choose from."""

    name: str
    label: str
    yours: str
    seen: str
    now: str


class ServerGroupForm(OnceForm):
    """All editable fields of one group, as it was when the form was rendered."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    revert = forms.IntegerField(required=False, widget=forms.HiddenInput, min_value=1)
    """The number of the entry that this change reverts, if it began as that."""
    table = FIELDS
    is_over_seen = False
    """Whether the answer came with what the person saw; a script that names wanted values does not send it."""
    is_stale = False
    """Whether what it came with as seen is none of ours, or too old."""
    conflicts: tuple[Conflict, ...] = ()
    taken_over: tuple[str, ...] = ()

    def __init__(self, *args: Any, shown: Shown, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shown = shown
        self.group = shown.group
        self.initial["seen"] = sign_seen(shown.group, shown.around)
        for field in FIELDS:
            self.fields[field.name] = self._make(field)
            self.initial[field.name] = to_text(self.group.value(field.path))

    def _make(self, field: EditableField) -> StrictField:
        made = field.make()
        made.seen = self.group.value(field.path)
        made.required = made.required and made.seen is not None
        made.label = format_html(
            '{} <span class="effect effect-{}">{}</span>', field.label, field.effect.name.lower(), field.effect.value
        )
        made.help_text = field.help
        made.widget.attrs["data-seen"] = to_text(made.seen)
        if isinstance(made, OptionField):
            made.offer_seen()
        if field.path == MAX_SESSION and self.shown.around.session_ceiling:
            self._lower_ceiling(made, self.shown.around.session_ceiling)
        if not_applicable := field.reason_not_applicable(self.group, self.shown.around):
            made.widget.attrs["disabled"] = True
            made.help_text = not_applicable
        return made

    def _lower_ceiling(self, made: StrictField, ceiling: int) -> None:
        """ShowServerGroupRestrict: the tenant may have less than the contract allows."""
        if isinstance(made, WholeNumberField) and ceiling < made.maximum:
            made.maximum = made.widget.attrs["max"] = ceiling
            made.help_text = f"1 to {ceiling} on a single server: the most this account may have."

    def clean(self) -> None:
        super().clean()
        for field in FIELDS:
            reason = field.reason_not_applicable(self.group, self.shown.around)
            if reason and self._is_changed(field):
                self.add_error(field.name, reason)
        self._check_marketplace_image()

    def _check_marketplace_image(self) -> None:
        """API definition: the product id is required when `image_type` is `gold`; judged when the image is touched."""
        wanted = {path: self.cleaned_data.get(BY_PATH[path].name) for path in IMAGE_PATHS}
        is_touched = any(self._is_changed(BY_PATH[path]) for path in IMAGE_PATHS)
        name = BY_PATH["image_product_id"].name
        is_gold, product_id = wanted["image_type"] == "gold", wanted["image_product_id"]
        if is_touched and is_gold and not product_id and name not in self.errors:
            self.add_error(name, "A Marketplace image needs its product ID.")
        if self._is_changed(BY_PATH["image_product_id"]) and product_id and not is_gold:
            self.add_error(name, "Only a Marketplace image has a product ID.")

    @property
    def wanted_image(self) -> tuple[str, str] | None:
        """Type and id of the image whose minimum the disk must hold; None where neither is touched."""
        if not any(self._is_changed(BY_PATH[path]) for path in (*IMAGE_PATHS, "system_disk_size")):
            return None
        return str(self.cleaned_data["image_type"]), str(self.cleaned_data["image_id"])

    def check_disk(self, image: Image | None) -> None:
        """Terraform's documentation: the disk is not smaller than the image needs."""
        size = self.cleaned_data["system_disk_size"]
        if image and image.min_disk and isinstance(size, int) and size < image.min_disk:
            name = image.name or image.id
            self.add_error("system_disk_size", f"{name} needs at least {image.min_disk} GB; this is {size} GB.")

    def _is_changed(self, field: EditableField) -> bool:
        return field.name in self.cleaned_data and self.cleaned_data[field.name] != self.group.value(field.path)

    @property
    def changes(self) -> dict[str, Value]:
        """Path to new value of each field that differs from what the form was rendered with."""
        return {field.path: self.cleaned_data[field.name] for field in FIELDS if self._is_changed(field)}

    def again(self, shown: Shown) -> Self:
        """The same input as a new form over the group as it is now: nothing typed is lost.

        A field the person left alone follows the cloud; it must not set back what someone else did.
        """
        data = self._typed()
        for field in FIELDS:
            if field.name not in self.errors and not self._is_changed(field):
                data[field.name] = to_text(shown.group.value(field.path))
        data["key"], data["seen"] = uuid.uuid4().hex, sign_seen(shown.group, shown.around)
        form = type(self)(data, shown=shown)
        form.is_over_seen = True
        form.taken_over = tuple(
            f"{field.label} is now {field.display(shown.group.value(field.path))}"
            for field in FIELDS
            if field.path not in self.changes and shown.group.value(field.path) != self.group.value(field.path)
        )
        form.full_clean()
        return form

    def _typed(self) -> QueryDict:
        """A copy of what was sent, to send on with some of it changed."""
        data = QueryDict(mutable=True)
        data.update(self.data)
        return data

    def resolved(self) -> Self:
        """The form with each conflict decided: where someone's value was chosen, it stands as the cloud has it."""
        theirs = [field for field in FIELDS if self.data.get(f"resolve__{field.name}") == "theirs"]
        if not theirs:
            return self
        data = self._typed()
        for field in theirs:
            data[field.name] = to_text(self.group.value(field.path))
        form = type(self)(data, shown=self.shown)
        form.is_over_seen = self.is_over_seen
        return form

    def after_failure(self, message: str, *, cloud_words: str = "") -> Self:
        """Offer the input again after the cloud did not take it; the old key has had its answer.

        The message stands at the field that the cloud's words name, if they name one of the changed.
        """
        form = self.again(self.shown)
        named = [
            field.name
            for field in FIELDS
            if field.path in form.changes and re.search(rf"\b{field.path.rpartition('.')[2]}\b", cloud_words)
        ]
        form.add_error(named[0] if len(named) == 1 else None, message)
        return form

    def after_conflict(self, group: ServerGroup, paths: tuple[str, ...]) -> Self:
        """Offer the input again after someone else was faster; saving now replaces what they did, knowingly."""
        form = self.again(Shown(group, self.shown.around))
        form.conflicts = tuple(
            Conflict(
                name=field.name,
                label=field.label,
                yours=field.display(self.changes[field.path]),
                seen=field.display(self.group.value(field.path)),
                now=field.display(group.value(field.path)),
            )
            for field in FIELDS
            if field.path in paths
        )
        for conflict in form.conflicts:
            message = f"Someone else changed this from {conflict.seen} to {conflict.now} meanwhile."
            form.add_error(conflict.name, message)
        return form

    @property
    def replaces_image(self) -> bool:
        return any(path in self.changes for path in IMAGE_PATHS)

    @property
    def changed_inputs(self) -> list[tuple[str, str]]:
        """Name and text of what a review carries along: the changed fields, what was seen, and the key."""
        texts = [(BY_PATH[path].name, to_text(value)) for path, value in self.changes.items()]
        seen = [("seen", sign_seen(self.group, self.shown.around))] if self.is_over_seen else []
        reverts = [("revert", str(self.cleaned_data["revert"]))] if self.cleaned_data["revert"] else []
        return [*texts, *seen, *reverts, ("key", self.cleaned_data["key"])]

    @property
    def error_list(self) -> Iterator[tuple[str, str, str]]:
        """Id, label and message of each wrong field, for the summary that links to them."""
        labels = {field.name: field.label for field in FIELDS} | {"reason": "Reason"}
        for name, errors in self.errors.items():
            for error in errors:
                yield (f"id_{name}" if name in labels else "", labels.get(name, ""), str(error))

    @property
    def helper(self) -> FormHelper:
        helper = FormHelper()
        helper.form_tag = False
        helper.disable_csrf = True
        helper.form_show_errors = True
        sections = groupby(FIELDS, key=lambda field: field.section)
        helper.layout = Layout(
            *(
                Fieldset(
                    section.value,
                    *(HTML(f'{{% include "{template}" %}}') for template in AIDS.get(section, ())),
                    *(_layout(field) for field in fields),
                    css_id=f"section-{section.name.lower()}",
                )
                for section, fields in sections
            ),
            "key",
            "seen",
            "revert",
        )
        return helper


def _layout(field: EditableField) -> str | AppendedText:
    return AppendedText(field.name, field.unit) if field.unit else field.name
