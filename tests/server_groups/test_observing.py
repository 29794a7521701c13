"""The dashboard reads a change for an hour if it may have been sent. A late application corrects the ledger."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from dashboard.accounts.models import Actor
from dashboard.audit.ledger.services import find_corrected, list_observed
from dashboard.audit.models import ChangeIntent, OpenChange
from dashboard.cloud.projects import Project
from dashboard.server_groups import outcome_check
from dashboard.server_groups.services import switch_server_group
from dashboard.server_groups.settling import observe_due, settle_unsettled
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import read, said, words
from tests.server_groups.conftest import entry_of

pytestmark = pytest.mark.django_db

People = Callable[[str], Actor]
Pause = Callable[[timedelta], None]
MINUTE = timedelta(minutes=1)
UNTIL_CLEAR = timedelta(seconds=outcome_check.CALL_SECONDS + 16)
ATTENTION = "/projects/default/audit/attention/"


@pytest.fixture
def not_applied(project: Project, simulator: Simulated, acting: People, pause: Pause) -> ChangeIntent:
    """A switch that the cloud did not apply, settled as not applied half a minute later."""
    simulator.inject(fault("gateway_timeout"))
    switch_server_group(
        project=project, group_id=DESIGN_POOL, on=False, reason="INC-4711", key="k", by=acting("help desk")
    )
    pause(UNTIL_CLEAR)
    list(settle_unsettled())
    intent = ChangeIntent.objects.get()
    assert entry_of(intent).outcomes == ["unknown", "not_applied"]
    return intent


def outcomes() -> list[str]:
    return entry_of(ChangeIntent.objects.get()).outcomes


def test_a_late_application_adds_a_row_and_needs_attention(
    not_applied: ChangeIntent, simulator: Simulated, pause: Pause, client_as: Callable[[str], Client]
) -> None:
    client = client_as("help desk")
    simulator.change(server_group_status=False)

    pause(MINUTE)
    list(observe_due())

    assert outcomes() == ["unknown", "not_applied", "applied"]
    assert OpenChange.objects.count() == 0
    assert "The cloud applied this change late, after another outcome was recorded." in said(client.get(ATTENTION))
    assert "Needs attention 1" in [words(a.text) for a in read(client.get(ATTENTION)).all("a")]
    assert len(simulator.patches) == 1


def test_a_late_application_is_listed_for_a_day(not_applied: ChangeIntent, simulator: Simulated, pause: Pause) -> None:
    simulator.change(server_group_status=False)
    pause(MINUTE)
    list(observe_due())
    since = ChangeIntent.objects.get().at

    assert list(find_corrected("default", since=since)) == [not_applied]
    assert list(find_corrected("default", since=since + timedelta(seconds=1))) == []
    assert list(find_corrected("another", since=since)) == []


def test_reads_after_1_5_15_and_60_minutes_and_then_stops(
    not_applied: ChangeIntent, simulator: Simulated, pause: Pause
) -> None:
    read_at = []
    simulator.control("DELETE", "requests")
    for minute in range(1, 90):
        pause(MINUTE)
        if list(observe_due()):
            read_at.append(minute)

    assert read_at == [1, 5, 15, 60]
    assert len(simulator.requests("GET")) == 4
    assert outcomes() == ["unknown", "not_applied"]
    assert OpenChange.objects.count() == 0


def test_no_page_calls_a_retry_safe_within_the_hour(
    not_applied: ChangeIntent, pause: Pause, client_as: Callable[[str], Client]
) -> None:
    client = client_as("help desk")
    pages = [ATTENTION, f"/projects/default/audit/{not_applied.number}/", "/projects/default/audit/", address()]

    young = " ".join(said(client.get(page)) for page in pages)
    pause(timedelta(hours=1))
    list(observe_due())
    old = said(client.get(pages[1]))

    assert young.count("not applied so far") >= 3
    assert "Not applied so far: the cloud may still apply this change." in young
    assert "safe" not in young
    assert "not applied so far" not in old
    assert "not applied" in old


def test_a_second_attempt_ends_the_observation_of_the_first(
    not_applied: ChangeIntent, project: Project, simulator: Simulated, acting: People, pause: Pause
) -> None:
    simulator.inject(fault("gateway_timeout"))
    switch_server_group(
        project=project, group_id=DESIGN_POOL, on=False, reason="again", key="2", by=acting("help desk")
    )
    pause(UNTIL_CLEAR)
    list(settle_unsettled())
    second = ChangeIntent.objects.order_by("number").last()
    assert second is not None
    simulator.change(server_group_status=False)

    pause(MINUTE)
    list(observe_due())

    assert entry_of(not_applied).outcomes == ["unknown", "not_applied"]
    assert entry_of(second).outcomes == ["unknown", "not_applied", "applied"]


def test_an_unreadable_cloud_is_read_again_at_the_next_time(
    not_applied: ChangeIntent, simulator: Simulated, pause: Pause
) -> None:
    simulator.inject(fault("forbidden", "GET", times=1))
    pause(MINUTE)
    list(observe_due())
    simulator.change(server_group_status=False)

    pause(4 * MINUTE)
    list(observe_due())

    assert outcomes() == ["unknown", "not_applied", "applied"]


def test_an_accepted_change_is_applied_when_a_read_shows_it(
    project: Project, simulator: Simulated, acting: People, pause: Pause
) -> None:
    hidden = {"match": {"method": "GET"}, "fault": "missing_members", "members": ["server_group_status"], "times": None}
    simulator.inject(hidden, {"match": {"path": "*/app-server-groups"}, "fault": "forbidden", "times": None})
    written = switch_server_group(
        project=project, group_id=DESIGN_POOL, on=False, reason="INC", key="k", by=acting("help desk")
    )
    assert written.intent is not None
    at_first = outcomes()
    simulator.inject()

    pause(MINUTE)
    list(observe_due())

    assert (at_first, outcomes()) == (["accepted"], ["accepted", "applied"])
    assert list_observed() == []


def test_a_late_application_over_a_newer_change_is_reported(
    project: Project, simulator: Simulated, acting: People, pause: Pause, not_applied: ChangeIntent
) -> None:
    by = acting("help desk")
    simulator.change(server_group_status=False)
    switch_server_group(project=project, group_id=DESIGN_POOL, on=True, reason="", key="2", by=by)
    second = ChangeIntent.objects.exclude(pk=not_applied.pk).get()
    simulator.change(server_group_status=False)

    pause(MINUTE)
    list(observe_due())

    assert (entry_of(second).outcomes, entry_of(not_applied).outcomes) == (
        ["applied"],
        ["unknown", "not_applied", "applied"],
    )
    assert list(find_corrected("default", since=not_applied.at)) == [not_applied]


def test_an_accepted_change_is_not_applied_if_a_read_shows_the_old_value(
    project: Project, simulator: Simulated, acting: People, pause: Pause
) -> None:
    hidden = {"match": {"method": "GET"}, "fault": "missing_members", "members": ["server_group_status"], "times": None}
    simulator.inject(fault("ignored"), fault("delay", "GET", times=1), hidden)
    switch_server_group(project=project, group_id=DESIGN_POOL, on=False, reason="why", key="k", by=acting("help desk"))
    at_first = outcomes()
    simulator.inject()

    pause(MINUTE)
    list(observe_due())

    assert (at_first, outcomes()) == (["accepted"], ["accepted", "not_applied"])
