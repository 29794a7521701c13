"""The log: a refusal has one line, an error has its traceback."""

import logging
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from django.test import Client

from dashboard.cloud.projects import Project
from dashboard.server_groups import list_views
from tests.conftest import address


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What the handler of the dashboard writes."""
    (handler,) = (handler for handler in logging.getLogger().handlers if handler.name == "stderr")
    assert isinstance(handler, logging.StreamHandler)
    stream = StringIO()
    usual = handler.setStream(stream)
    yield stream
    if usual:
        handler.setStream(usual)


@pytest.mark.parametrize(
    ("path", "content_type", "line"),
    [
        (address("edit/"), "text/plain", "Forbidden (Permission denied): /projects/default/"),
        (address("edit/"), "text/plain; charset=utf-7", "The request has a charset other than UTF-8: /projects/"),
    ],
)
def test_a_refused_request_logs_no_traceback(
    client_as: Callable[[str], Client], project: Project, log: StringIO, path: str, content_type: str, line: str
) -> None:
    client_as("viewer").generic("GET", path, content_type=content_type, CONTENT_TYPE=content_type)

    (written,) = log.getvalue().splitlines()
    assert f"WARNING django.request: {line}" in written


def test_an_unexpected_error_logs_its_traceback(
    client_as: Callable[[str], Client], project: Project, log: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_views, "list_groups", None)
    client = client_as("viewer")
    client.raise_request_exception = False

    client.get(address(group_id=None))

    assert "Traceback (most recent call last):" in log.getvalue()
