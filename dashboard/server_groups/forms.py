"""The forms, built from the field table. They validate and say what was changed; they never save."""

import uuid
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Self

from crispy_forms.bootstrap import AppendedText
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Fieldset, Layout
from django import forms
from django.core import signing
from django.http import QueryDict
from django.utils.html import format_html

from dashboard.cloud.resources import ServerGroup
from dashboard.server_groups.fields import BY_PATH, FIELDS, EditableField, snapshot
from dashboard.server_groups.inputs import OptionField, StrictField, Value, to_text

SALT = "server-group-as-seen"
IMAGE_PATHS = ("image_type", "image_id", "image_product_id")


def sign_seen(group: ServerGroup) -> str:
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
    return signing.dumps(seen, salt=SALT, compress=True)


def read_seen(text: str, group_id: str) -> ServerGroup | None:
    """The group a form was rendered from; None when the text is not ours or is about another group."""
    try:
        seen = ServerGroup.from_api(signing.loads(text, salt=SALT))
    except signing.BadSignature:
        return None
    return seen if seen and seen.id == group_id else None


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


class ServerGroupForm(OnceForm):
    """All editable fields of one group, as it was when the form was rendered."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    table = FIELDS

    def __init__(self, *args: Any, group: ServerGroup, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        self.initial["seen"] = sign_seen(group)
        for field in FIELDS:
            self.fields[field.name] = self._make(field)
            self.initial[field.name] = to_text(group.value(field.path))

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
        if not_applicable := field.reason_not_applicable(self.group):
            made.widget.attrs["disabled"] = True
            made.help_text = not_applicable
        return made

    def clean(self) -> None:
        super().clean()
        for field in FIELDS:
            reason = field.reason_not_applicable(self.group)
            if reason and self._is_changed(field):
                self.add_error(field.name, reason)
        self._check_marketplace_image()

    def _check_marketplace_image(self) -> None:
        """API definition: the product id is required when `image_type` is `gold`; judged when the image is touched."""
        wanted = {path: self.cleaned_data.get(BY_PATH[path].name) for path in IMAGE_PATHS}
        is_touched = any(self._is_changed(BY_PATH[path]) for path in IMAGE_PATHS)
        name = BY_PATH["image_product_id"].name
        if is_touched and wanted["image_type"] == "gold" and not wanted["image_product_id"] and name not in self.errors:
            self.add_error(name, "A Marketplace image needs its product ID.")

    def _is_changed(self, field: EditableField) -> bool:
        return field.name in self.cleaned_data and self.cleaned_data[field.name] != self.group.value(field.path)

    @property
    def changes(self) -> dict[str, Value]:
        """Path to new value of each field that differs from what the form was rendered with."""
        return {field.path: self.cleaned_data[field.name] for field in FIELDS if self._is_changed(field)}

    def again(self, group: ServerGroup) -> Self:
        """The same input as a new form over the group as it is now: nothing typed is lost.

        A field the person left alone follows the cloud; it must not set back what someone else did.
        """
        data = QueryDict(mutable=True)
        data.update(self.data)
        for field in FIELDS:
            if field.name not in self.errors and not self._is_changed(field):
                data[field.name] = to_text(group.value(field.path))
        data["key"], data["seen"] = uuid.uuid4().hex, sign_seen(group)
        form = type(self)(data, group=group)
        form.full_clean()
        return form

    def after_failure(self, message: str) -> Self:
        """Offer the input again after the cloud did not take it; the old key has had its answer."""
        form = self.again(self.group)
        form.add_error(None, message)
        return form

    def after_conflict(self, group: ServerGroup, paths: tuple[str, ...]) -> Self:
        """Offer the input again after someone else was faster; saving now replaces what they did, knowingly."""
        form = self.again(group)
        for field in FIELDS:
            if field.path in paths:
                now, seen = field.display(group.value(field.path)), field.display(self.group.value(field.path))
                message = f"Someone else changed this from {seen} to {now} meanwhile. Saving again replaces it."
                form.add_error(field.name, message)
        return form

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
                Fieldset(section.value, *(_layout(field) for field in fields), css_id=f"section-{section.name.lower()}")
                for section, fields in sections
            ),
            "key",
            "seen",
        )
        return helper


def _layout(field: EditableField) -> str | AppendedText:
    return AppendedText(field.name, field.unit) if field.unit else field.name
