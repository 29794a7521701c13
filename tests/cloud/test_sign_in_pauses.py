"""The pause after refused sign-ins: over all clicks, clients and processes."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import DatabaseError, connections
from django.db.models import F
from django.test import Client
from pytest_django import Settings

from dashboard.cloud import client as cloud_client
from dashboard.cloud import sign_in_pauses
from dashboard.cloud.checks import Check, check_project
from dashboard.cloud.credentials import PasswordCredential
from dashboard.cloud.errors import SignInError
from dashboard.cloud.limits import Deadline
from dashboard.cloud.models import SignInState
from dashboard.cloud.projects import Project
from dashboard.cloud.sign_in_pauses import LEASE_SECONDS, DatabasePauses
from tests.conftest import Simulated, address

CHECK = address(group_id=None) + "cloud-check/"
WRONG = PasswordCredential("example-corp", "ops-bot", "canary-wrong")


@pytest.fixture
def shared(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Share the pauses in the database. Call it to continue as another process."""

    def as_another_process() -> None:
        monkeypatch.setattr(sign_in_pauses, "shared_pauses", DatabasePauses())

    as_another_process()
    return as_another_process


@pytest.fixture
def locked(project: Project, settings: Settings) -> Iterator[Project]:
    """The project with a wrong password."""
    wrong = replace(project, auth=WRONG)
    settings.CLOUD_PROJECTS = (wrong,)
    yield wrong
    cloud_client.client_for(wrong).close()


def pause(duration: timedelta) -> None:
    """Let time pass: move the times in the database back."""
    seconds = duration.total_seconds()
    SignInState.objects.update(paused_until=F("paused_until") - seconds, leased_until=F("leased_until") - seconds)


def sign_ins(simulator: Simulated) -> int:
    return sum(entry["path"] == "/v3/auth/tokens" for entry in simulator.requests("POST"))


def detail(checks: tuple[Check, ...]) -> str:
    return checks[0].detail


def test_eight_clicks_on_cloud_check_are_two_refused_sign_ins(
    client_as: Callable[[str], Client], shared: Callable[[], None], locked: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")

    pages = [client.get(CHECK).content.decode() for _ in range(8)]

    assert sign_ins(simulator) == 2
    assert ["sign-in is paused for another" in page for page in pages] == [False] * 2 + [True] * 6


@pytest.mark.django_db(transaction=True)
def test_clicks_at_the_same_time_are_two_refused_sign_ins(
    shared: Callable[[], None], locked: Project, simulator: Simulated
) -> None:
    def click() -> None:
        check_project(locked)
        connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sign_ins(simulator) == 2


def test_the_pause_holds_over_processes_and_ends_after_15_minutes(
    shared: Callable[[], None], locked: Project, simulator: Simulated
) -> None:
    counts = []
    for wait in (timedelta(), timedelta(minutes=14, seconds=59), timedelta(seconds=2)):
        pause(wait)
        for _ in range(4):
            shared()
            check_project(locked)
        counts.append(sign_ins(simulator))

    assert counts == [2, 2, 3]


def test_the_pages_and_cloud_check_share_the_pause(
    client_as: Callable[[str], Client], shared: Callable[[], None], locked: Project, simulator: Simulated
) -> None:
    client = client_as("administrator")

    statuses = [client.get(page).status_code for page in (address(group_id=None), CHECK, address(), CHECK)]

    assert (statuses, sign_ins(simulator)) == ([503, 200, 503, 200], 2)


def test_a_corrected_password_has_no_pause(shared: Callable[[], None], locked: Project, simulator: Simulated) -> None:
    for _ in range(3):
        check_project(locked)
    right = replace(locked, auth=replace(WRONG, password="another"))

    message = detail(check_project(right))

    assert "paused" not in message
    assert sign_ins(simulator) == 3
    assert "canary" not in str(SignInState.objects.values())


def test_a_success_ends_the_count_of_rejections(shared: Callable[[], None]) -> None:
    for _ in range(3):
        with DatabasePauses().exclusive("key", Deadline(1)) as record:
            record.reject(time.time())
        SignInState.objects.update(paused_until=0)
        with DatabasePauses().exclusive("key", Deadline(1)) as record:
            record.succeed()

    state = SignInState.objects.get()
    assert (state.rejections, state.paused_until, state.leased_until) == (0, 0, 0)


def test_a_process_that_ended_during_a_sign_in_delays_the_others_for_20_seconds(shared: Callable[[], None]) -> None:
    SignInState.objects.create(key="key", leased_until=time.time() + LEASE_SECONDS)

    with pytest.raises(SignInError, match="did not end in time"), DatabasePauses().exclusive("key", Deadline(0.1)):
        pass
    pause(timedelta(seconds=LEASE_SECONDS))

    with DatabasePauses().exclusive("key", Deadline(0.1)) as record:
        assert record.rejections == 0


def test_without_the_database_a_process_knows_its_own_sign_ins(
    shared: Callable[[], None], locked: Project, simulator: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> None:
        raise DatabaseError("no database")

    monkeypatch.setattr(sign_in_pauses, "_short_connection", unavailable)

    for _ in range(4):
        check_project(locked)

    assert sign_ins(simulator) == 2


@pytest.mark.django_db(transaction=True)
def test_a_thread_of_a_pool_keeps_no_connection_open(shared: Callable[[], None]) -> None:
    open_after = []

    def sign_in() -> None:
        with DatabasePauses().exclusive("key", Deadline(1)) as record:
            record.succeed()
        open_after.append(connections["default"].connection)

    thread = threading.Thread(target=sign_in)
    thread.start()
    thread.join()

    assert open_after == [None]
