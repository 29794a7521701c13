"""How many requests wait for the cloud at a time, and for how long."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.test import Client as Browser

from dashboard.audit.models import ChangeIntent
from dashboard.cloud import request_limits
from dashboard.cloud.checks import check_project
from dashboard.cloud.client import client_for
from dashboard.cloud.endpoints import Calls
from dashboard.cloud.errors import NotSentError, SlowCloudError, UnavailableError
from dashboard.cloud.limits import Deadline
from dashboard.cloud.projects import Project
from dashboard.cloud.request_limits import limited_request, slots, waiting_for_cloud
from dashboard.server_groups.choices import read_images
from dashboard.server_groups.overview import read_overview
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import said


@pytest.fixture
def _one_slot() -> Iterator[None]:
    slots.resize(1)
    yield
    slots.resize(None)


@contextmanager
def slot_in_use(project: Project) -> Iterator[None]:
    """Another request waits for the cloud."""
    has_slot, is_over = threading.Event(), threading.Event()

    def wait() -> None:
        with limited_request(), waiting_for_cloud(Calls(project).show_server_group(DESIGN_POOL), Deadline(60)):
            has_slot.set()
            is_over.wait()

    other = threading.Thread(target=wait)
    other.start()
    has_slot.wait()
    try:
        yield
    finally:
        is_over.set()
        other.join()


@pytest.mark.usefixtures("_one_slot")
def test_a_request_with_several_threads_needs_one_slot(project: Project) -> None:
    with limited_request():
        overview, images, checks = read_overview(project, DESIGN_POOL), read_images(project), check_project(project)
    with limited_request():
        again = client_for(project).show_server_group(DESIGN_POOL)

    assert None not in (overview.state, overview.sessions, overview.partners)
    assert (images.problem, len(checks) > 3, again) == (None, True, overview.group)


@pytest.mark.usefixtures("_one_slot")
def test_reads_again_when_a_slot_is_free(project: Project) -> None:
    with slot_in_use(project), limited_request(), pytest.raises(SlowCloudError):
        client_for(project).list_server_groups()
    with limited_request():
        after = client_for(project).list_server_groups()

    assert after.total == 42


@pytest.mark.usefixtures("_one_slot")
def test_sends_nothing_without_a_slot(project: Project, simulator: Simulated) -> None:
    with slot_in_use(project), limited_request():
        known = len(simulator.requests())
        with pytest.raises(NotSentError, match="UpdateServerGroup was not sent: too many pages wait for the cloud"):
            client_for(project).update_server_group(DESIGN_POOL, {"name": "TEST"})
        sent = len(simulator.requests()) - known

    assert (sent, simulator.patches) == (0, [])


@pytest.mark.usefixtures("_one_slot")
def test_there_is_no_limit_outside_of_a_request(project: Project) -> None:
    with slot_in_use(project):
        group = client_for(project).show_server_group(DESIGN_POOL)

    assert group.id == DESIGN_POOL


@pytest.mark.usefixtures("_one_slot")
def test_a_write_keeps_its_slot_for_the_reads_that_verify_it(project: Project) -> None:
    rejected: list[bool] = []

    def read_group() -> None:
        with limited_request():
            try:
                client_for(project).show_server_group(DESIGN_POOL)
            except SlowCloudError:
                rejected.append(True)
            else:
                rejected.append(False)

    def read_in_another_thread() -> None:
        other = threading.Thread(target=read_group)
        other.start()
        other.join()

    with limited_request():
        client_for(project).update_server_group(DESIGN_POOL, {"name": "TEST"})
        read_in_another_thread()
        group = client_for(project).show_server_group(DESIGN_POOL)
    read_in_another_thread()

    assert (rejected, group.name) == ([True, False], "TEST")


def test_all_reads_of_a_request_share_a_deadline(
    project: Project, simulator: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "REQUEST_SECONDS", 1.0)
    simulator.inject(fault("delay", "GET", times=None, delay_ms=3000))

    with limited_request():
        with pytest.raises(UnavailableError):
            client_for(project).show_server_group(DESIGN_POOL)
        known = len(simulator.requests())
        with pytest.raises(SlowCloudError, match="ShowServerGroup was not sent: this page has waited too long"):
            client_for(project).show_server_group(DESIGN_POOL)
        sent = len(simulator.requests()) - known

    assert sent == 0


def test_a_change_is_verified_and_recorded_after_the_deadline_of_its_request(
    project: Project,
    simulator: Simulated,
    client_as: Callable[[str], Browser],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(request_limits, "REQUEST_SECONDS", 2.0)
    simulator.inject(fault("delay", delay_ms=2500))

    client_as("help desk").post(address("switch/"), {"status": "off", "reason": "INC-4711", "key": "one"})

    (intent,) = ChangeIntent.objects.filter(group_id=DESIGN_POOL)
    assert [row.outcome for row in intent.outcomes.all()] == ["applied"]


@pytest.mark.usefixtures("_one_slot")
def test_a_page_without_a_last_list_says_that_the_cloud_is_slow(
    project: Project, simulator: Simulated, client_as: Callable[[str], Browser]
) -> None:
    viewer = client_as("viewer")

    with slot_in_use(project):
        page: Any = viewer.get(address())

    assert page.status_code == 503
    assert "The cloud responds slowly. Try again in a moment." in said(page)
