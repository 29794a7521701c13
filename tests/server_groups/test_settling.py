"""What nobody knows is found out later: by the worker, by the command, never by sending again."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from dashboard.accounts.models import Actor
from dashboard.audit.models import ChangeIntent, Unsettled
from dashboard.audit.services import LedgerError, leased
from dashboard.cloud.projects import Project
from dashboard.server_groups import services, worker
from dashboard.server_groups.settling import LEASE, Attempted, settle_unsettled
from dashboard.server_groups.worker import Worker
from tests.conftest import DESIGN_POOL, Simulated, fault
from tests.markup import read, said, words
from tests.server_groups.conftest import told

pytestmark = pytest.mark.django_db
LADDER = 1 + 2 + 4 + 8
LATER = timedelta(seconds=services.CALL_SECONDS + LADDER + 1)
Pause = Callable[[timedelta], None]


@pytest.fixture
def lost(project: Project, simulator: Simulated, acting: Callable[[str], Actor]) -> ChangeIntent:
    """A change that the cloud said yes to and did not show."""
    simulator.play(fault("ignored"))
    written = services.update_server_group(
        project=project,
        group_id=DESIGN_POOL,
        changes={"name": "TEST"},
        seen=None,
        reason="INC-1",
        key="a key",
        by=acting("administrator"),
    )
    assert written.intent is not None
    assert told(written.intent).outcomes == ["unknown"]
    return written.intent


def test_what_shows_later_is_settled_once_and_sent_never(lost: ChangeIntent, simulator: Simulated) -> None:
    simulator.change(name="TEST")

    (tried,) = settle_unsettled()

    assert told(tried.intent).outcomes == ["unknown", "applied"]
    assert (list(settle_unsettled()), len(simulator.patches)) == ([], 1)


def test_what_cannot_be_told_stays_and_is_tried_again(lost: ChangeIntent, pause: Pause) -> None:
    pause(LATER)

    tried = [next(iter(settle_unsettled())) for _ in range(2)]

    assert [told(one.intent).outcomes for one in tried] == [["unknown"], ["unknown"]]
    assert Unsettled.objects.get().leased_until is None


def test_two_settlers_do_not_try_the_same(lost: ChangeIntent, pause: Pause) -> None:
    with leased(lost.number, LEASE) as mine:
        assert mine == lost
        assert list(settle_unsettled()) == []
        pause(LEASE + timedelta(seconds=1))
        assert [one.intent for one in settle_unsettled()] == [lost]


def test_who_dies_while_settling_holds_it_up_no_longer_than_the_lease(lost: ChangeIntent, pause: Pause) -> None:
    Unsettled.objects.update(leased_until=timezone.now() + LEASE)

    assert list(settle_unsettled()) == []
    pause(LEASE + timedelta(seconds=1))
    assert len(list(settle_unsettled())) == 1


def test_a_project_that_is_gone_is_told(
    lost: ChangeIntent, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.CLOUD_PROJECTS = ()

    with pytest.raises(SystemExit, match="1"):
        call_command("settle")

    assert capsys.readouterr().out.splitlines() == [
        f"{lost.number}  design-pool  the project default is not configured any more",
        "0 settled, 1 still unknown.",
    ]


def test_the_command_says_what_came_of_each(
    lost: ChangeIntent, simulator: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.change(name="TEST")

    call_command("settle")
    call_command("settle")

    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{lost.number}  design-pool  Applied: A read at ")
    assert rest == ["1 settled, 0 still unknown.", "0 settled, 0 still unknown."]


def test_the_command_says_what_is_left(
    lost: ChangeIntent, simulator: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.play(fault("unavailable", "GET", times=None))

    with pytest.raises(SystemExit, match="1"):
        call_command("settle")

    assert capsys.readouterr().out.splitlines()[-1] == "0 settled, 1 still unknown."


def test_the_command_says_that_the_ledger_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_options: object) -> list[int]:
        raise LedgerError("no such table")

    monkeypatch.setattr("dashboard.server_groups.settling.list_unsettled", fail)

    with pytest.raises(CommandError, match="The ledger cannot be read: no such table"):
        call_command("settle")


def test_an_outcome_that_cannot_be_recorded_is_tried_again(
    lost: ChangeIntent, simulator: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_options: object) -> ChangeIntent:
        raise LedgerError("disk full")

    simulator.change(name="TEST")
    with monkeypatch.context() as patch:
        patch.setattr("dashboard.server_groups.settling.settle_change", fail)
        (failed,) = settle_unsettled()
    (tried,) = settle_unsettled()

    assert failed.problem == "disk full"
    assert told(tried.intent).outcomes == ["unknown", "applied"]


# The worker


def test_the_worker_tries_the_young_at_each_turn_and_the_old_now_and_then(
    lost: ChangeIntent, pause: Pause, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[list[int]] = []

    def watched(*, younger_than: timedelta | None) -> list[Attempted]:
        tried = list(settle_unsettled(younger_than=younger_than))
        rounds.append([one.intent.number for one in tried])
        return tried

    monkeypatch.setattr(worker, "settle_unsettled", watched)
    settler = Worker()

    settler.tick()
    settler.tick()
    pause(worker.YOUNG + timedelta(seconds=1))
    settler.tick()
    settler._old_at -= worker.OLD_EVERY_SECONDS
    settler.tick()

    assert rounds == [[lost.number], [lost.number], [], [lost.number]]


def test_the_worker_hands_each_new_checkpoint_to_the_hook_but_not_too_often(
    lost: ChangeIntent, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    monkeypatch.setattr(worker, "send_to_hook", lambda head: sent.append(head.number))
    settings.CHECKPOINT_HOOK = "true"
    settler = Worker()

    settler.tick()
    settler.tick()
    first = list(sent)
    settler._sent_number = 0
    settler.tick()
    settler._sent_at -= worker.HOOK_EVERY_SECONDS
    settler.tick()

    assert (first, sent) == ([lost.number + 1], [lost.number + 1] * 2)


def test_the_worker_survives_whatever_goes_wrong(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_options: object) -> None:
        raise RuntimeError("unheard of")

    monkeypatch.setattr(worker, "settle_unsettled", fail)

    Worker().tick()

    assert "unheard of" in caplog.text


def test_the_worker_runs_beside_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = threading.Event()

    def tick(_worker: Worker) -> None:
        ticks.set()
        threading.Event().wait()  # the thread ends with the process

    monkeypatch.setattr(worker, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(Worker, "tick", tick)

    Worker().start()

    assert ticks.wait(5)


# Needs attention


def test_what_nobody_could_settle_is_shown_with_what_to_do(
    lost: ChangeIntent, client_as: Callable[[str], Client], pause: Pause
) -> None:
    client, address = client_as("help desk"), "/projects/default/audit/attention/"
    before = said(client.get(address))

    pause(LATER + timedelta(minutes=1))
    page = client.get(address)

    assert "Nothing needs attention" in before
    assert "administrator tried to change design-pool Entry" in said(page)
    assert "If the group does not have them by now, send the change again as a new one." in said(page)
    (form,) = [form for form in read(page).forms if "settle" in form.attrs.get("action", "")]
    assert form.attrs["action"].endswith(f"/changes/{lost.number}/settle/")


def test_every_page_links_to_what_needs_attention(
    lost: ChangeIntent, client_as: Callable[[str], Client], pause: Pause
) -> None:
    def link(role: str) -> list[str]:
        page = read(client_as(role).get("/projects/default/server-groups/"))
        return [words(a.text) for a in page.all("a") if a.attrs.get("href", "").endswith("/attention/")]

    before = link("help desk")
    pause(timedelta(minutes=2))

    assert (before, link("help desk"), link("viewer")) == ([], ["Needs attention 1"], [])
