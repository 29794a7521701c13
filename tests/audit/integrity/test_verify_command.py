"""`audit_verify` as an operator runs it, and the checkpoints it holds the ledger against."""

import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from dashboard.audit.ledger import checkpoints
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.checkpoints import Checkpoint, UnreadableError, read_checkpoints, send_to_hook
from dashboard.audit.ledger.schema import TABLE
from dashboard.audit.ledger.services import Change
from dashboard.audit.models import Kind
from tests.audit.conftest import NOON, Enter
from tests.conftest import Simulated
from tests.ledger import grow_ledger, unguarded

pytestmark = pytest.mark.django_db


def verify(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", *arguments)
    told = capsys.readouterr()
    return int(ended.value.code or 0), (told.out + told.err).strip()


def spoil(number: int) -> None:
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET facts = replace(facts, 'edit', 'quit') WHERE number = %s", [number])


def test_a_ledger_that_is_intact(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(capsys) == (0, "0 rows: each as it was written.")
    grow_ledger(20)
    assert verify(capsys) == (0, "20 rows, 1 to 20: each as it was written.")
    assert verify(capsys, "--from", "5", "--to", "7") == (0, "3 rows, 5 to 7: each as it was written.")
    assert verify(capsys, "--from", "15") == (0, "6 rows, 15 to 20: each as it was written.")


def test_the_first_bad_row_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(20)
    spoil(12)
    spoil(9)

    assert verify(capsys) == (1, "BROKEN. Row 9 was altered: its facts are not those its hash was made of.")
    assert verify(capsys, "--to", "8")[0] == 0
    assert verify(capsys, "--from", "10")[1].startswith("BROKEN. Row 12 was altered")


def test_a_guard_that_is_missing_is_told_though_the_rows_are_right(capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(2)
    where = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {TABLE}_refuses_delete{where}")

    status, told = verify(capsys)

    assert (status, told.splitlines()[-1]) == (
        1,
        f"BROKEN. The rows are right, but {TABLE}_refuses_delete is missing, off or altered.",
    )


def test_what_cannot_be_read_is_neither_intact_nor_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings
) -> None:
    grow_ledger(1)
    (tmp_path / "points").write_text("no checkpoint\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "words").write_text('{"number": "one", "hash": "", "at": "", "hmac": ""}')

    assert verify(capsys, "--checkpoint", str(tmp_path / "nowhere"))[0] == 2
    for name in ("points", "binary", "words"):
        assert verify(capsys, "--checkpoint", str(tmp_path / name))[0] == 2
    settings.AUDIT_KEY = ""
    assert verify(capsys)[1] == "Could not run: STREAMWARDEN_AUDIT_KEY is missing"

    def fail(*_numbers: int) -> None:
        raise DatabaseError("disk I/O error")

    monkeypatch.setattr("dashboard.audit.management.commands.audit_verify.verify", fail)
    assert verify(capsys) == (2, "Could not run: disk I/O error")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((), 1, "Something happened to g-1."),
        (("--since", "2026-03-15"), 0, "Nothing happened to g-1."),
        (("--until", "2026-03-13"), 0, "Nothing happened to g-1."),
        (("--until", "2026-03-14"), 1, "Something happened to g-1."),
    ],
)
def test_that_nothing_happened_to_a_group_can_be_asserted(
    capsys: pytest.CaptureFixture[str], enter: Enter, arguments: tuple[str, ...], status: int, told: str
) -> None:
    number = enter("alice", at=NOON).number

    answer, text = verify(capsys, "--nothing-happened-to", "g-1", *arguments)

    assert (answer, text.splitlines()[-1]) == (status, told)
    assert (f"Changed: row {number}, alice changed g-1 at 2026-03-14 12:00:00 UTC" in text) is (status == 1)
    assert verify(capsys, "--nothing-happened-to", "design-pool", *arguments)[0] == status


RENAME = Change("name", "Name", "design-pool", "新")


@pytest.mark.parametrize(("name", "status"), [("g-1", 1), ("design-pool", 1), ("新", 1), ("g-2", 0)])
def test_a_group_is_asked_for_by_any_name_it_had(
    capsys: pytest.CaptureFixture[str], enter: Enter, name: str, status: int
) -> None:
    enter("alice", RENAME, at=NOON, group_id="g-1", group_name="design-pool")
    enter("bob", at=NOON + timedelta(days=9), group_id="g-2", group_name="other")

    assert verify(capsys, "--nothing-happened-to", name, "--until", "2026-03-15")[0] == status


def test_what_had_no_effect_is_told_apart(capsys: pytest.CaptureFixture[str], enter: Enter) -> None:
    number = enter("mallory", outcomes=("denied",), kind=Kind.DENIED, at=NOON).number

    status, text = verify(capsys, "--nothing-happened-to", "g-1")

    tried = f"Tried without effect: row {number}, mallory tried to change g-1 at 2026-03-14 12:00:00 UTC"
    assert (status, text.splitlines()[1:]) == (0, [tried, "Nothing happened to g-1."])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nothing-happened-to", "design-poll"),
        ("--nothing-happened-to", "g-1", "--since", "2026-04-01", "--until", "2026-03-01"),
        ("--nothing-happened-to", "g-1", "--from", "1"),
        ("--from", "0"),
        ("--to", "-1"),
        ("--from", "2", "--to", "1"),
    ],
)
def test_a_question_that_makes_no_sense_is_not_answered_with_all_is_well(
    capsys: pytest.CaptureFixture[str], enter: Enter, arguments: tuple[str, ...]
) -> None:
    enter()

    status, text = verify(capsys, *arguments)

    assert (status, "Could not run: " in text) == (2, True)


def test_rows_that_are_asked_for_and_not_there_are_missing(capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(20)

    assert verify(capsys, "--to", "1000") == (1, "BROKEN. Row 21 is missing, and each to row 1000.")
    assert verify(capsys, "--from", "999")[0] == 1


@pytest.mark.parametrize("argument", ["--since", "--until"])
def test_a_time_that_is_none_is_refused(argument: str) -> None:
    with pytest.raises(CommandError, match="neither a date nor a time"):
        call_command("audit_verify", argument, "yesterday")


# Checkpoints


def test_each_change_leaves_a_checkpoint_in_the_log_and_in_a_file_a_day(
    enter: Enter,
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.CHECKPOINT_DIRECTORY = str(tmp_path)
    with caplog.at_level(logging.INFO), django_capture_on_commit_callbacks(execute=True):
        enter(outcomes=("unknown", "applied"))

    file = tmp_path / "checkpoints-2026-03-14.jsonl"
    kept = list(read_checkpoints([file]))
    assert [point.number for point in kept] == [1, 2]
    assert kept[-1] == Checkpoint.of(read_head())
    assert [f"Checkpoint {point.line}" in caplog.text for point in kept] == [True, True]
    assert verify(capsys, "--checkpoint", str(file)) == (
        0,
        (
            "2 rows, 1 to 2: each as it was written.\n"
            "Checkpoints confirmed: 2.\nRows newer than every given checkpoint: 0."
        ),
    )


def test_a_checkpoint_that_cannot_be_kept_stops_no_change(
    enter: Enter,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.CHECKPOINT_DIRECTORY = str(tmp_path / "nowhere")

    with django_capture_on_commit_callbacks(execute=True):
        enter()

    assert read_head().number == 1
    assert "A checkpoint could not be written" in caplog.text


def test_a_tail_that_was_cut_off_is_named_by_the_command(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grow_ledger(20)
    settings.CHECKPOINT_DIRECTORY = str(tmp_path)
    checkpoints.write_checkpoint(read_head())
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE} WHERE number > 16")
        cursor.execute("DELETE FROM audit_touchedfield WHERE number > 16")

    (file,) = tmp_path.iterdir()
    status, told = verify(capsys, "--checkpoint", str(file))

    assert (status, told.splitlines()[-1]) == (
        1,
        "BROKEN. Row 20 is missing, though a checkpoint knows it: the end was cut off.",
    )


def test_the_hook_may_be_a_command(settings: Settings, tmp_path: Path) -> None:
    grow_ledger(3)
    settings.CHECKPOINT_HOOK = f"cat > {tmp_path / 'kept'}"

    send_to_hook(read_head())

    assert json.loads((tmp_path / "kept").read_text())["number"] == 3


def test_the_hook_may_be_an_address(settings: Settings, simulator: Simulated) -> None:
    grow_ledger(1)
    settings.CHECKPOINT_HOOK = f"{simulator.url}/v1/kept"

    send_to_hook(read_head())

    (sent,) = simulator.requests("POST")
    assert (sent["path"], sent["body"]["number"]) == ("/v1/kept", 1)


@pytest.mark.parametrize("hook", ["exit 3", "http://127.0.0.1:9/nobody"])
def test_a_hook_that_fails_is_logged(settings: Settings, caplog: pytest.LogCaptureFixture, hook: str) -> None:
    grow_ledger(2)
    settings.CHECKPOINT_HOOK = hook

    send_to_hook(read_head())

    assert "The hook did not take checkpoint 2" in caplog.text


@pytest.mark.parametrize("line", ["{}", "[1]", '{"number": 1}', "nonsense"])
def test_a_line_that_is_no_checkpoint_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "points").write_text(f"{line}\n")

    with pytest.raises(UnreadableError, match="line 1"):
        list(read_checkpoints([tmp_path / "points"]))
