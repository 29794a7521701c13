"""A second PATCH: once, within the send limit, and after a new read of the group."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from dashboard.accounts.models import Actor
from dashboard.audit.models import ChangeIntent
from dashboard.cloud import client as cloud_client
from dashboard.cloud.projects import Project, load_projects
from dashboard.server_groups import sending
from dashboard.server_groups.sending import WriteResult
from dashboard.server_groups.services import update_server_group
from tests.conftest import DESIGN_POOL, PROJECT_ID, Simulated, fault
from tests.server_groups.conftest import entry_of

pytestmark = pytest.mark.django_db

People = Callable[[str], Actor]


def rename(project: Project, by: Actor, **changes: Any) -> WriteResult:
    return update_server_group(
        project=project,
        group_id=DESIGN_POOL,
        changes=changes or {"name": "TEST"},
        seen=None,
        reason="",
        key="k",
        by=by,
    )


@pytest.fixture
def while_it_waits(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Run a function at the first pause of the write path, instead of the pause."""

    def do(something: Callable[[], None]) -> None:
        pending = [something]
        monkeypatch.setattr("time.sleep", lambda _seconds: pending.pop()() if pending else None)

    return do


@pytest.fixture
def signed_in(simulator: Simulated, settings: Settings) -> Iterator[Project]:
    """A project whose client signs in with a password."""
    environ = {
        "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
        "HUAWEICLOUD_SDK_REGION": "ap-southeast-3",
        "WORKSPACE_ENDPOINT": simulator.url,
        "HUAWEICLOUD_SDK_IAM_ENDPOINT": simulator.url,
        "IAM_DOMAIN_NAME": "example-corp",
        "IAM_USER_NAME": "ops-bot",
        "IAM_PASSWORD": "simulator",
    }
    settings.CLOUD_PROJECTS = load_projects(environ)
    yield settings.CLOUD_PROJECTS[0]
    cloud_client._clients.clear()


def methods(simulator: Simulated) -> list[str]:
    return [entry["method"] for entry in simulator.requests()]


def outcome() -> tuple[list[str], str]:
    intent = ChangeIntent.objects.get()
    assert intent.last_outcome is not None
    return entry_of(intent).outcomes, intent.last_outcome.proof


def test_a_throttled_patch_is_sent_once_more_after_a_read(
    project: Project, simulator: Simulated, acting: People
) -> None:
    simulator.inject(fault("throttled"))

    rename(project, acting("administrator"))

    assert methods(simulator) == ["GET", "PATCH", "GET", "PATCH", "GET"]
    assert outcome()[0] == ["applied"]


def test_a_patch_that_is_throttled_twice_is_not_sent_a_third_time(
    project: Project, simulator: Simulated, acting: People
) -> None:
    simulator.inject(fault("throttled", times=None))

    rename(project, acting("administrator"))

    assert len(simulator.patches) == 2
    assert outcome()[0] == ["not_sent"]
    assert "The gateway stopped the change." in outcome()[1]
    assert "shows the old value of Name." in outcome()[1]


def test_a_long_retry_after_is_not_waited_for(project: Project, simulator: Simulated, acting: People) -> None:
    simulator.inject(fault("retry_after_seconds", seconds=60))

    rename(project, acting("administrator"))

    assert len(simulator.patches) == 1
    assert outcome()[0] == ["not_sent"]
    assert outcome()[1].startswith("The gateway stopped the change. It asks to wait 60 s.")


@pytest.mark.parametrize("status", [429, 503])
def test_no_second_patch_overwrites_a_change_by_others(
    project: Project,
    simulator: Simulated,
    acting: People,
    while_it_waits: Callable[[Callable[[], None]], None],
    status: int,
) -> None:
    simulator.inject(fault("retry_after_seconds", seconds=1, status=status))
    while_it_waits(lambda: simulator.change(description="theirs"))

    rename(project, acting("administrator"), description="mine")

    assert len(simulator.patches) == 1
    assert simulator.group()["description"] == "theirs"
    if status == 429:
        assert outcome()[0] == ["conflict"]
        assert outcome()[1].startswith("Someone else changed Description after the first PATCH. It was not sent again.")


def test_the_second_patch_has_the_thresholds_of_the_second_read(
    project: Project, simulator: Simulated, acting: People, while_it_waits: Callable[[Callable[[], None]], None]
) -> None:
    theirs = {"max_session": 6, "cpu_threshold": 80, "gpu_threshold": 11, "mem_threshold": 85}
    simulator.inject(fault("throttled"))
    while_it_waits(lambda: simulator.change(route_policy=theirs))

    rename(project, acting("administrator"), **{"route_policy.max_session": 9})

    assert [body["route_policy"]["gpu_threshold"] for body in simulator.patches] == [75, 11]
    assert simulator.group()["route_policy"] == {**theirs, "max_session": 9}


def test_a_throttled_patch_that_was_applied_is_applied_and_not_sent_again(
    project: Project, simulator: Simulated, acting: People, while_it_waits: Callable[[Callable[[], None]], None]
) -> None:
    simulator.inject(fault("throttled"))
    while_it_waits(lambda: simulator.change(name="TEST"))

    rename(project, acting("administrator"))

    assert (len(simulator.patches), outcome()[0]) == (1, ["applied"])


def test_a_token_that_cannot_be_renewed_does_not_hide_the_patch(
    signed_in: Project, simulator: Simulated, acting: People
) -> None:
    simulator.inject(
        fault("expired_token", applied=True),
        {"match": {"path": "*/auth/tokens"}, "fault": "delay", "times": 1},
        {"match": {"path": "*/auth/tokens"}, "fault": "unavailable", "times": None},
    )

    rename(signed_in, acting("administrator"))

    assert outcome()[0] == ["rejected", "applied"]
    assert (len(simulator.patches), simulator.group()["name"]) == (1, "TEST")


def test_an_expired_token_is_renewed_before_a_second_patch(
    signed_in: Project, simulator: Simulated, acting: People
) -> None:
    simulator.inject(fault("expired_token"))

    rename(signed_in, acting("administrator"))

    assert methods(simulator) == ["POST", "GET", "PATCH", "POST", "GET", "PATCH", "GET"]
    assert outcome()[0] == ["applied"]


def test_a_second_read_that_takes_too_long_does_not_hide_the_first_patch(
    project: Project, simulator: Simulated, acting: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter((9.0, 9.0, -1.0))
    monkeypatch.setattr(sending, "_seconds_to_send", lambda _sending: next(left))
    simulator.inject(fault("throttled", times=None))

    written = rename(project, acting("administrator"))

    assert (len(simulator.patches), outcome()[0]) == (1, ["not_sent"])
    assert written.intent is not None
    assert written.intent.is_observed


def test_a_value_hidden_from_the_second_read_is_not_a_conflict(
    project: Project, simulator: Simulated, acting: People
) -> None:
    hidden = {"match": {"method": "GET"}, "fault": "missing_members", "members": ["name"], "times": None}
    simulator.inject(fault("throttled", times=None), fault("delay", "GET", times=1), hidden)

    rename(project, acting("administrator"))

    assert (len(simulator.patches), outcome()[0]) == (1, ["unknown"])
