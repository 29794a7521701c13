"""Hostile requests: large bodies, many fields, files, and bytes that are not UTF-8."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.test import Client

from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from tests.conftest import Simulated, address
from tests.markup import read, said

LOGIN = "/accounts/login/"
URLENCODED = "application/x-www-form-urlencoded"
POSTS = (address("edit/"), address("edit/review/"), address("switch/"), LOGIN, "/theme/", "/nowhere/", "/healthz")
MULTIPART = 'multipart/form-data; boundary="x"'


def part(name: str, value: bytes, more: str = "") -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n--x--\r\n"


@pytest.fixture
def clients(client_as: Callable[[str], Client], project: Project, simulator: Simulated) -> list[Client]:
    """Two browsers: of an administrator, and of a person who is not signed in."""
    return [client_as("administrator"), Client()]


def statuses(clients: list[Client], path: str, body: bytes, content_type: str = URLENCODED) -> list[int]:
    return [client.generic("POST", path, body, content_type).status_code for client in clients]


@pytest.mark.parametrize("charset", ["latin-1", "utf-7", "utf-16", "us-ascii", "rot13", "unknown", '"utf-7"'])
@pytest.mark.parametrize("path", POSTS)
def test_a_post_with_another_charset_is_invalid(
    clients: list[Client], simulator: Simulated, path: str, charset: str
) -> None:
    body = b"name=TEST&description=M\xfcnchen&status=off&reason=why"

    assert statuses(clients, path, body, f"{URLENCODED}; charset={charset}") == [400, 400]
    assert statuses(clients, path, part("name", b"TEST"), f"{MULTIPART}; charset={charset}") == [400, 400]
    assert simulator.requests() == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"description=M%FCnchen", URLENCODED),
        (b"description=M\xfcnchen", URLENCODED),
        (b"description=M\xfcnchen", f"{URLENCODED}; charset=UTF-8"),
        (b"M%FCnchen=x", URLENCODED),
        (b"description=%C0%AF", URLENCODED),
        (b"description=%ED%A0%80", URLENCODED),
        (part("description", b"M\xfcnchen"), MULTIPART),
    ],
)
@pytest.mark.parametrize("path", POSTS)
def test_bytes_that_are_not_utf_8_are_refused_and_nothing_is_sent(
    clients: list[Client], simulator: Simulated, path: str, body: bytes, content_type: str
) -> None:
    assert statuses(clients, path, body, content_type) == [400, 400]
    assert (simulator.requests(), ChangeIntent.objects.count()) == ([], 0)


def test_a_post_to_an_address_with_bytes_that_are_not_utf_8_is_refused(clients: list[Client]) -> None:
    assert statuses(clients, address("edit/") + "?q=M%FCnchen", b"name=TEST") == [400, 400]


def test_utf_8_reaches_the_cloud_unchanged(clients: list[Client], simulator: Simulated) -> None:
    fields = read(clients[0].get(address("edit/"))).form("edit-form").fields

    clients[0].post(address("edit/"), fields | {"description": "München 100%FC �"})

    assert simulator.patches == [{"description": "München 100%FC �"}]


@pytest.mark.parametrize("path", POSTS)
def test_a_body_over_256_kb_is_refused(clients: list[Client], simulator: Simulated, path: str) -> None:
    large = b"name=" + b"x" * 256 * 1024

    assert statuses(clients, path, large) == [413, 413]
    assert statuses(clients, path, large, "text/plain") == [413, 413]
    assert said(clients[1].generic("POST", path, large, URLENCODED)) == (
        "The request is too large Nothing was sent or changed. Go back and send a shorter text."
    )
    assert simulator.requests() == []


@pytest.mark.parametrize("path", [address("edit/"), LOGIN, "/theme/"])
def test_more_than_200_fields_are_refused(clients: list[Client], path: str) -> None:
    body = b"&".join(b"name=x" for _ in range(201))

    assert statuses(clients, path, body) == [400, 400]


@pytest.mark.parametrize("path", [address("edit/"), LOGIN, "/theme/"])
def test_a_file_is_refused(clients: list[Client], simulator: Simulated, path: str) -> None:
    assert statuses(clients, path, part("name", b"x", '; filename="x"'), MULTIPART) == [400, 400]
    assert simulator.requests() == []


class BrokenStream(BytesIO):
    def read(self, *_args: Any) -> bytes:
        raise OSError("connection reset")


@pytest.mark.parametrize("length", ["10", "", "none"])
def test_an_incomplete_body_and_a_wrong_length_are_no_server_error(db: None, length: str) -> None:
    environ: dict[str, Any] = {"CONTENT_LENGTH": length, "wsgi.input": BrokenStream()}

    response = Client().generic("POST", LOGIN, b"login=x", URLENCODED, **environ)

    assert response.status_code == (400 if length else 200)
