"""Forms, built from the field table. They validate and name the changes; they never save."""

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any

from crispy_forms.bootstrap import AppendedText
from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Fieldset, Layout
from django import forms
from django.contrib.humanize.templatetags.humanize import apnumber
from django.http import QueryDict
from django.utils.html import format_html

from dashboard.cloud.catalogue import Image
from dashboard.server_groups.fields import (
    BY_PATH,
    FIELDS,
    IMAGE_PATHS,
    EditableField,
    Section,
    missing_siblings,
    siblings,
)
from dashboard.server_groups.inputs import OptionField, StrictField, Value, WholeNumberField, to_text
from dashboard.server_groups.submission import Submission, new_key, sign_seen

AIDS = {
    Section.IDENTITY: ("server_groups/_name_check_slot.html",),
    Section.IMAGE: ("server_groups/_choices_slot.html",),
}
"""Partials that help to fill a section, where there is JavaScript; they load after the form."""


class KeyedForm(forms.Form):
    """A form whose submit counts once: the key is made when it is rendered and travels with it."""

    key = forms.CharField(required=False, widget=forms.HiddenInput, max_length=64, initial=new_key)
    reason = forms.CharField(
        required=False,
        max_length=500,
        help_text="A ticket number, or why. It is kept in the ledger.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_key(self) -> str:
        """A script that posts without a form has no key: each of its posts is a change of its own."""
        return str(self.cleaned_data["key"] or new_key())

    @property
    def repeated(self) -> Collection[str]:
        """Names that were sent more than once."""
        return {name for name in self.data if isinstance(self.data, QueryDict) and len(self.data.getlist(name)) > 1}

    def clean(self) -> None:
        for name in self.fields:
            if name in self.repeated:
                self.add_error(name, "This was sent twice. Send it once.")


class SwitchOffForm(KeyedForm):
    """Switching off asks why; the reason is what the next person looks for."""

    field_order = ("reason", "key")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reason = self.fields["reason"]
        reason.required = True
        reason.error_messages["required"] = "Say why, so that the next person knows."


class ServerGroupForm(KeyedForm):
    """All editable fields of one group, as a submission has them."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    revert = forms.IntegerField(required=False, widget=forms.HiddenInput, min_value=1)

    def __init__(self, submission: Submission) -> None:
        super().__init__(
            {
                **submission.typed,
                "reason": submission.reason,
                "revert": submission.revert,
                "key": submission.key,
                "seen": sign_seen(submission.shown),
            }
        )
        self.submission = submission
        self.shown, self.group = submission.shown, submission.shown.group
        for field in FIELDS:
            self.fields[field.name] = self._make(field)
            self.initial[field.name] = to_text(self.group.value(field.path))

    @property
    def repeated(self) -> Collection[str]:
        return self.submission.repeated

    def _make(self, field: EditableField) -> StrictField:
        made = field.make()
        made.seen = self.group.value(field.path)
        made.required = made.required and made.seen is not None
        made.label = format_html(
            '{} <span class="badge effect effect-{}">{}</span>',
            field.label,
            field.effect.name.lower(),
            field.effect.value,
        )
        made.help_text = field.hint
        made.widget.attrs["data-seen"] = to_text(made.seen)
        if isinstance(made, OptionField):
            made.offer_seen()
        if ceiling := field.tenant_ceiling(self.shown.context):
            _lower_ceiling(made, ceiling, field.unit)
        if made.seen is None:
            made.help_text = f"{made.help_text} {_hint_not_shown(field)}".strip()
        if not_applicable := field.reason_not_applicable(self.group, self.shown.context):
            made.widget.attrs["disabled"] = True
            made.help_text = not_applicable
        return made

    def clean(self) -> None:
        super().clean()
        for field in FIELDS:
            reason = field.reason_not_applicable(self.group, self.shown.context)
            if reason and self._is_changed(field):
                self.add_error(field.name, reason)
        self._check_marketplace_image()
        self._check_siblings()

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

    def _check_siblings(self) -> None:
        """The cloud may replace a nested object by the one that is sent, so what it does not show must be typed."""
        for field in missing_siblings(self.changes, self.group):
            if field.name not in self.errors:
                count = apnumber(len(siblings(field)))
                message = f"The cloud does not show this threshold. Enter all {count}, or the cloud could lose it."
                self.add_error(field.name, message)

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

    @property
    def replaces_image(self) -> bool:
        return any(path in self.changes for path in IMAGE_PATHS)

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
                    css_class="card",
                    css_id=f"section-{section.name.lower()}",
                )
                for section, fields in sections
            ),
            "key",
            "seen",
            "revert",
        )
        return helper


def _hint_not_shown(field: EditableField) -> str:
    """An empty input must not read as an empty value."""
    if others := siblings(field):
        return f"The cloud does not show this threshold. To change a threshold, enter all {apnumber(len(others))}."
    return "The cloud does not show this value. It stays as it is unless you enter another one."


def _lower_ceiling(made: StrictField, ceiling: int, unit: str) -> None:
    """ShowServerGroupRestrict: the tenant may have less than the API allows."""
    if isinstance(made, WholeNumberField) and ceiling < made.maximum:
        made.maximum = made.widget.attrs["max"] = ceiling
        made.help_text = f"{made.minimum} to {ceiling} {unit}: the most this account may have."


def _layout(field: EditableField) -> str | AppendedText:
    return AppendedText(field.name, field.unit) if field.unit else field.name
