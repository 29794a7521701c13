"""Form fields as strict as the cloud's contract.

Django's own fields are kinder than the cloud: its IntegerField takes `1_000`, full-width digits and `1.0`, its
CharField strips what was typed, a missing checkbox reads as False. Here a value is taken exactly as it was sent, and
a field that was not sent, or came back as it was shown, is not a change and is not judged: what the cloud already
holds must not keep anyone from editing another field.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from dashboard.text import show_direction_marks

Value = str | int | bool | None


def to_text(value: Value) -> str:
    """A value of the API as it stands in a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def is_same(text: str, value: Value) -> bool:
    """Whether a posted text is the value as it was shown. Browsers send line breaks as CR LF."""
    held = _with_plain_breaks(to_text(value))
    return _with_plain_breaks(text) in {held, show_direction_marks(held)}


class StrictField(forms.Field):
    """Takes one text exactly as sent; `seen` is what the form was rendered with.

    A page shows bidirectional control characters in a visible form, so an unchanged text comes back in that form.
    """

    seen: Value = None

    def clean(self, value: Any) -> Value:
        return self.seen if value is None or is_same(value, self.seen) else self.parse(value)

    @property
    def shown(self) -> str:
        """The value as it stands on a page."""
        return show_direction_marks(to_text(self.seen))

    def bound_data(self, data: Any, initial: Any) -> Any:
        """A form shown again has what was sent; where nothing was, what the cloud holds, not the first option.

        A text in its visible form stands for the value itself, so that a select finds it among its options.
        """
        if data is None:
            return initial
        return to_text(self.seen) if data == self.shown else data

    def takes(self, text: str) -> bool:
        """Whether a text would pass as a new value."""
        try:
            self.parse(text)
        except ValidationError:
            return False
        return True

    def parse(self, text: str) -> Value:
        raise NotImplementedError


class PatternField(StrictField):
    """A text that matches a pattern from its first to its last character."""

    def __init__(self, pattern: str, refusal: str, *, min_length: int, max_length: int) -> None:
        super().__init__(
            required=min_length > 0,
            widget=forms.TextInput(
                attrs={"maxlength": max_length, "pattern": pattern, "title": refusal, "autocomplete": "off"}
            ),
        )
        self.pattern, self.refusal = re.compile(pattern), refusal
        self.min_length, self.max_length = min_length, max_length

    def parse(self, text: str) -> str:
        if not text and self.min_length:
            raise ValidationError("This cannot be empty.")
        if len(text) > self.max_length:
            raise ValidationError(f"At most {self.max_length} characters; this has {len(text)}.")
        if text and not self.pattern.fullmatch(text):
            raise ValidationError(self.refusal)
        return text


class FreeTextField(StrictField):
    """Any visible text up to a length. Browsers send line breaks as CR LF; the cloud's own are taken to be LF."""

    def __init__(self, max_length: int, widget: type[forms.TextInput] | type[forms.Textarea] = forms.TextInput) -> None:
        super().__init__(required=False, widget=widget(attrs={"maxlength": max_length, "autocomplete": "off"}))
        self.max_length = max_length
        self.allowed = "\n" if widget is forms.Textarea else ""

    def parse(self, text: str) -> str:
        text = _with_plain_breaks(text)
        if len(text) > self.max_length:
            raise ValidationError(f"At most {self.max_length} characters; this has {len(text)}.")
        for character in text:
            # Control, format (zero-width, direction) and unassigned characters are invisible in a ledger, line and
            # paragraph separators forge a line in a log.
            category = unicodedata.category(character)
            if (category[0] == "C" or category in {"Zl", "Zp"}) and character not in self.allowed:
                raise ValidationError(f"Contains an invisible character (U+{ord(character):04X}). Remove it.")
        return text


def _with_plain_breaks(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


class WholeNumberField(StrictField):
    """ASCII digits without sign, leading zero, point or separator, within a range."""

    def __init__(self, minimum: int, maximum: int) -> None:
        super().__init__(
            widget=forms.NumberInput(
                attrs={"min": minimum, "max": maximum, "step": 1, "inputmode": "numeric", "autocomplete": "off"}
            )
        )
        self.minimum, self.maximum = minimum, maximum

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text):
            raise ValidationError(f"Enter a whole number from {self.minimum} to {self.maximum}, digits only.")
        number = int(text)
        if not self.minimum <= number <= self.maximum:
            raise ValidationError(f"Must be from {self.minimum} to {self.maximum}; this is {number}.")
        return number


class OptionField(StrictField):
    """One of the values the API page lists. A value the cloud holds beyond that list stays selectable as it is."""

    widget = forms.Select

    def __init__(self, options: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.options = tuple(options)
        self.widget.choices = self.options

    def offer_seen(self) -> None:
        """Add what the cloud holds now to the choices, where it is none of them."""
        text = to_text(self.seen)
        if text not in dict(self.options):
            label = f"{text} (as the cloud has it)" if text else "Not known: leave as it is"
            self.widget.choices = [(text, label), *self.options]

    def parse(self, text: str) -> Value:
        if text not in dict(self.options):
            raise ValidationError("Choose one of the options.")
        return text


class StatusField(OptionField):
    """On or off, spelt out: absent is never off."""

    def __init__(self) -> None:
        super().__init__([("true", "On"), ("false", "Off")])

    def parse(self, text: str) -> bool:
        return super().parse(text) == "true"
