"""The command `audit_verify`, and checkpoints."""

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
    output = capsys.readouterr()
    return int(ended.value.code or 0), (output.out + output.err).strip()


def alter(number: int) -> None:
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TABLE} SET facts = replace(facts, 'edit', 'quit') WHERE number = %s", [number])


def test_reports_an_intact_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(capsys) == (0, "0 rows: intact.")
    grow_ledger(20)
    assert verify(capsys) == (0, "20 rows, 1 to 20: intact.")
    assert verify(capsys, "--from", "5", "--to", "7") == (0, "3 rows, 5 to 7: intact.")
    assert verify(capsys, "--from", "15") == (0, "6 rows, 15 to 20: intact.")


def test_names_the_first_bad_row(capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(20)
    alter(12)
    alter(9)

    assert verify(capsys) == (1, "BROKEN. Row 9 was altered: its facts do not match its hash.")
    assert verify(capsys, "--to", "8")[0] == 0
    assert verify(capsys, "--from", "10")[1].startswith("BROKEN. Row 12 was altered")


def test_reports_a_missing_guard_of_intact_rows(capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(2)
    where = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {TABLE}_refuses_delete{where}")

    status, text = verify(capsys)

    assert (status, text.splitlines()[-1]) == (
        1,
        f"BROKEN. The rows are intact, but {TABLE}_refuses_delete is missing, off or altered.",
    )


def test_exits_with_2_if_it_cannot_read_its_input(
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
    ("arguments", "status", "last_line"),
    [
        ((), 1, "Something happened to g-1."),
        (("--since", "2026-03-15"), 0, "Nothing happened to g-1."),
        (("--until", "2026-03-13"), 0, "Nothing happened to g-1."),
        (("--until", "2026-03-14"), 1, "Something happened to g-1."),
    ],
)
def test_checks_that_nothing_happened_to_a_group(
    capsys: pytest.CaptureFixture[str], enter: Enter, arguments: tuple[str, ...], status: int, last_line: str
) -> None:
    number = enter("alice", at=NOON).number

    found, text = verify(capsys, "--nothing-happened-to", "g-1", *arguments)

    assert (found, text.splitlines()[-1]) == (status, last_line)
    assert (f"Changed: row {number} (edit) by alice on g-1 at 2026-03-14 12:00:00 UTC" in text) is (status == 1)
    assert verify(capsys, "--nothing-happened-to", "design-pool", *arguments)[0] == status


RENAME = Change("name", "Name", "design-pool", "新")


@pytest.mark.parametrize(("name", "status"), [("g-1", 1), ("design-pool", 1), ("新", 1), ("g-2", 0)])
def test_finds_a_group_by_any_name_it_had(
    capsys: pytest.CaptureFixture[str], enter: Enter, name: str, status: int
) -> None:
    enter("alice", RENAME, at=NOON, group_id="g-1", group_name="design-pool")
    enter("bob", at=NOON + timedelta(days=9), group_id="g-2", group_name="other")

    assert verify(capsys, "--nothing-happened-to", name, "--until", "2026-03-15")[0] == status


def test_lists_attempts_without_effect_separately(capsys: pytest.CaptureFixture[str], enter: Enter) -> None:
    number = enter("mallory", outcomes=("denied",), kind=Kind.DENIED, at=NOON).number

    status, text = verify(capsys, "--nothing-happened-to", "g-1")

    attempt = f"Without effect: row {number} (denied) by mallory on g-1 at 2026-03-14 12:00:00 UTC"
    assert (status, text.splitlines()[1:]) == (0, [attempt, "Nothing happened to g-1."])


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
def test_rejects_options_that_verify_nothing(
    capsys: pytest.CaptureFixture[str], enter: Enter, arguments: tuple[str, ...]
) -> None:
    enter()

    status, text = verify(capsys, *arguments)

    assert (status, "Could not run: " in text) == (2, True)


def test_reports_requested_rows_that_do_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(20)

    assert verify(capsys, "--to", "1000") == (1, "BROKEN. Rows 21 to 1000 are missing.")
    assert verify(capsys, "--from", "999")[0] == 1


@pytest.mark.parametrize("argument", ["--since", "--until"])
def test_rejects_an_invalid_time(argument: str) -> None:
    with pytest.raises(CommandError, match="neither a date nor a time"):
        call_command("audit_verify", argument, "yesterday")


# Checkpoints


def test_each_change_writes_a_checkpoint_to_the_log_and_to_the_file_of_the_day(
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
        ("2 rows, 1 to 2: intact.\nCheckpoints confirmed: 2.\nRows newer than every given checkpoint: 0."),
    )


def test_a_failed_checkpoint_stops_no_change(
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


def test_a_checkpoint_finds_deleted_newest_rows(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grow_ledger(20)
    settings.CHECKPOINT_DIRECTORY = str(tmp_path)
    checkpoints.write_checkpoint(read_head())
    with unguarded(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE} WHERE number > 16")
        cursor.execute("DELETE FROM audit_touchedfield WHERE number > 16")

    (file,) = tmp_path.iterdir()
    status, text = verify(capsys, "--checkpoint", str(file))

    assert (status, text.splitlines()[-1]) == (
        1,
        "BROKEN. Row 20 is missing, but a checkpoint names it: the end of the ledger was deleted.",
    )


def test_sends_a_checkpoint_to_a_command(settings: Settings, tmp_path: Path) -> None:
    grow_ledger(3)
    settings.CHECKPOINT_HOOK = f"cat > {tmp_path / 'kept'}"

    send_to_hook(read_head())

    assert json.loads((tmp_path / "kept").read_text())["number"] == 3


def test_sends_a_checkpoint_to_an_address(settings: Settings, simulator: Simulated) -> None:
    grow_ledger(1)
    settings.CHECKPOINT_HOOK = f"{simulator.url}/v1/kept"

    send_to_hook(read_head())

    (sent,) = simulator.requests("POST")
    assert (sent["path"], sent["body"]["number"]) == ("/v1/kept", 1)


@pytest.mark.parametrize("hook", ["exit 3", "http://127.0.0.1:9/closed"])
def test_logs_a_failed_hook(settings: Settings, caplog: pytest.LogCaptureFixture, hook: str) -> None:
    grow_ledger(2)
    settings.CHECKPOINT_HOOK = hook

    send_to_hook(read_head())

    assert "Checkpoint 2 could not be sent to the hook" in caplog.text


@pytest.mark.parametrize("line", ["{}", "[1]", '{"number": 1}', "nonsense"])
def test_names_the_line_that_is_not_a_checkpoint(tmp_path: Path, line: str) -> None:
    (tmp_path / "points").write_text(f"{line}\n")

    with pytest.raises(UnreadableError, match="line 1"):
        list(read_checkpoints([tmp_path / "points"]))
