"""Exports: the filtered rows with all facts, safe in a spreadsheet, and verified by the standalone verifier."""

import csv
import io
import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from dashboard.audit.integrity import verify_export
from dashboard.audit.integrity.export import COLUMNS, all_rows, json_lines
from dashboard.audit.ledger.chain import read_head
from dashboard.audit.ledger.checkpoints import Checkpoint
from dashboard.audit.ledger.services import Change
from dashboard.audit.models import Kind
from dashboard.cloud.projects import Project
from tests.audit.conftest import NOON, SESSIONS, Enter

People = Callable[[str], Client]
LEDGER = "/projects/default/audit/"
RENAME = Change("name", "Name", "old", "研发")


def read(client: Client, query: str = "", suffix: str = "jsonl") -> str:
    answer = client.get(f"{LEDGER}export.{suffix}{query}")
    assert answer.status_code == 200
    return b"".join(answer).decode()


@pytest.fixture
def history(enter: Enter) -> dict[str, int]:
    return {
        "march": enter("admin", SESSIONS, RENAME, reason="INC-1", outcomes=("unknown", "applied")).number,
        "april": enter("helpdesk", RENAME, outcomes=("rejected",), at=NOON + timedelta(days=31), error_msg="no").number,
        "may": enter("admin", kind=Kind.SWITCH, at=NOON + timedelta(days=62), project="elsewhere").number,
    }


def test_a_line_has_all_facts(client_as: People, project: Project, history: dict[str, int]) -> None:
    intent, outcome, _closed = (json.loads(line) for line in read(client_as("auditor")).splitlines())

    assert set(COLUMNS) <= set(intent) == set(outcome)
    facts = {name: intent[name] for name in COLUMNS[1:13]}
    assert facts == {
        "at": "2026-03-14T12:00:00.000000Z",
        "project": "default",
        "group_id": "g-1",
        "group_name": "design-pool",
        "actor": "admin",
        "actor_id": intent["actor_id"],
        "from_address": "192.0.2.7",
        "kind": "edit",
        "reason": "INC-1",
        "changes": [
            {"field": "route_policy.max_session", "label": "Maximum sessions", "before": 4, "after": 6},
            {"field": "name", "label": "Name", "before": "old", "after": "研发"},
        ],
        "outcome": "unknown",
        "proof": "because unknown",
    }
    assert (outcome["outcome"], outcome["intent"], outcome["changes"]) == (
        "applied",
        intent["number"],
        facts["changes"],
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["march", "march", "april"]),
        ("?actor=helpdesk", ["april"]),
        ("?outcome=applied", ["march", "march"]),
        ("?field=route_policy.max_session&q=INC", ["march", "march"]),
        ("?since=2026-04-01", ["april"]),
        ("?q=nothing", []),
    ],
)
def test_an_export_has_the_filtered_changes_and_their_outcomes(
    client_as: People, project: Project, history: dict[str, int], query: str, expected: list[str]
) -> None:
    lines = [json.loads(line) for line in read(client_as("auditor"), query).splitlines()]

    assert [line["intent"] or line["number"] for line in lines] == [history[name] for name in expected]


def test_an_export_has_all_rows(
    client_as: People, project: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.audit.integrity.export.CHUNK", 7)
    numbers = [enter(reason="hay" if place % 3 else "needle").number for place in range(40)]

    filtered = [json.loads(line)["number"] for line in read(client_as("auditor"), "?q=needle").splitlines()]

    assert filtered == numbers[::3]
    assert [json.loads(row.json)["number"] for row in all_rows()] == list(range(1, read_head().number + 1))


@pytest.mark.parametrize(
    "begin",
    [
        *("=", "+", "-", "@", "\t", "\r", " =", "\n=", "=cmd|' /C calc'!A0"),
        *("＝", "＠", "－", "＋", "\u00a0=", "\u200b=", "\ufeff=", "\v=", "\u202e="),
    ],
)
def test_no_cell_is_a_formula_in_a_spreadsheet(client_as: People, project: Project, enter: Enter, begin: str) -> None:
    evil = f"{begin}1+1"
    shown = evil.replace("\u202e", "[U+202E]")
    enter(evil, Change("name", evil, evil, evil), reason=evil, group_name=evil, group_id=evil, error_msg=evil)

    (row,) = csv.DictReader(io.StringIO(read(client_as("auditor"), suffix="csv"), newline=""))

    assert [row[name] for name in ("actor", "reason", "group_name", "group_id", "error_msg")] == [f"'{shown}"] * 5
    assert json.loads(row["changes"])[0]["after"] == shown
    assert not [cell for cell in row.values() if cell.lstrip()[:1] in {"=", "+", "-", "@"}]


def test_quotes_texts_with_semicolons(client_as: People, project: Project, enter: Enter) -> None:
    enter(reason="as agreed;=1+1")

    assert '"as agreed;=1+1"' in read(client_as("auditor"), suffix="csv")


def test_an_export_is_an_attachment_that_is_not_cached(
    client_as: People, project: Project, history: dict[str, int]
) -> None:
    answer = client_as("auditor").get(f"{LEDGER}export.csv")

    assert answer.headers["Content-Disposition"] == 'attachment; filename="ledger-default.csv"'
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("text/csv; charset=utf-8", "no-store")
    assert client_as("auditor").get(f"{LEDGER}export.xml").status_code == 404


# The command, and the standalone verifier


def export(path: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    with path.open("w", encoding="utf-8") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", file)
        call_command("audit_export", *arguments)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("{")]


def test_the_command_filters_by_project_and_time(
    history: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def numbers(*arguments: str) -> list[object]:
        return [line["number"] for line in export(tmp_path / "x", *arguments, monkeypatch=monkeypatch)]

    assert numbers() == [1, 2, 3, 4]
    assert numbers("--project", "elsewhere") == [4]
    assert numbers("--since", "2026-04-01") == [3, 4]
    assert numbers("--until", "2026-04-14") == [1, 2, 3]
    export(tmp_path / "c", "--format", "csv", monkeypatch=monkeypatch)
    assert (tmp_path / "c").read_text(encoding="utf-8").startswith(",".join(COLUMNS))


def verified(*arguments: str | Path) -> tuple[int, str]:
    """Run the verifier as a script. Returns its exit code and its output."""
    output, code = io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["verify_export.py", *map(str, arguments)]),
        redirect_stdout(output),
        redirect_stderr(output),
    ):
        try:
            runpy.run_path(verify_export.__file__, run_name="__main__")
        except SystemExit as ended:
            code = int(str(ended.code))
    return code, output.getvalue().strip()


def test_the_standalone_verifier_needs_no_package_and_no_settings(history: dict[str, int], tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_text("".join(json_lines(all_rows())))
    command = [sys.executable, "-I", "-S", verify_export.__file__, str(whole)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, env={}, timeout=30)  # noqa: S603 (ours)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "4 rows, intact (MACs not verified: no key was given).\n"


def test_the_standalone_verifier_finds_missing_rows_and_another_key(history: dict[str, int], tmp_path: Path) -> None:
    whole, part, key, kept = (tmp_path / name for name in ("whole", "part", "key", "kept"))
    lines = list(json_lines(all_rows()))
    whole.write_text("".join(lines))
    part.write_text("".join(lines[2:]))
    key.write_text(f"{settings.AUDIT_KEY}\n")
    kept.write_text(Checkpoint.of(read_head()).line)
    cut = tmp_path / "cut"
    cut.write_text("".join(lines[:-1]))

    assert verified(whole) == (
        0,
        "4 rows, intact (MACs not verified: no key was given).",
    )
    assert verified("--key-file", key, "--checkpoint", kept, whole) == (
        0,
        "4 rows, intact. Rows newer than every given checkpoint: 0.",
    )
    assert verified(part) == (1, "BROKEN: rows 1 to 2 are missing, and no archive marker names them")
    assert verified("--filtered", "--key-file", key, part) == (0, "2 rows, intact.")
    assert verified("--checkpoint", kept, cut)[1].endswith(
        "row 4 is missing, but a checkpoint names a later row: the end was deleted"
    )
    key.write_text("another")
    assert verified("--key-file", key, whole) == (1, "BROKEN: row 1 has another key's MAC")
    assert verified(tmp_path / "nothing")[0] == 2


@pytest.mark.parametrize(
    "altered",
    [
        lambda line: line.replace('"actor":"', '"actor":"innocent","actor":"', 1),
        lambda line: line.replace('"number":1', '"number":7,"number":1', 1),
        lambda line: line.replace('"number":1', '"number": 1', 1),
        lambda line: line.rstrip("\n") + "\r\n",
        lambda line: line[:-2] + ',"approved":true}\n',
    ],
    ids=["a member twice", "a number twice", "a space", "another end of line", "an added member"],
)
def test_finds_a_line_with_other_characters_than_were_written(
    history: dict[str, int], altered: Callable[[str], str]
) -> None:
    lines = list(json_lines(all_rows()))

    with pytest.raises(verify_export.Broken, match="row 1 was altered"):
        verify_export.check([altered(lines[0]), *lines[1:]], b"", {}, is_filtered=False)


def test_finds_different_checkpoints_and_a_false_signature(history: dict[str, int], tmp_path: Path) -> None:
    whole, key, kept = (tmp_path / name for name in ("whole", "key", "kept"))
    whole.write_text("".join(json_lines(all_rows())))
    key.write_text(settings.AUDIT_KEY)
    point = Checkpoint.of(read_head())

    kept.write_text(f"{replace(point, hash='f' * 64).line}\n{point.line}")
    assert verified("--checkpoint", kept, whole) == (1, "BROKEN: row 4 has two different checkpoints")
    kept.write_text(replace(point, hmac="f" * 64).line)
    problem = "BROKEN: row 4 has a checkpoint that was not signed with this key"
    assert verified("--key-file", key, "--checkpoint", kept, whole) == (1, problem)


def test_the_standalone_verifier_exits_with_2_if_it_cannot_read_its_input(
    history: dict[str, int], tmp_path: Path
) -> None:
    whole, empty, garbage = (tmp_path / name for name in ("whole", "empty", "garbage"))
    whole.write_text("".join(json_lines(all_rows())))
    empty.write_text("\n")
    garbage.write_bytes(b"\xff\xfe\n")

    assert [
        verified(*arguments)[0] for arguments in (("--key-file", empty, whole), ("--checkpoint", garbage, whole))
    ] == [2, 2]
    assert verified(garbage)[1].startswith("BROKEN: the line after row 0 is not a row of a ledger")


@pytest.mark.parametrize("line", ["", "[]", "{}", "null", '{"number": 1}', "no json", "[" * 100_000])
def test_names_the_line_that_is_not_a_row(tmp_path: Path, line: str) -> None:
    (tmp_path / "export").write_text(f"{line}\n")

    assert verified(tmp_path / "export")[1].startswith("BROKEN: the line after row 0 is not a row of a ledger")


def test_the_standalone_verifier_is_short_and_imports_nothing_of_the_project() -> None:
    source = Path(verify_export.__file__).read_text(encoding="utf-8")

    assert len(source.splitlines()) <= 100
    assert not [line for line in source.splitlines() if line.startswith(("from dashboard", "import django"))]
