"""A ledger with archived rows: the remaining rows are intact, and verification finds other deleted rows."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from dashboard.audit.integrity import archive as archiving
from dashboard.audit.integrity.archive import RefusedError, archive
from dashboard.audit.integrity.archive_markers import FIELDS, LABELS, NOTHING_ARCHIVED, newest_marker
from dashboard.audit.integrity.confirmation import check_against
from dashboard.audit.integrity.export import all_rows, json_lines
from dashboard.audit.integrity.verification import verify
from dashboard.audit.integrity.verify_export import Broken, check
from dashboard.audit.ledger.chain import Head, append, audit_key, canonical, hash_of, mac_of, read_head
from dashboard.audit.ledger.checkpoints import Checkpoint
from dashboard.audit.problems import BrokenError
from dashboard.cloud.projects import Project
from tests.audit.conftest import NOON, Enter
from tests.audit.integrity.test_export import verified
from tests.conftest import DESIGN_POOL, address
from tests.ledger import after, facts_of, grow_ledger, hash_at, numbers, run, unguarded
from tests.markup import said

pytestmark = pytest.mark.django_db
People = Callable[[str], Client]
LEDGER = "/projects/default/audit/"
FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


def put(facts: dict[str, Any], *, mac: str = "") -> None:
    text = canonical(facts)
    values = (facts["number"], text, hash_of(text), mac or mac_of(hash_of(text)))
    run("INSERT INTO ROWS (number, facts, hash, mac) VALUES (%s, %s, %s, %s)", *values)


def delete(first: int, last: int) -> None:
    run("DELETE FROM ROWS WHERE number BETWEEN %s AND %s", first, last)
    run("DELETE FROM audit_touchedfield WHERE number BETWEEN %s AND %s", first, last)


def rest(file: Path) -> Path:
    file.write_text("".join(json_lines(all_rows())))
    return file


def test_archives_continue_each_other(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(40)
    one, two, three = (file.with_name(name) for name in ("one", "two", "three"))
    archive(after(10), one, by="ops")
    archive(after(20), two, by="ops")  # the marker of the first archive stays in the ledger
    append_events(3)
    archive(FAR_FUTURE, three, by="ops")  # moves both markers to the archive
    ledger, key = rest(file), file.with_name("key")
    key.write_text(str(settings.AUDIT_KEY))

    assert [path.read_text().count("\n") for path in (one, two, three, ledger)] == [10, 10, 25, 1]
    assert verify().count == 1
    assert verified("--key-file", key, one, two, three, ledger) == (0, "46 rows, intact.")
    assert verified("--key-file", key, two, three, ledger) == (0, "36 rows, intact.")
    assert verified("--key-file", key, ledger) == (0, "1 rows, intact.")
    assert verified(one, three, ledger)[1] == "BROKEN: row 11 is missing: row 21 is in its place"
    assert verified(two)[1] == "BROKEN: rows 1 to 10 are missing, and no archive marker names them"
    changes = [(change["before"], change["after"]) for change in facts_of(read_head().number)["changes"]]
    assert changes[0] == (20, 45)
    assert changes[2] == (sha256(two.read_bytes()).hexdigest(), sha256(three.read_bytes()).hexdigest())


def append_events(count: int) -> None:
    for _ in range(count):
        append(facts_of(40) | {"key": None, "intent": None, "project": "", "kind": "sign_in", "changes": []})


def test_finds_rows_deleted_without_an_archive_marker(db: None) -> None:
    grow_ledger(40)
    with unguarded():
        delete(1, 20)

    with pytest.raises(BrokenError, match="Rows 1 to 20 are missing, and no archive marker names them") as broken:
        verify()

    assert broken.value.number == 1
    assert verify(25).count == 16
    assert "rows 1 to 20 are missing" in second_verifier()


def test_finds_more_deleted_rows_than_the_archive_marker_names(archived: Path) -> None:
    with unguarded():
        delete(21, 30)

    with pytest.raises(BrokenError, match="Rows 21 to 30 are missing"):
        verify()
    assert "rows 1 to 30 are missing" in second_verifier()


def test_finds_a_deleted_archive_marker(archived: Path) -> None:
    with unguarded():
        delete(41, 41)

    with pytest.raises(BrokenError, match="Rows 1 to 20 are missing"):
        verify()
    assert "rows 1 to 20 are missing" in second_verifier()


def drop_open_changes() -> None:
    """Remove the items of deleted rows from the list of open changes, as an attacker would."""
    run("DELETE FROM audit_openchange WHERE number NOT IN (SELECT number FROM audit_changeintent)")


def forge(last: int, digest: str, *, has_key: bool, file: str = "f" * 64) -> None:
    """Write an archive marker as a database owner could, with or without the key."""
    head = read_head()
    values = zip(FIELDS, LABELS, (last, digest, file), strict=True)
    changes = [{"field": field, "label": label, "before": None, "after": value} for field, label, value in values]
    facts = facts_of(head.number) | {"number": head.number + 1, "previous_hash": head.hash, "key": None, "intent": None}
    put(facts | {"project": "", "kind": "archived", "changes": changes}, mac="" if has_key else "0" * 64)


def test_ignores_an_archive_marker_with_another_key(db: None) -> None:
    grow_ledger(40)
    with unguarded():
        forge(20, hash_at(20), has_key=False)
        delete(1, 20)

    assert newest_marker() == NOTHING_ARCHIVED
    with pytest.raises(BrokenError, match="Rows 1 to 20 are missing"):
        verify()
    assert second_verifier(key=audit_key()) == "row 41 has another key's MAC"


def test_ignores_a_forged_archive_marker_after_a_true_one(archived: Path) -> None:
    with unguarded():
        forge(30, hash_at(30), has_key=False)
        delete(21, 30)

    with pytest.raises(BrokenError, match="Rows 21 to 30 are missing"):
        verify()


def test_ignores_an_archive_marker_with_altered_facts(archived: Path) -> None:
    with unguarded():
        altered = facts_of(41)
        altered["changes"][0]["after"], altered["changes"][1]["after"] = 30, hash_at(30)
        run("UPDATE ROWS SET facts = %s WHERE number = 41", canonical(altered))
        delete(21, 30)

    with pytest.raises(BrokenError, match="Rows 1 to 30 are missing"):
        verify()


def test_finds_an_archive_marker_with_a_false_hash_by_the_next_row(db: None) -> None:
    grow_ledger(40)
    with unguarded():
        forge(20, "a" * 64, has_key=True)
        delete(1, 20)

    with pytest.raises(BrokenError, match="Row 21 does not follow from the row before it"):
        verify()
    assert "rows 1 to 20 are missing" in second_verifier(key=audit_key())


def test_finds_an_archived_row_that_is_in_the_ledger_again(archived: Path) -> None:
    row = json.loads(archived.read_text().splitlines()[-1])
    mac = row.pop("mac")
    del row["hash"]
    put(row, mac=mac)

    with pytest.raises(BrokenError, match="Row 20 is in the ledger, but row 41 says that it was archived"):
        verify()


def second_verifier(*, key: bytes = b"") -> str:
    try:
        check(json_lines(all_rows()), key, {}, is_filtered=False)
    except Broken as error:
        return str(error)
    return ""


ALTERED: dict[str, Callable[[str], str]] = {
    "a value": lambda text: text.replace('"alice"', '"mallory"', 1).replace('"bob"', '"mallory"', 1),
    "a line less": lambda text: text.split("\n", 1)[1],
    "the last line less": lambda text: text.rsplit("\n", 2)[0] + "\n",
    "a line cut short": lambda text: text[:-30],
    "no ASCII": lambda text: text.replace("edit", "ädit", 1),
    "empty": lambda _text: "",
}


@pytest.mark.parametrize("alteration", ALTERED)
def test_deletes_nothing_if_the_file_was_altered_before_it_is_read_back(
    file: Path, monkeypatch: pytest.MonkeyPatch, alteration: str
) -> None:
    grow_ledger(40)
    write = archiving._write

    def altered(path: Path, part: archiving.Part) -> None:
        write(path, part)
        path.write_text(ALTERED[alteration](path.read_text()), encoding="utf-8")

    monkeypatch.setattr(archiving, "_write", altered)
    with pytest.raises(RefusedError, match="is not what was written"):
        archive(after(20), file, by="ops")

    assert (numbers(), verify().count) == ([*range(1, 41)], 40)


@pytest.mark.parametrize("alteration", ALTERED)
def test_finds_a_file_that_was_altered_later(archived: Path, tmp_path: Path, alteration: str) -> None:
    ledger = rest(tmp_path / "ledger")
    assert verified(archived, ledger)[0] == 0

    archived.write_text(ALTERED[alteration](archived.read_text()), encoding="utf-8")

    assert verified(archived, ledger)[0] == (0 if alteration == "empty" else 1)
    assert sha256(archived.read_bytes()).hexdigest() != newest_marker().file


@pytest.fixture
def checkpoints_of(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of checkpoints of these rows."""

    def keep(*numbers: int) -> Path:
        points = [Checkpoint.of(Head(number, hash_at(number), NOON)) for number in numbers]
        (kept := tmp_path / f"kept-{len(numbers)}").write_text("".join(f"{point.line}\n" for point in points))
        return kept

    return keep


def audit_verify(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[str]]:
    """Return the exit status, and the output after its first two lines."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", *map(str, arguments))
    output = capsys.readouterr()
    return int(ended.value.code or 0), (output.out + output.err).splitlines()[2:]


def test_a_checkpoint_of_an_archived_row_needs_the_archive_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], checkpoints_of: Callable[..., Path]
) -> None:
    grow_ledger(40)
    kept = checkpoints_of(5, 12, 20, 30, 40)
    archive(after(20), file, by="ops")
    later = checkpoints_of(30, 41)
    ledger = rest(tmp_path / "ledger")

    assert audit_verify(capsys, "--checkpoint", kept) == (
        2,
        [
            "Checkpoints confirmed: 2.",
            "Rows newer than every given checkpoint: 1.",
            (
                "NOT CONFIRMED. The checkpoints of these archived rows: 5, 12, 20. "
                "Give the archive files that have the rows, oldest first: --archive FILE ..."
            ),
            (
                "NOT CONFIRMED. No given checkpoint covers row 41, which says that rows were archived. "
                "Give a newer checkpoint, or the archive files: --archive FILE ..."
            ),
        ],
    )
    assert audit_verify(capsys, "--checkpoint", kept, "--archive", file) == (
        0,
        [
            "The archive files match the archive markers.",
            "Checkpoints confirmed: 5.",
            "Rows newer than every given checkpoint: 1.",
        ],
    )
    assert audit_verify(capsys, "--checkpoint", later)[0] == 0
    not_confirmed = "NOT CONFIRMED: rows [5, 12, 20, 41]. Give every archive file, or a newer checkpoint."
    assert verified("--checkpoint", kept, ledger)[0] == 2
    assert verified("--checkpoint", kept, ledger)[1].splitlines()[1] == not_confirmed
    assert verified("--checkpoint", kept, file, ledger)[0] == 0
    assert verified("--checkpoint", later, ledger)[0] == 0


def test_archive_files_must_be_in_order(
    file: Path, capsys: pytest.CaptureFixture[str], checkpoints_of: Callable[..., Path]
) -> None:
    grow_ledger(40)
    kept = checkpoints_of(5, 15, 40)
    one, two, three = (file.with_name(name) for name in ("one", "two", "three"))
    archive(after(10), one, by="ops")
    archive(after(20), two, by="ops")
    append_events(3)
    archive(FAR_FUTURE, three, by="ops")  # moves the archive markers of the first two archives too

    for files, status, confirmed in (
        ((one, two, three), 0, 3),
        ((two, three), 2, 2),
        ((three,), 2, 1),
    ):
        found = audit_verify(capsys, "--checkpoint", kept, "--archive", *files)
        assert (found[0], found[1][1]) == (status, f"Checkpoints confirmed: {confirmed}.")
    for files in ((one, two), (two, one, three), (one, three)):
        status, lines = audit_verify(capsys, "--checkpoint", kept, "--archive", *files)
        assert (status, lines[-1].startswith("Could not run: ")) == (2, True)


def test_finds_a_checkpoint_that_differs_from_an_archive_file(
    archived: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (kept := tmp_path / "kept").write_text(f"{Checkpoint.of(Head(7, 'b' * 64, NOON)).line}\n")

    status, lines = audit_verify(capsys, "--checkpoint", kept, "--archive", archived)

    assert (status, lines) == (1, [f"BROKEN. Row 7 in {archived} does not match a checkpoint."])
    export_output = "BROKEN: row 7 does not match a checkpoint"
    assert verified("--checkpoint", kept, archived, rest(tmp_path / "ledger")) == (1, export_output)


@pytest.mark.parametrize("alteration", ALTERED)
def test_an_altered_archive_file_confirms_nothing(
    archived: Path, capsys: pytest.CaptureFixture[str], alteration: str
) -> None:
    archived.write_text(ALTERED[alteration](archived.read_text()), encoding="utf-8")

    status, lines = audit_verify(capsys, "--archive", archived)

    assert (status, lines[-1].startswith(f"Could not run: {archived} is not the archive file up to row 20")) == (
        2,
        True,
    )


@pytest.mark.parametrize("alteration", ALTERED)
def test_finds_a_false_archive_file_with_a_forged_marker(
    file: Path, capsys: pytest.CaptureFixture[str], alteration: str
) -> None:
    grow_ledger(40)
    file.write_text(ALTERED[alteration]("".join(json_lines(all_rows(last=20)))), encoding="utf-8")
    with unguarded():
        forge(20, hash_at(20), has_key=True, file=sha256(file.read_bytes()).hexdigest())
        delete(1, 20)
        drop_open_changes()

    status, lines = audit_verify(capsys, "--archive", file)

    assert (status, lines[-1].startswith("BROKEN. Row ")) == (1, True)


@pytest.mark.parametrize("number", [20, 21])
def test_compares_checkpoints_on_both_sides_of_the_archived_rows(archived: Path, number: int) -> None:
    foreign = Checkpoint.of(Head(number, "b" * 64, NOON))

    with pytest.raises(BrokenError, match=f"Row {number} does not match a checkpoint"):
        check_against([foreign])


@pytest.mark.parametrize(
    ("since", "status", "last_line"),
    [
        (None, 2, "Rows of this time are archived. Look in the archive files for changes to g-1."),
        (20, 2, "Rows of this time are archived. Look in the archive files for changes to g-1."),
        (21, 0, "Nothing happened to g-1."),
    ],
)
def test_does_not_claim_that_nothing_happened_in_an_archived_time(
    capsys: pytest.CaptureFixture[str], file: Path, enter: Enter, since: int | None, status: int, last_line: str
) -> None:
    grow_ledger(40)
    enter(group_id="g-1", at=NOON)
    arguments = ("--since", after(since).isoformat()) if since else ()
    archive(after(20), file, by="ops")

    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", "--nothing-happened-to", "g-1", "--until", "2026-03-01", *arguments)

    assert (ended.value.code, capsys.readouterr().out.splitlines()[-1]) == (status, last_line)


# Pages


def test_pages_show_only_the_remaining_rows(client_as: People, project: Project, enter: Enter, file: Path) -> None:
    old = enter(group_id=DESIGN_POOL, outcomes=("unknown", "applied"), reason="of old")
    outcome = old.outcomes.latest("number").number
    late = enter(group_id=DESIGN_POOL, at=NOON + timedelta(days=2), reason="of late")
    part, digest = archive(NOON + timedelta(days=1), file, by="OS user ops")
    show = client_as("auditor").get

    for number, status in ((old.number, 404), (outcome, 404), (late.number, 200)):
        assert show(f"{LEDGER}{number}/").status_code == status
    for page in (
        *(f"{LEDGER}{query}" for query in ("", f"?group={DESIGN_POOL}", "?outcome=applied", "?since=2026-03-01")),
        *(f"{LEDGER}?cursor={cursor}" for cursor in (late.number + 1, f"newer.{old.number}")),
        address(),
    ):
        html = show(page).content.decode()
        assert (page, "of old" in html, "of late" in html) == (page, False, True)
    text = said(show(f"{LEDGER}system/"))
    assert "OS user ops archived old ledger rows" in text
    assert f"Rows 1 to {part.last} were moved to archive.jsonl (SHA-256 {digest})." in text
    lines = b"".join(show(f"{LEDGER}export.jsonl")).decode().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [late.number]


def test_an_archived_change_cannot_be_reverted(client_as: People, project: Project, enter: Enter, file: Path) -> None:
    old = enter(group_id=DESIGN_POOL)
    archive(FAR_FUTURE, file, by="ops")

    assert client_as("administrator").get(address(f"edit/?revert={old.number}")).status_code == 404
    assert client_as("administrator").get(address("edit/")).status_code == 200
