"""When a PATCH may leave a second time: once, within the send limit, and after a new read of the group."""

from collections.abc import Callable
from typing import Any

import pytest

from dashboard.accounts.models import Actor
from dashboard.audit.models import ChangeIntent
from dashboard.cloud.projects import Project
from dashboard.server_groups.services import Written, update_server_group
from tests.conftest import DESIGN_POOL, Simulated, fault
from tests.server_groups.conftest import told

pytestmark = pytest.mark.django_db

People = Callable[[str], Actor]


def rename(project: Project, by: Actor, **changes: Any) -> Written:
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
    """Do something once, at the first pause of the write path, instead of the pause."""

    def do(something: Callable[[], None]) -> None:
        pending = [something]
        monkeypatch.setattr("time.sleep", lambda _seconds: pending.pop()() if pending else None)

    return do


def methods(simulator: Simulated) -> list[str]:
    return [entry["method"] for entry in simulator.requests()]


def outcome() -> tuple[list[str], str]:
    intent = ChangeIntent.objects.get()
    assert intent.last_outcome is not None
    return told(intent).outcomes, intent.last_outcome.proof


def test_a_throttled_patch_is_sent_again_once_after_a_read(
    project: Project, simulator: Simulated, acting: People
) -> None:
    simulator.play(fault("throttled"))

    rename(project, acting("administrator"))

    assert methods(simulator) == ["GET", "PATCH", "GET", "PATCH", "GET"]
    assert outcome()[0] == ["applied"]


def test_a_patch_that_is_throttled_twice_is_not_sent_a_third_time(
    project: Project, simulator: Simulated, acting: People
) -> None:
    simulator.play(fault("throttled", times=None))

    rename(project, acting("administrator"))

    assert len(simulator.patches) == 2
    assert outcome()[0] == ["not_sent"]
    assert "The gateway stopped the change." in outcome()[1]
    assert "shows the old value of Name." in outcome()[1]


def test_a_long_retry_after_is_not_waited_for(project: Project, simulator: Simulated, acting: People) -> None:
    simulator.play(fault("retry_after_seconds", seconds=60))

    rename(project, acting("administrator"))

    assert len(simulator.patches) == 1
    assert outcome()[0] == ["not_sent"]
    assert outcome()[1].startswith("The gateway stopped the change. It asks to wait 60 s.")


@pytest.mark.parametrize("status", [429, 503])
def test_no_second_patch_overwrites_what_someone_else_changed(
    project: Project,
    simulator: Simulated,
    acting: People,
    while_it_waits: Callable[[Callable[[], None]], None],
    status: int,
) -> None:
    simulator.play(fault("retry_after_seconds", seconds=1, status=status))
    while_it_waits(lambda: simulator.change(description="theirs"))

    rename(project, acting("administrator"), description="mine")

    assert len(simulator.patches) == 1
    assert simulator.group()["description"] == "theirs"
    if status == 429:
        assert outcome()[0] == ["conflict"]
        assert outcome()[1].startswith(
            "Someone else changed Description before the change could be sent again, so it was not."
        )


def test_the_second_patch_carries_the_thresholds_of_the_second_read(
    project: Project, simulator: Simulated, acting: People, while_it_waits: Callable[[Callable[[], None]], None]
) -> None:
    theirs = {"max_session": 6, "cpu_threshold": 80, "gpu_threshold": 11, "mem_threshold": 85}
    simulator.play(fault("throttled"))
    while_it_waits(lambda: simulator.change(route_policy=theirs))

    rename(project, acting("administrator"), **{"route_policy.max_session": 9})

    assert [body["route_policy"]["gpu_threshold"] for body in simulator.patches] == [75, 11]
    assert simulator.group()["route_policy"] == {**theirs, "max_session": 9}


def test_a_throttled_patch_that_was_applied_is_applied_and_not_sent_again(
    project: Project, simulator: Simulated, acting: People, while_it_waits: Callable[[Callable[[], None]], None]
) -> None:
    simulator.play(fault("throttled"))
    while_it_waits(lambda: simulator.change(name="TEST"))

    rename(project, acting("administrator"))

    assert (len(simulator.patches), outcome()[0]) == (1, ["applied"])
