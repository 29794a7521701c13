"""No text of the cloud package contains a part of a secret that the cloud repeats."""

import base64
import html
import json
import logging
import random
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dashboard.cloud.checks import check_project
from dashboard.cloud.credentials import Credential, KeyCredential, PasswordCredential, TokenCredential
from dashboard.cloud.errors import CloudError
from dashboard.cloud.redaction import MASK, WINDOW, Redactor

from .scripted import GROUP_ID, LONG_LIMITS, Received, Responder, ScriptedCloud, raw, respond, scripted_cloud

ALPHABET = string.ascii_letters + string.digits + "+/-_=%&\\.;"
ENCODINGS: dict[str, Callable[[str], str]] = {
    "unchanged": str,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 after one byte": lambda text: base64.b64encode(b"x" + text.encode()).decode(),
    "base64 after two bytes": lambda text: base64.b64encode(b"x:" + text.encode()).decode(),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "percent": lambda text: quote(text, safe=""),
    "percent, every character": lambda text: "".join(f"%{ord(character):02x}" for character in text),
    "percent, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON, every character": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "JSON, twice": lambda text: json.dumps(json.dumps(text)),
    "HTML": html.escape,
    "HTML, every character": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "with spaces": " ".join,
    "with line breaks": lambda text: "\r\n".join(text[place : place + 5] for place in range(0, len(text), 5)),
    "with direction marks": "\u202e".join,
    "with NUL": "\0".join,
}


@dataclass(frozen=True)
class Echo:
    """A message with a part of a secret, in an encoding, between other words."""

    seed: int
    length: int
    begin: int
    kept: int
    words_before: int
    encoding: str

    @property
    def secret(self) -> str:
        """Random characters, so that no message contains a part of them by chance."""
        dice = random.Random(self.seed)  # noqa: S311 (it makes a test's secret)
        return "".join(dice.choices(ALPHABET, k=self.length))

    @property
    def fragment(self) -> str:
        begin = self.begin % (self.length - WINDOW + 1)
        return self.secret[begin : begin + max(WINDOW, self.kept)]

    @property
    def text(self) -> str:
        return f"{'Wrong. ' * self.words_before}{ENCODINGS[self.encoding](self.fragment)} was not accepted"


echoes = st.builds(
    Echo,
    seed=st.integers(0, 2**32),
    length=st.one_of(st.integers(8, 64), st.integers(8, 4000)),
    begin=st.integers(0, 4000),
    kept=st.integers(8, 4000),
    words_before=st.integers(0, 90),
    encoding=st.sampled_from(sorted(ENCODINGS)),
)
LONG = Echo(seed=1, length=3000, begin=0, kept=3000, words_before=1, encoding="unchanged")


def parts_in(text: str, secret: str) -> list[str]:
    """Parts of the secret, or of one of its encodings, in the text."""
    inner = [form[4:-4] if name.startswith("base64") else form for name, form in forms_of(secret)]
    without_spaces = "".join(text.split())
    return [
        form[place : place + size]
        for form, size in zip(inner, sizes_of(inner, secret), strict=True)
        for place in range(len(form) - size + 1)
        if form[place : place + size] in text or form[place : place + size] in without_spaces
    ]


def forms_of(secret: str) -> Iterator[tuple[str, str]]:
    names = ("unchanged", "base64", "base64 after one byte", "base64 after two bytes", "base64 for addresses")
    return ((name, ENCODINGS[name](secret)) for name in names)


def sizes_of(forms: list[str], secret: str) -> list[int]:
    """Lengths that reveal as much as WINDOW characters of the secret. Base64 needs more characters."""
    return [WINDOW if form == secret else 11 for form in forms]


@contextmanager
def cloud_that_repeats(text: str, token: str = "") -> Iterator[ScriptedCloud]:
    """Signs in with `token`, and rejects all other requests with the text in every member and header."""
    header = "".join(character for character in text if " " <= character <= "~")
    body = {"error_code": text, "error_msg": text, "request_id": text, "encoded_authorization_message": text}
    rejection = respond(403, body, {"X-Request-Id": header})

    def route(received: Received) -> Responder:
        if received.path.startswith("/v3/auth/tokens") and token:
            return respond(201, {"token": {}}, {"X-Subject-Token": token})
        return rejection

    with scripted_cloud(route=route) as cloud:
        yield cloud


def texts_of(error: CloudError) -> str:
    return " ".join([str(error), repr(error), *map(str, vars(error).values())])


CREDENTIALS: dict[str, Callable[[str], tuple[Credential, str]]] = {
    "token": lambda secret: (TokenCredential(secret), ""),
    "password": lambda secret: (PasswordCredential("corp", "bot", secret), "t0k3n"),
    "issued token": lambda secret: (PasswordCredential("corp", "bot", "p4ssw0rd"), secret),
    "rejected password": lambda secret: (PasswordCredential("corp", "bot", secret), ""),
    "sk": lambda secret: (KeyCredential("AK", secret), ""),
    "ak": lambda secret: (KeyCredential(secret, "sk"), ""),
    "security token": lambda secret: (KeyCredential("AK", "sk", secret), ""),
}


@pytest.mark.parametrize("kind", CREDENTIALS)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(echo=echoes)
@example(echo=LONG)
def test_no_error_or_log_contains_a_part_of_a_secret(caplog: pytest.LogCaptureFixture, kind: str, echo: Echo) -> None:
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    credential, token = CREDENTIALS[kind](echo.secret)
    with cloud_that_repeats(echo.text, token) as cloud:
        client = cloud.client(credential)
        with pytest.raises(CloudError) as caught:
            client.update_server_group(GROUP_ID, {"description": "new"})
        client.close()

    assert parts_in(texts_of(caught.value), echo.fragment) == []
    assert parts_in(caplog.text, echo.fragment) == []


@pytest.mark.parametrize("kind", ["token", "issued token", "sk"])
def test_the_cloud_check_contains_no_part_of_a_secret(kind: str) -> None:
    credential, token = CREDENTIALS[kind](LONG.secret)
    with cloud_that_repeats(LONG.text, token) as cloud:
        checks = check_project(cloud.project(credential), LONG_LIMITS)

    assert parts_in(repr(checks), LONG.secret) == []


def test_masks_the_signature_of_a_request() -> None:
    def echo(received: Received) -> Responder:
        return respond(401, {"error_code": "APIGW.0301", "error_msg": f"header: {received.headers['Authorization']}"})

    with scripted_cloud(route=echo) as cloud:
        with pytest.raises(CloudError) as caught:
            cloud.client(KeyCredential("AKID", "secret-of-the-key")).show_server_group(GROUP_ID)
        signature = cloud.requests[0].headers["Authorization"].partition("Signature=")[2]

    assert parts_in(texts_of(caught.value), signature) == []
    assert caught.value.error_msg.endswith("Signature=***")


def test_masks_only_the_token_in_a_description() -> None:
    group = {"id": GROUP_ID, "name": "design-pool", "description": f"For design. {LONG.secret}", "is_vdi": False}
    with scripted_cloud(respond(200, group)) as cloud:
        read = cloud.client(TokenCredential(LONG.secret)).show_server_group(GROUP_ID)

    assert (read.name, read.description, read.is_vdi) == ("design-pool", "For design. ***", False)


def test_does_not_log_invalid_response_headers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"id": GROUP_ID}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nno colon {LONG.secret}\r\n\r\n"
    with scripted_cloud(raw(head.encode() + body)) as cloud:
        cloud.client(TokenCredential(LONG.secret)).show_server_group(GROUP_ID)

    assert parts_in(caplog.text, LONG.secret) == []


@pytest.mark.parametrize(
    ("secrets", "text", "expected"),
    [
        (["hunter2"], "Wrong: hunter2, hunter3", "Wrong: ***, hunter3"),
        (["hunter2"], "Wrong: h u n t e r 2.", "Wrong: ***."),
        (["0123456789"], "1234567 is too short", "1234567 is too short"),
        (["0123456789"], "12345678 is a part", "*** is a part"),
        (["0123456789"], "0123456789 0123456789", "*** ***"),
        (["abc\u00e4def\u00dfghi"], "abc%C3%A4def%C3%9Fghi", "***"),
        (["pass?word-1"], "pass\ud800word-1", "***"),
        (["", " "], "nothing to hide", "nothing to hide"),
        (
            ["0123456789"],
            "It takes at most 64 characters (WKS.00129901).",
            "It takes at most 64 characters (WKS.00129901).",
        ),
        (["0123456789"], f"0123456789{'x' * 20_000}", "***"),
    ],
)
def test_masks_only_the_secret_in_a_text(secrets: list[str], text: str, expected: str) -> None:
    assert Redactor(secrets)(text) == expected


def test_does_not_copy_json_without_a_secret() -> None:
    data = {"items": [{"id": GROUP_ID, "count": 12, "tags": [None, True, 1.5]}]}

    assert Redactor(["0123456789"]).in_json(data) is data


def test_masks_texts_and_numbers_at_any_depth() -> None:
    data = {"a": [{"b": ["x 0123456789", 123456789, 7, None, True, 1.5]}]}

    assert Redactor(["0123456789"]).in_json(data) == {"a": [{"b": ["x ***", MASK, 7, None, True, 1.5]}]}


def test_masks_a_body_as_a_whole_if_it_is_too_deep_to_copy() -> None:
    data: object = "0123456789"
    for _ in range(3000):
        data = [data]

    assert Redactor(["0123456789"]).in_json(data) == MASK


def test_masks_a_large_body_with_many_secrets_in_time() -> None:
    data = [f"{place} {LONG.secret[place : place + 1000]}" for place in range(1000)]

    assert set(map(str, Redactor([LONG.secret]).in_json(data))) == {MASK}  # type: ignore[call-overload]
