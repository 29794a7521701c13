"""Forms made from the field table. They validate input and list the changes. They never save."""

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from crispy_forms.bootstrap import AppendedText
from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Fieldset, Layout
from django import forms
from django.contrib.humanize.templatetags.humanize import apnumber
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

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
from dashboard.server_groups.inputs import OptionField, StrictField, Text, Value, WholeNumberField, to_text
from dashboard.server_groups.submission import Submission, new_key, sign_seen

AIDS = {
    Section.IDENTITY: ("server_groups/_name_check_slot.html",),
    Section.IMAGE: ("server_groups/_choices_slot.html",),
}
"""Partials that help to fill in a section. They need JavaScript and load after the form."""
REASON_MISSING = _("Enter a reason. The next person needs it.")


class FormProblem(NamedTuple):
    """An error for the summary, with the id of the input that it links to (empty for the whole form)."""

    field_id: str
    label: str
    message: str


class KeyedForm(forms.Form):
    """A form that makes one change however often it is sent. Each rendered form has its own key."""

    key = forms.CharField(required=False, widget=forms.HiddenInput, max_length=64, initial=new_key)
    reason = forms.CharField(
        required=False,
        max_length=500,
        label=_("Reason"),
        help_text=_("A ticket number or a short reason. The ledger keeps it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_key(self) -> str:
        """A script that posts without a form has no key, so each of its posts is a separate change."""
        return str(self.cleaned_data["key"] or new_key())

    @property
    def repeated(self) -> Collection[str]:
        """Names of the fields that were sent more than once."""
        return {name for name in self.data if isinstance(self.data, QueryDict) and len(self.data.getlist(name)) > 1}

    def clean(self) -> None:
        for name in self.fields:
            if name in self.repeated:
                self.add_error(name, gettext("This field was sent twice. Send it once."))


class SwitchOffForm(KeyedForm):
    """The form to switch off a group. It needs a reason, because the next person looks for it."""

    field_order = ("reason", "key")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reason = self.fields["reason"]
        reason.required = True
        reason.error_messages["required"] = REASON_MISSING


class ServerGroupForm(KeyedForm):
    """All editable fields of a group, with the text of a submission."""

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
            field.effect.label,
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
        """Check the product id if the image is changed. The API requires it for `image_type` `gold`."""
        wanted = {path: self.cleaned_data.get(BY_PATH[path].name) for path in IMAGE_PATHS}
        is_touched = any(self._is_changed(BY_PATH[path]) for path in IMAGE_PATHS)
        name = BY_PATH["image_product_id"].name
        is_gold, product_id = wanted["image_type"] == "gold", wanted["image_product_id"]
        if is_touched and is_gold and not product_id and name not in self.errors:
            self.add_error(name, gettext("A Marketplace image needs its product ID."))
        if self._is_changed(BY_PATH["image_product_id"]) and product_id and not is_gold:
            self.add_error(name, gettext("Only a Marketplace image has a product ID."))

    def _check_siblings(self) -> None:
        """Require the values that the cloud does not show, because it may replace the whole nested object."""
        for field in missing_siblings(self.changes, self.group):
            if field.name not in self.errors:
                message = gettext(
                    "The cloud does not show this threshold. Enter all %(count)s, or the cloud could delete it."
                )
                self.add_error(field.name, message % {"count": apnumber(len(siblings(field)))})

    @property
    def wanted_image(self) -> tuple[str, str] | None:
        """Type and id of the image whose minimum the disk needs. None: neither image nor disk is changed."""
        if not any(self._is_changed(BY_PATH[path]) for path in (*IMAGE_PATHS, "system_disk_size")):
            return None
        return str(self.cleaned_data["image_type"]), str(self.cleaned_data["image_id"])

    def check_disk(self, image: Image | None) -> None:
        """Check the disk size against the image's minimum (source: Terraform's documentation)."""
        size = self.cleaned_data["system_disk_size"]
        if image and image.min_disk and isinstance(size, int) and size < image.min_disk:
            message = gettext("%(image)s needs at least %(minimum)d GB. The disk has only %(size)d GB.")
            values = {"image": image.name or image.id, "minimum": image.min_disk, "size": size}
            self.add_error("system_disk_size", message % values)

    def _is_changed(self, field: EditableField) -> bool:
        return field.name in self.cleaned_data and self.cleaned_data[field.name] != self.group.value(field.path)

    @property
    def changes(self) -> dict[str, Value]:
        """The new value of each field that differs from the rendered form, by path."""
        return {field.path: self.cleaned_data[field.name] for field in FIELDS if self._is_changed(field)}

    @property
    def replaces_image(self) -> bool:
        return any(path in self.changes for path in IMAGE_PATHS)

    @property
    def error_list(self) -> Iterator[FormProblem]:
        labels = {field.name: str(field.label) for field in FIELDS} | {"reason": gettext("Reason")}
        for name, errors in self.errors.items():
            for error in errors:
                yield FormProblem(f"id_{name}" if name in labels else "", labels.get(name, ""), str(error))

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
                    section.label,
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
    """The hint that an empty input is not an empty value."""
    if others := siblings(field):
        message = gettext("The cloud does not show this threshold. To change a threshold, enter all %(count)s.")
        return message % {"count": apnumber(len(others))}
    return gettext("The cloud does not show this value. It stays as it is unless you enter another one.")


def _lower_ceiling(made: StrictField, ceiling: int, unit: Text) -> None:
    """Apply the tenant's own maximum (source: ShowServerGroupRestrict), if it is lower than the API's."""
    if isinstance(made, WholeNumberField) and ceiling < made.maximum:
        made.maximum = made.widget.attrs["max"] = ceiling
        message = gettext("%(minimum)d to %(maximum)d %(unit)s. This is the maximum of this account.")
        made.help_text = message % {"minimum": made.minimum, "maximum": ceiling, "unit": unit}


def _layout(field: EditableField) -> str | AppendedText:
    return AppendedText(field.name, field.unit) if field.unit else field.name
