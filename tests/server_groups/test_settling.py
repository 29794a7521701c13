"""The worker, the command and pages settle unknown changes by reading, never by sending again."""

import json
import os
import select
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from dashboard.accounts.models import Actor
from dashboard.audit.integrity.confirmation import check_against
from dashboard.audit.integrity.verification import verify
from dashboard.audit.ledger import checkpoints
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.checkpoints import read_checkpoints, send_to_hook
from dashboard.audit.ledger.services import (
    Event,
    LedgerError,
    OutcomeDetails,
    leased,
    list_unsettled,
    record_event,
    record_intent,
    record_outcome,
)
from dashboard.audit.models import OBSERVED_FOR, ChangeIntent, EventKind, OpenChange, Outcome, Value
from dashboard.cloud.projects import Project
from dashboard.server_groups import outcome_check, sending, services
from dashboard.server_groups.settling import LEASE, SettleResult, settle_unsettled
from dashboard.worker import jobs
from dashboard.worker.jobs import Worker
from tests.conftest import DESIGN_POOL, Simulated, address, fault
from tests.markup import read, said, words
from tests.server_groups.conftest import entry_of

pytestmark = pytest.mark.django_db
LADDER = 1 + 2 + 4 + 8
LATER = timedelta(seconds=outcome_check.CALL_SECONDS + LADDER + 1)
Pause = Callable[[timedelta], None]
BUSY = "another process is reading the group now"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def lost(project: Project, simulator: Simulated, acting: Callable[[str], Actor]) -> ChangeIntent:
    """A change that the cloud accepted and did not show."""
    simulator.inject(fault("ignored"))
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
    assert entry_of(written.intent).outcomes == ["unknown"]
    return written.intent


def test_a_later_read_settles_a_change_once_without_sending(lost: ChangeIntent, simulator: Simulated) -> None:
    simulator.change(name="TEST")

    (tried,) = settle_unsettled()

    assert entry_of(tried.intent).outcomes == ["unknown", "applied"]
    assert (list(settle_unsettled()), len(simulator.patches)) == ([], 1)


@pytest.fixture
def cut_short(project: Project, acting: Callable[[str], Actor], monkeypatch: pytest.MonkeyPatch) -> ChangeIntent:
    """A change of the name whose process was killed before anything was sent."""

    def die(*_args: object, **_kwargs: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(services, "send", die)
        with pytest.raises(KeyboardInterrupt):
            rename(project, acting, "NEVER_SENT", key="cut short")
    return ChangeIntent.objects.get()


def rename(project: Project, acting: Callable[[str], Actor], name: str, *, key: str) -> ChangeIntent:
    changes: dict[str, Value] = {"name": name}
    by, group = acting("administrator"), DESIGN_POOL
    written = services.update_server_group(
        project=project, group_id=group, changes=changes, seen=None, reason="", key=key, by=by
    )
    assert written.intent is not None
    return written.intent


@pytest.mark.parametrize("name", ["NEVER_SENT", "OTHER"])
def test_an_interrupted_change_is_settled_before_the_next_one(
    project: Project,
    simulator: Simulated,
    acting: Callable[[str], Actor],
    cut_short: ChangeIntent,
    pause: Pause,
    name: str,
) -> None:
    pause(LATER)

    later = rename(project, acting, name, key="the next")

    assert entry_of(cut_short).outcomes == ["not_applied"]
    assert (entry_of(later).outcomes, len(simulator.patches)) == (["applied"], 1)


def test_a_change_overwritten_by_a_later_one_stays_unknown(
    project: Project, simulator: Simulated, acting: Callable[[str], Actor], lost: ChangeIntent, pause: Pause
) -> None:
    pause(LATER)
    later = rename(project, acting, "OTHER", key="the next")
    simulator.change(name="TEST")

    (tried,) = settle_unsettled()

    assert (entry_of(later).outcomes, entry_of(tried.intent).outcomes) == (["applied"], ["unknown"])


def test_a_later_change_of_other_fields_overwrites_nothing(
    project: Project, simulator: Simulated, acting: Callable[[str], Actor], lost: ChangeIntent, pause: Pause
) -> None:
    pause(LATER)
    services.switch_server_group(
        project=project, group_id=DESIGN_POOL, on=False, reason="INC-2", key="other", by=acting("administrator")
    )
    simulator.change(name="TEST")

    list(settle_unsettled())

    assert entry_of(lost).outcomes == ["unknown", "applied"]


def test_a_process_delayed_after_its_intent_sends_nothing(
    project: Project,
    simulator: Simulated,
    acting: Callable[[str], Actor],
    pause: Pause,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def record_and_sleep(*args: Any, **kwargs: Any) -> tuple[ChangeIntent, bool]:
        recorded = record_intent(*args, **kwargs)
        pause(sending.SEND_WITHIN + timedelta(seconds=1))
        return recorded

    monkeypatch.setattr(services, "record_intent", record_and_sleep)

    intent = rename(project, acting, "TEST", key="held up")

    assert (entry_of(intent).outcomes, simulator.patches) == (["not_sent"], [])


def test_a_late_change_corrects_the_outcome_not_applied(lost: ChangeIntent) -> None:
    for outcome in (Outcome.NOT_APPLIED, Outcome.APPLIED, Outcome.NOT_APPLIED):
        record_outcome(lost, OutcomeDetails(outcome, "a read"))

    assert entry_of(lost).outcomes == ["unknown", "not_applied", "applied"]


def test_a_clock_that_was_ahead_does_not_delay_settling(
    project: Project, simulator: Simulated, acting: Callable[[str], Actor], pause: Pause
) -> None:
    pause(timedelta(days=400))
    record_event(Event(EventKind.SIGN_IN, "early bird"))
    pause(timedelta(days=-400))
    simulator.inject(fault("ignored"))
    lost = rename(project, acting, "TEST", key="a key")
    assert lost.at > timezone.now()

    pause(LATER)
    rename(project, acting, "OTHER", key="another key")
    pause(LATER)
    list(settle_unsettled())

    assert (entry_of(lost).outcomes, lost.is_pending) == (["unknown"], False)
    assert list_unsettled(before=timezone.now() - timedelta(minutes=1)) == [lost.number]
    verify()


def test_an_undecided_change_stays_and_is_tried_again(lost: ChangeIntent, pause: Pause) -> None:
    pause(LATER)

    tried = [next(iter(settle_unsettled())) for _ in range(2)]

    assert [entry_of(one.intent).outcomes for one in tried] == [["unknown"], ["unknown"]]
    assert OpenChange.objects.get().leased_until is None


def test_two_settlers_do_not_read_the_same_change(lost: ChangeIntent, pause: Pause) -> None:
    with leased(lost.number, LEASE) as mine:
        assert mine == lost
        assert list(settle_unsettled()) == [SettleResult(lost, BUSY)]
        pause(LEASE + timedelta(seconds=1))
        assert list(settle_unsettled()) == [SettleResult(lost)]


def test_a_settler_that_dies_blocks_a_change_only_for_the_lease(lost: ChangeIntent, pause: Pause) -> None:
    OpenChange.objects.update(leased_until=timezone.now() + LEASE)

    before = list(settle_unsettled())
    pause(LEASE + timedelta(seconds=1))

    assert (before, list(settle_unsettled())) == ([SettleResult(lost, BUSY)], [SettleResult(lost)])


def test_a_slow_settler_does_not_end_the_next_lease(lost: ChangeIntent, pause: Pause) -> None:
    with leased(lost.number, LEASE):
        pause(LEASE + timedelta(seconds=1))
        next_one = leased(lost.number, LEASE)
        next_one.__enter__()

    assert list(settle_unsettled()) == [SettleResult(lost, BUSY)]
    next_one.__exit__(None, None, None)
    assert list(settle_unsettled()) == [SettleResult(lost)]


def test_a_change_that_another_settler_settles_is_settled(
    lost: ChangeIntent, simulator: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.change(name="TEST")
    numbers = list_unsettled()
    list(settle_unsettled())
    monkeypatch.setattr("dashboard.server_groups.settling.list_unsettled", lambda **_options: numbers)

    (tried,) = settle_unsettled()

    assert (tried.problem, tried.intent.is_settled) == ("", True)


def test_a_page_does_not_read_a_change_that_a_settler_reads(
    lost: ChangeIntent, client_as: Callable[[str], Client], simulator: Simulated
) -> None:
    simulator.change(name="TEST")
    client, page = client_as("administrator"), address(f"changes/{lost.number}/settle/")
    simulator.control("DELETE", "requests")

    with leased(lost.number, LEASE):
        asked = client.post(page, headers=HTMX)
        reads = len(simulator.requests())
    response = client.post(page, headers=HTMX)

    assert (reads, entry_of(lost).outcomes) == (0, ["unknown", "applied"])
    assert [form.attrs["hx-trigger"] for form in read(asked).forms] == ["load delay:2s"]
    assert "It is not known yet whether the cloud applied this change." in said(asked)
    assert "applied" in said(response)
    assert read(response).forms == []


@pytest.mark.django_db(transaction=True)
def test_an_unrecorded_outcome_is_not_reported_as_nothing_sent(
    lost: ChangeIntent, client_as: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_as("administrator")

    with connection.execute_wrapper(_full_disk):
        response = client.post(address(f"changes/{lost.number}/settle/"))

    assert response.status_code == 503
    assert "The change was sent, but its outcome could not be recorded." in said(response)
    assert "database or disk is full" in said(response)


def _full_disk(execute: Callable[..., object], sql: str, *arguments: object) -> object:
    if sql.startswith(("INSERT", "UPDATE")):
        raise OperationalError("database or disk is full")
    return execute(sql, *arguments)


def test_a_removed_project_is_reported(
    lost: ChangeIntent, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.CLOUD_PROJECTS = ()

    with pytest.raises(SystemExit, match="1"):
        call_command("settle")

    assert capsys.readouterr().out.splitlines() == [
        f"{lost.number}  design-pool  the project default is no longer configured",
        "0 settled, 1 still unknown.",
    ]


def test_the_command_prints_the_outcome_of_each_change(
    lost: ChangeIntent, simulator: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.change(name="TEST")

    call_command("settle")
    call_command("settle")

    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{lost.number}  design-pool  applied: A read at ")
    assert rest == ["1 settled, 0 still unknown.", "0 settled, 0 still unknown."]


def test_the_command_prints_the_number_of_unknown_changes(
    lost: ChangeIntent, simulator: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.inject(fault("unavailable", "GET", times=None))

    with pytest.raises(SystemExit, match="1"):
        call_command("settle")

    assert capsys.readouterr().out.splitlines()[-1] == "0 settled, 1 still unknown."


def test_the_command_reports_an_unavailable_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_options: object) -> list[int]:
        raise LedgerError("no such table")

    monkeypatch.setattr("dashboard.server_groups.settling.list_unsettled", fail)

    with pytest.raises(CommandError, match="The ledger cannot be read: no such table") as error:
        call_command("settle")

    assert error.value.returncode == 2


def test_the_command_reports_changes_that_another_process_reads(
    lost: ChangeIntent, capsys: pytest.CaptureFixture[str]
) -> None:
    with leased(lost.number, LEASE), pytest.raises(SystemExit, match="1"):
        call_command("settle")

    assert capsys.readouterr().out.splitlines() == [
        f"{lost.number}  design-pool  {BUSY}",
        "0 settled, 1 still unknown.",
    ]


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
    assert entry_of(tried.intent).outcomes == ["unknown", "applied"]


# The worker


def test_the_worker_tries_new_changes_more_often_than_old_ones(
    lost: ChangeIntent, pause: Pause, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[list[int]] = []

    def watched(*, younger_than: timedelta | None) -> list[SettleResult]:
        tried = list(settle_unsettled(younger_than=younger_than))
        rounds.append([one.intent.number for one in tried])
        return tried

    monkeypatch.setattr(jobs, "settle_unsettled", watched)
    settler = Worker()

    settler.settle()
    settler.settle()
    pause(jobs.YOUNG + timedelta(seconds=1))
    settler.settle()
    settler._old_at -= jobs.OLD_EVERY_SECONDS
    settler.settle()

    assert rounds == [[lost.number], [lost.number], [], [lost.number]]


def test_the_worker_sends_new_checkpoints_to_the_hook_at_intervals(
    lost: ChangeIntent, settings: Settings, tmp_path: Path
) -> None:
    settings.CHECKPOINT_HOOK = f"cat >> {tmp_path}/sent"
    settler = Worker()

    settler.send_checkpoint()
    record_event(Event(EventKind.SIGN_IN))
    settler.send_checkpoint()
    first = numbers(tmp_path / "sent")
    settler._sent_at -= jobs.HOOK_EVERY_SECONDS
    settler.send_checkpoint()
    settler._sent_at -= jobs.HOOK_EVERY_SECONDS
    settler.send_checkpoint()

    assert (first, numbers(tmp_path / "sent")) == ([lost.number + 1], [lost.number + 1, lost.number + 2])


def test_a_checkpoint_that_the_hook_refused_is_sent_again(
    lost: ChangeIntent, settings: Settings, tmp_path: Path
) -> None:
    settings.CHECKPOINT_HOOK = f"test -e {tmp_path}/open && cat >> {tmp_path}/sent"
    settler = Worker()

    settler.send_checkpoint()
    (tmp_path / "open").touch()
    settler._sent_at -= jobs.HOOK_EVERY_SECONDS
    settler.send_checkpoint()

    assert numbers(tmp_path / "sent") == [lost.number + 1]


def test_a_hook_that_hangs_is_ended_with_its_child_processes(
    lost: ChangeIntent, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "HOOK_SECONDS", 0.5)
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    settings.CHECKPOINT_HOOK = f"sleep 600 > {tmp_path}/held & wait"

    is_taken = send_to_hook(read_head())
    ended, _, _ = select.select([held], [], [], 5)

    assert (is_taken, ended) == (False, [held])  # readable, because no process holds its other end
    os.close(held)


def test_the_worker_writes_the_checkpoint_that_a_crash_left_out(
    lost: ChangeIntent, settings: Settings, tmp_path: Path
) -> None:
    settings.CHECKPOINT_DIRECTORY = str(tmp_path)
    settler = Worker()

    for _ in range(2):
        settler.write_checkpoint()
    (file,) = tmp_path.iterdir()
    first = numbers(file)
    file.write_text("")
    settler.write_checkpoint()

    assert (first, numbers(file)) == ([lost.number + 1], [lost.number + 1])
    assert check_against(read_checkpoints([file])).confirmed == 1


def test_without_a_directory_the_first_round_logs_the_head(
    lost: ChangeIntent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    settler = Worker()

    for _ in range(2):
        settler.write_checkpoint()

    (record,) = caplog.records
    assert record.message.startswith("Checkpoint ")
    assert f'"number":{lost.number + 1}' in record.message


def test_an_empty_ledger_has_no_checkpoint(settings: Settings, tmp_path: Path) -> None:
    settings.CHECKPOINT_DIRECTORY = str(tmp_path)

    Worker().write_checkpoint()

    assert list(tmp_path.iterdir()) == []


def test_the_worker_continues_after_any_error(caplog: pytest.LogCaptureFixture) -> None:
    def job() -> None:
        raise RuntimeError("unheard of")

    jobs.attempt(job)

    assert "unheard of" in caplog.text


def test_a_job_that_hangs_does_not_delay_another(monkeypatch: pytest.MonkeyPatch) -> None:
    acting_on_the_ledger = ("settle", "observe", "verify", "record_counts", "compare_access")
    others = (
        *("write_checkpoint", "send_checkpoint", "clear_sessions"),
        *("refresh_inventory", "record_outside", "thin_out_loads"),
    )
    turns = {job: threading.Event() for job in (*acting_on_the_ledger, *others)}

    def hanging(job: str) -> Callable[[Worker], None]:
        def hang(_worker: Worker) -> None:
            turns[job].set()
            threading.Event().wait()  # the thread ends with the process

        return hang

    monkeypatch.setattr(jobs, "EVERY_SECONDS", 0.01)
    for job in turns:
        monkeypatch.setattr(Worker, job, hanging(job))

    Worker().start()

    assert all(turn.wait(5) for turn in turns.values())


def numbers(file: Path) -> list[int]:
    return [json.loads(line)["number"] for line in file.read_text().splitlines()]


# Needs attention


def test_an_unsettled_change_is_shown_with_the_next_step(
    lost: ChangeIntent, client_as: Callable[[str], Client], pause: Pause
) -> None:
    client, attention = client_as("help desk"), "/projects/default/audit/attention/"
    before = said(client.get(attention))

    pause(LATER + timedelta(minutes=1))
    page = client.get(attention)
    pause(OBSERVED_FOR)
    later = said(client.get(attention))

    assert "Nothing needs attention" in before
    assert "administrator tried to change design-pool" in said(page)
    assert "If it has the old values, the cloud may still apply the change until" in said(page)
    assert "make the change again" not in said(page)
    assert "If it still has the old values, make the change again." in later
    (form,) = [form for form in read(page).forms if "settle" in form.attrs.get("action", "")]
    assert form.attrs["action"].endswith(f"/changes/{lost.number}/settle/")


def test_every_page_links_to_needs_attention(
    lost: ChangeIntent, client_as: Callable[[str], Client], pause: Pause
) -> None:
    def link(role: str) -> list[str]:
        page = read(client_as(role).get("/projects/default/server-groups/"))
        return [words(a.text) for a in page.all("a") if a.attrs.get("href", "").endswith("/attention/")]

    before = link("help desk")
    pause(timedelta(minutes=2))

    assert (before, link("help desk"), link("viewer")) == ([], ["Needs attention 1"], [])
