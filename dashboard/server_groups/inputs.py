"""Form fields as strict as the cloud's contract.

Django's own fields accept more than the cloud does: IntegerField accepts `1_000`, full-width digits and `1.0`,
CharField strips blanks, and a missing checkbox reads as False. These fields take a value exactly as it was sent. A
field that was not sent, or came back as it was shown, is not a change, so it is not validated: a value that the cloud
already holds must not block the edit of another field.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from dashboard.text import show_direction_marks

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Value = str | int | bool | None
Text: TypeAlias = "str | StrPromise"
"""A text for a page, perhaps translated when it is shown."""


def to_text(value: Value) -> str:
    """Format a value of the API for a form input."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def is_same(text: str, value: Value) -> bool:
    """Whether a posted text is the value as the form showed it. Browsers send line breaks as CR LF."""
    shown = _with_plain_breaks(to_text(value))
    return _with_plain_breaks(text) in {shown, show_direction_marks(shown)}


class StrictField(forms.Field):
    """A field that takes one text exactly as sent. `seen` is the value with which the form was rendered.

    A page shows bidirectional control characters in a visible form, so an unchanged text comes back in that form.
    """

    seen: Value = None

    def clean(self, value: Any) -> Value:
        return self.seen if value is None or is_same(value, self.seen) else self.parse(value)

    @property
    def shown(self) -> str:
        """The value as a page shows it."""
        return show_direction_marks(to_text(self.seen))

    def bound_data(self, data: Any, initial: Any) -> Any:
        """The text for a form that is shown again: the sent text, or the cloud's value if none was sent.

        A text in its visible form counts as the value itself, so that a select finds it among its options.
        """
        if data is None:
            return initial
        return to_text(self.seen) if data == self.shown else data

    def accepts(self, text: str) -> bool:
        """Whether a text is valid as a new value."""
        try:
            self.parse(text)
        except ValidationError:
            return False
        return True

    def parse(self, text: str) -> Value:
        raise NotImplementedError


class PatternField(StrictField):
    """A text that matches a pattern from its first to its last character."""

    def __init__(self, pattern: str, error: Text, *, min_length: int, max_length: int) -> None:
        super().__init__(
            required=min_length > 0,
            widget=forms.TextInput(
                attrs={"maxlength": max_length, "pattern": pattern, "title": error, "autocomplete": "off"}
            ),
        )
        self.pattern, self.error = re.compile(pattern), error
        self.min_length, self.max_length = min_length, max_length

    def parse(self, text: str) -> str:
        if not text and self.min_length:
            raise ValidationError(gettext("This field cannot be empty."))
        if len(text) > self.max_length:
            raise _too_long(text, self.max_length)
        if text and not self.pattern.fullmatch(text):
            raise ValidationError(self.error)
        return text


class FreeTextField(StrictField):
    """A visible text up to a length. CR LF from browsers becomes LF, which the cloud is assumed to use."""

    def __init__(self, max_length: int, widget: type[forms.TextInput] | type[forms.Textarea] = forms.TextInput) -> None:
        super().__init__(required=False, widget=widget(attrs={"maxlength": max_length, "autocomplete": "off"}))
        self.max_length = max_length
        self.allowed = "\n" if widget is forms.Textarea else ""

    def parse(self, text: str) -> str:
        text = _with_plain_breaks(text)
        if len(text) > self.max_length:
            raise _too_long(text, self.max_length)
        for character in text:
            # Control, format (zero-width, direction) and unassigned characters are invisible in a ledger. Line and
            # paragraph separators can forge a line in a log.
            category = unicodedata.category(character)
            if (category[0] == "C" or category in {"Zl", "Zp"}) and character not in self.allowed:
                message = gettext("This text contains an invisible character (%(code)s). Remove it.")
                raise ValidationError(message % {"code": f"U+{ord(character):04X}"})
        return text


def _too_long(text: str, maximum: int) -> ValidationError:
    message = gettext("Enter at most %(maximum)d characters. This text has %(length)d.")
    return ValidationError(message % {"maximum": maximum, "length": len(text)})


def _with_plain_breaks(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


class WholeNumberField(StrictField):
    """A number of ASCII digits without sign, leading zero, point or separator, within a range."""

    def __init__(self, minimum: int, maximum: int) -> None:
        super().__init__(
            widget=forms.NumberInput(
                attrs={"min": minimum, "max": maximum, "step": 1, "inputmode": "numeric", "autocomplete": "off"}
            )
        )
        self.minimum, self.maximum = minimum, maximum

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text):
            message = gettext("Enter a whole number from %(minimum)d to %(maximum)d. Use only digits.")
            raise ValidationError(message % {"minimum": self.minimum, "maximum": self.maximum})
        number = int(text)
        if not self.minimum <= number <= self.maximum:
            message = gettext("Enter a number from %(minimum)d to %(maximum)d. %(number)d is outside this range.")
            raise ValidationError(message % {"minimum": self.minimum, "maximum": self.maximum, "number": number})
        return number


class OptionField(StrictField):
    """One of the values that the API page lists. Another value that the cloud holds can stay selected."""

    widget = forms.Select

    def __init__(self, options: Sequence[tuple[str, Text]]) -> None:
        super().__init__()
        self.options = tuple(options)
        self.widget.choices = self.options

    def offer_seen(self) -> None:
        """Add the cloud's value to the choices if it is not one of them."""
        text = to_text(self.seen)
        if text not in dict(self.options):
            in_cloud = gettext("%(value)s (the value in the cloud)") % {"value": text}
            label = in_cloud if text else gettext("Not known: do not change")
            self.widget.choices = [(text, label), *self.options]

    def parse(self, text: str) -> Value:
        if text not in dict(self.options):
            raise ValidationError(gettext("Choose one of the options."))
        return text


class StatusField(OptionField):
    """On or off. An absent value is not off."""

    def __init__(self) -> None:
        super().__init__([("true", _("On")), ("false", _("Off"))])

    def parse(self, text: str) -> bool:
        return super().parse(text) == "true"
