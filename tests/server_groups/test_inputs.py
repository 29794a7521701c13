"""Valid and invalid values of each of the fifteen fields: both limits, values beyond them, and look-alikes."""

from collections.abc import Iterator

import pytest
from django.core.exceptions import ValidationError

from dashboard.server_groups.fields import BY_PATH
from dashboard.server_groups.inputs import StrictField, Value, to_text

THRESHOLDS = ("route_policy.cpu_threshold", "route_policy.gpu_threshold", "route_policy.mem_threshold")
NUMBERS = {
    "route_policy.max_session": (1, 1024),
    **dict.fromkeys(THRESHOLDS, (1, 100)),
    "system_disk_size": (10, 32768),
}
OPTIONS = {
    "app_type": ("COMMON_APP", "SESSION_DESKTOP_APP"),
    "storage_mount_policy": ("ANY", "USER", "SHARE"),
    "image_type": ("gold", "public", "private", "shared", "other"),
    "system_disk_type": ("ESSD", "SSD", "GPSSD", "SAS", "SATA"),
}
NOT_A_NUMBER = (
    *("", " ", "-1", "+50", " 50", "50 ", "050", "00", "50.0", "5e1", "5_0", "0x32", "1,000", "50\n", "\n50", "50\r\n"),
    *("\u200b50", "50\u200b", "50\u00a0", "５０", "٥٠", "५०", "5O", "l0", "½", "²", "fifty", "true", "null", "NaN"),
    *("[50]", "50;51", "99999999999", "9" * 5000),
)


def field(path: str, seen: Value = "unlike anything") -> StrictField:
    made = BY_PATH[path].make()
    made.seen = seen
    return made


def refusal(made: StrictField, text: str) -> str:
    with pytest.raises(ValidationError) as refused:
        made.clean(text)
    (message,) = refused.value.messages
    return message


@pytest.mark.parametrize("path", NUMBERS)
def test_accepts_numbers_from_the_minimum_to_the_maximum(path: str) -> None:
    lowest, highest = NUMBERS[path]

    taken = [field(path).clean(str(number)) for number in (lowest, lowest + 1, highest - 1, highest)]

    assert taken == [lowest, lowest + 1, highest - 1, highest]


@pytest.mark.parametrize("path", NUMBERS)
def test_the_error_of_a_number_outside_the_range_names_the_range(path: str) -> None:
    lowest, highest = NUMBERS[path]

    messages = [refusal(field(path), str(number)) for number in (lowest - 1, highest + 1, 9_999_999_999)]

    assert messages == [
        f"Enter a number from {lowest} to {highest}. {number} is outside this range."
        for number in (lowest - 1, highest + 1, 9_999_999_999)
    ]


@pytest.mark.parametrize("path", NUMBERS)
def test_refuses_numbers_that_are_not_plain_digits(path: str) -> None:
    lowest, highest = NUMBERS[path]

    messages = {text: refusal(field(path), text) for text in NOT_A_NUMBER}

    assert messages == dict.fromkeys(NOT_A_NUMBER, f"Enter a whole number from {lowest} to {highest}. Use only digits.")


@pytest.mark.parametrize(
    ("path", "option"), [(path, option) for path, options in OPTIONS.items() for option in options]
)
def test_accepts_each_option_of_the_api_page(path: str, option: str) -> None:
    assert field(path).clean(option) == option


def near_misses() -> Iterator[tuple[str, str]]:
    for path, options in OPTIONS.items():
        first = options[0]
        for text in (
            "",
            first.swapcase(),
            f" {first}",
            f"{first}\n",
            f"{first}\u200b",
            f"{first},{first}",
            "None",
            "0",
        ):
            yield path, text
    yield "system_disk_type", "SАS"  # a Cyrillic A
    yield "storage_mount_policy", "ＡＮＹ"


@pytest.mark.parametrize(("path", "text"), list(near_misses()), ids=ascii)
def test_refuses_other_values_than_the_options(path: str, text: str) -> None:
    assert refusal(field(path), text) == "Choose one of the options."


@pytest.mark.parametrize(("text", "status"), [("true", True), ("false", False)])
def test_accepts_true_and_false_as_a_status(text: str, status: bool) -> None:
    assert field("server_group_status").clean(text) is status


@pytest.mark.parametrize(
    "text",
    ["", "on", "off", "True", "FALSE", "1", "0", "no", " false", "false\n", "fаlse", "ｆａｌｓｅ", "None"],
    ids=ascii,
)
def test_refuses_other_words_for_a_status(text: str) -> None:
    assert refusal(field("server_group_status"), text) == "Choose one of the options."


@pytest.mark.parametrize("seen", [True, False, None])
def test_a_missing_status_is_unchanged(seen: bool | None) -> None:
    assert field("server_group_status", seen).clean(None) is seen


@pytest.mark.parametrize("text", ["a", "Z", "0", "_", "-", "design-pool_2", "研发设计组", "\u4e00\u9fa5", "x" * 64])
def test_accepts_a_name_of_letters_digits_underscores_and_hyphens(text: str) -> None:
    assert field("name").clean(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "This field cannot be empty."),
        ("x" * 65, "Enter at most 64 characters. This text has 65."),
        ("研" * 65, "Enter at most 64 characters. This text has 65."),
        *(
            (text, "Use letters, digits, _ and -. Spaces are not allowed.")
            for text in (
                *(" ", "a b", " a", "a ", "a\n", "\na", "a\r\n", "a\tb", "a\x00", "a\u200b", "\ufeffa", "a\u00a0b"),
                *("аdmin", "ａｂｃ", "e\u0301", "é", "ß", "\u9fa6", "\u4dff", "a.b", "a/b", "a–b", "٣", "🙂", "<b>"),
            )
        ),
    ],
    ids=ascii,
)
def test_refuses_any_other_name(text: str, message: str) -> None:
    assert refusal(field("name"), text) == message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("image_id", "x"),
        ("image_id", "!~" * 64),
        ("image_product_id", ""),
        ("image_product_id", "00301-884211-0--0"),
        ("image_product_id", "x" * 128),
    ],
)
def test_accepts_an_id_without_spaces(path: str, text: str) -> None:
    assert field(path).clean(text) == text


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("image_id", "", "This field cannot be empty."),
        *(
            (path, "x" * 129, "Enter at most 128 characters. This text has 129.")
            for path in ("image_id", "image_product_id")
        ),
        *(
            (path, text, "Use Latin letters, digits and punctuation, without spaces.")
            for path in ("image_id", "image_product_id")
            for text in (" ", "a b", "a\n", "a\u200b", "a\u00a0", "ａ", "а", "\x7f", "a\x00")
        ),
    ],
    ids=ascii,
)
def test_refuses_any_other_id(path: str, text: str, message: str) -> None:
    assert refusal(field(path), text) == message


@pytest.mark.parametrize("path", ["description", "ou_name"])
@pytest.mark.parametrize("text", ["", " ", "x" * 255, "研" * 255, "<b>&\"'</b>", "=1+1", "🙂", "OU=Sales,DC=corp", "é"])
def test_accepts_any_visible_text(path: str, text: str) -> None:
    assert field(path).clean(text) == text


@pytest.mark.parametrize("path", ["description", "ou_name"])
def test_counts_characters_not_bytes(path: str) -> None:
    assert refusal(field(path), "研" * 256) == "Enter at most 255 characters. This text has 256."


@pytest.mark.parametrize("path", ["description", "ou_name"])
@pytest.mark.parametrize(
    "character",
    ["\x00", "\t", "\x0b", "\x1b", "\x7f", "\x85", "\xad", "\u200b", "\u200e", "\u202e", "\u2028", "\u2029", "\ufeff"],
    ids=ascii,
)
def test_refuses_invisible_characters(path: str, character: str) -> None:
    message = refusal(field(path), f"a{character}b")

    assert message == f"This text contains an invisible character (U+{ord(character):04X}). Remove it."


def test_a_description_can_have_several_lines_but_not_an_ou() -> None:
    assert field("description").clean("a\r\nb\rc\nd") == "a\nb\nc\nd"
    assert refusal(field("ou_name"), "a\r\nb") == "This text contains an invisible character (U+000A). Remove it."


@pytest.mark.parametrize("seen", ["a\nb", "a\r\nb", "a\rb"])
@pytest.mark.parametrize("sent", ["a\nb", "a\r\nb"])
def test_line_breaks_of_a_browser_are_not_a_change(seen: str, sent: str) -> None:
    assert field("description", seen).clean(sent) == seen


@pytest.mark.parametrize("path", BY_PATH)
@pytest.mark.parametrize(
    "seen",
    [None, "", "as no one may type\u200b it " * 99, 0, -7, 10**12, True, False],
    ids=lambda seen: ascii(seen)[:9],
)
def test_an_unchanged_value_is_not_validated(path: str, seen: Value) -> None:
    made = field(path, seen)

    assert [made.clean(to_text(seen)), made.clean(None)] == [seen, seen]


@pytest.mark.parametrize(
    ("seen", "first"),
    [
        ("FLASH", ("FLASH", "FLASH (the value in the cloud)")),
        (None, ("", "Not known: do not change")),
        ("", ("", "Not known: do not change")),
        ("SAS", ("ESSD", "ESSD, Extreme SSD")),
    ],
)
def test_offers_the_clouds_value_even_if_it_is_not_an_option(seen: str | None, first: tuple[str, str]) -> None:
    made = BY_PATH["system_disk_type"].make()
    made.seen = seen

    made.offer_seen()  # type: ignore[attr-defined]  # it is a field with options

    assert next(iter(made.widget.choices)) == first
    assert made.clean(to_text(seen)) == seen
