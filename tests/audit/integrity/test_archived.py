"""A ledger from which rows were archived: what is left of it is right, and what else was taken out is missed."""

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
from dashboard.audit.integrity.verification import BrokenError, verify
from dashboard.audit.integrity.verify_export import Broken, check
from dashboard.audit.ledger.chain import Head, append, audit_key, canonical, hash_of, mac_of, read_head
from dashboard.audit.ledger.checkpoints import Checkpoint
from dashboard.cloud.projects import Project
from tests.audit.conftest import NOON, Enter
from tests.audit.integrity.test_export import verified
from tests.conftest import DESIGN_POOL, address
from tests.ledger import after, facts_of, grow_ledger, hash_at, numbers, run, unguarded
from tests.markup import said

pytestmark = pytest.mark.django_db
People = Callable[[str], Client]
LEDGER = "/projects/default/audit/"
FAR_AWAY = datetime(2100, 1, 1, tzinfo=UTC)


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


def test_several_archives_follow_each_other(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grow_ledger(40)
    one, two, three = (file.with_name(name) for name in ("one", "two", "three"))
    archive(after(10), one, by="ops")
    archive(after(20), two, by="ops")  # the marker of the first is in the ledger still
    record_late(3)
    archive(FAR_AWAY, three, by="ops")  # now both are in the archive
    ledger, key = rest(file), file.with_name("key")
    key.write_text(str(settings.AUDIT_KEY))

    assert [path.read_text().count("\n") for path in (one, two, three, ledger)] == [10, 10, 25, 1]
    assert verify().count == 1
    assert verified("--key-file", key, one, two, three, ledger) == (0, "46 rows, intact.")
    assert verified("--key-file", key, two, three, ledger) == (0, "36 rows, intact.")
    assert verified("--key-file", key, ledger) == (0, "1 rows, intact.")
    assert verified(one, three, ledger)[1] == "BROKEN: row 11 is missing: row 21 stands in its place"
    assert verified(two)[1] == "BROKEN: row 1 is missing, and each to row 10: no row says they were archived"
    changes = [(change["before"], change["after"]) for change in facts_of(read_head().number)["changes"]]
    assert changes[0] == (20, 45)
    assert changes[2] == (sha256(two.read_bytes()).hexdigest(), sha256(three.read_bytes()).hexdigest())


def record_late(count: int) -> None:
    for _ in range(count):
        append(facts_of(40) | {"key": None, "intent": None, "project": "", "kind": "sign_in", "changes": []})


def test_a_row_that_is_gone_without_an_archive_marker_is_missed(db: None) -> None:
    grow_ledger(40)
    with unguarded():
        delete(1, 20)

    with pytest.raises(BrokenError, match="Row 1 is missing, and each to row 20: no archive marker says") as broken:
        verify()

    assert broken.value.number == 1
    assert verify(25).count == 16
    assert "row 1 is missing, and each to row 20" in second_verifier()


def test_more_gone_than_the_archive_marker_says_is_missed(archived: Path) -> None:
    with unguarded():
        delete(21, 30)

    with pytest.raises(BrokenError, match="Row 21 is missing, and each to row 30"):
        verify()
    assert "row 1 is missing, and each to row 30" in second_verifier()


def test_an_archive_marker_that_was_cut_off_is_missed(archived: Path) -> None:
    with unguarded():
        delete(41, 41)

    with pytest.raises(BrokenError, match="Row 1 is missing, and each to row 20"):
        verify()
    assert "row 1 is missing, and each to row 20" in second_verifier()


def drop_open_changes() -> None:
    """What someone who deletes rows leaves out of the list of open changes too."""
    run("DELETE FROM audit_openchange WHERE number NOT IN (SELECT number FROM audit_changeintent)")


def forge(last: int, digest: str, *, has_key: bool, file: str = "f" * 64) -> None:
    """An archive marker as one who has the database would write it, or who has the key too."""
    head = read_head()
    values = zip(FIELDS, LABELS, (last, digest, file), strict=True)
    changes = [{"field": field, "label": label, "before": None, "after": value} for field, label, value in values]
    facts = facts_of(head.number) | {"number": head.number + 1, "previous_hash": head.hash, "key": None, "intent": None}
    put(facts | {"project": "", "kind": "archived", "changes": changes}, mac="" if has_key else "0" * 64)


def test_an_archive_marker_of_another_key_says_nothing(db: None) -> None:
    grow_ledger(40)
    with unguarded():
        forge(20, hash_at(20), has_key=False)
        delete(1, 20)

    assert newest_marker() == NOTHING_ARCHIVED
    with pytest.raises(BrokenError, match="Row 1 is missing, and each to row 20"):
        verify()
    assert second_verifier(key=audit_key()) == "row 41 is not of this key"


def test_a_forged_archive_marker_after_a_good_one_says_nothing(archived: Path) -> None:
    with unguarded():
        forge(30, hash_at(30), has_key=False)
        delete(21, 30)

    with pytest.raises(BrokenError, match="Row 21 is missing, and each to row 30"):
        verify()


def test_an_archive_marker_altered_in_its_facts_says_nothing(archived: Path) -> None:
    with unguarded():
        altered = facts_of(41)
        altered["changes"][0]["after"], altered["changes"][1]["after"] = 30, hash_at(30)
        run("UPDATE ROWS SET facts = %s WHERE number = 41", canonical(altered))
        delete(21, 30)

    with pytest.raises(BrokenError, match="Row 1 is missing, and each to row 30"):
        verify()


def test_an_archive_marker_that_names_another_hash_is_found_by_the_row_after_it(db: None) -> None:
    grow_ledger(40)
    with unguarded():
        forge(20, "a" * 64, has_key=True)
        delete(1, 20)

    with pytest.raises(BrokenError, match="Row 21 does not follow from the row before it"):
        verify()
    assert "row 1 is missing, and each to row 20" in second_verifier(key=audit_key())


def test_a_row_that_was_archived_and_is_there_again_is_found(archived: Path) -> None:
    row = json.loads(archived.read_text().splitlines()[-1])
    mac = row.pop("mac")
    del row["hash"]
    put(row, mac=mac)

    with pytest.raises(BrokenError, match="Row 20 is there, though row 41 says that it was archived"):
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


@pytest.mark.parametrize("way", ALTERED)
def test_a_file_altered_on_the_way_is_refused_and_nothing_deleted(
    file: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    grow_ledger(40)
    write = archiving._write

    def altered(path: Path, part: archiving.Part) -> None:
        write(path, part)
        path.write_text(ALTERED[way](path.read_text()), encoding="utf-8")

    monkeypatch.setattr(archiving, "_write", altered)
    with pytest.raises(RefusedError, match="is not what was written"):
        archive(after(20), file, by="ops")

    assert (numbers(), verify().count) == ([*range(1, 41)], 40)


@pytest.mark.parametrize("way", ALTERED)
def test_a_file_altered_later_is_found(archived: Path, tmp_path: Path, way: str) -> None:
    ledger = rest(tmp_path / "ledger")
    assert verified(archived, ledger)[0] == 0

    archived.write_text(ALTERED[way](archived.read_text()), encoding="utf-8")

    assert verified(archived, ledger)[0] == (0 if way == "empty" else 1)
    assert sha256(archived.read_bytes()).hexdigest() != newest_marker().file


@pytest.fixture
def checkpoints_of(tmp_path: Path) -> Callable[..., Path]:
    """A file of checkpoints of these rows, as they are now."""

    def keep(*numbers: int) -> Path:
        points = [Checkpoint.of(Head(number, hash_at(number), NOON)) for number in numbers]
        (kept := tmp_path / f"kept-{len(numbers)}").write_text("".join(f"{point.line}\n" for point in points))
        return kept

    return keep


def audit_verify(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, list[str]]:
    """Exit status, and what it says besides what it says of every ledger."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", *map(str, arguments))
    told = capsys.readouterr()
    return int(ended.value.code or 0), (told.out + told.err).splitlines()[2:]


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
                "Name the archive files that have the rows, oldest first: --archive FILE ..."
            ),
            (
                "NOT CONFIRMED. No given checkpoint covers row 41, which says that rows were archived. "
                "Give a newer checkpoint, or name the archive files: --archive FILE ..."
            ),
        ],
    )
    assert audit_verify(capsys, "--checkpoint", kept, "--archive", file) == (
        0,
        [
            "The archive files are those that the archive markers name.",
            "Checkpoints confirmed: 5.",
            "Rows newer than every given checkpoint: 1.",
        ],
    )
    assert audit_verify(capsys, "--checkpoint", later)[0] == 0
    told = "NOT CONFIRMED: rows [5, 12, 20, 41]. Give every archive file, or a newer checkpoint."
    assert verified("--checkpoint", kept, ledger)[0] == 2
    assert verified("--checkpoint", kept, ledger)[1].splitlines()[1] == told
    assert verified("--checkpoint", kept, file, ledger)[0] == 0
    assert verified("--checkpoint", later, ledger)[0] == 0


def test_the_archive_files_are_checked_in_their_order(
    file: Path, capsys: pytest.CaptureFixture[str], checkpoints_of: Callable[..., Path]
) -> None:
    grow_ledger(40)
    kept = checkpoints_of(5, 15, 40)
    one, two, three = (file.with_name(name) for name in ("one", "two", "three"))
    archive(after(10), one, by="ops")
    archive(after(20), two, by="ops")
    record_late(3)
    archive(FAR_AWAY, three, by="ops")  # the archive markers of the first two are in it

    for files, status, confirmed in (
        ((one, two, three), 0, 3),
        ((two, three), 2, 2),
        ((three,), 2, 1),
    ):
        found = audit_verify(capsys, "--checkpoint", kept, "--archive", *files)
        assert (found[0], found[1][1]) == (status, f"Checkpoints confirmed: {confirmed}.")
    for files in ((one, two), (two, one, three), (one, three)):
        status, told = audit_verify(capsys, "--checkpoint", kept, "--archive", *files)
        assert (status, told[-1].startswith("Could not run: ")) == (2, True)


def test_a_checkpoint_that_an_archive_file_contradicts_is_broken(
    archived: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (kept := tmp_path / "kept").write_text(f"{Checkpoint.of(Head(7, 'b' * 64, NOON)).line}\n")

    status, told = audit_verify(capsys, "--checkpoint", kept, "--archive", archived)

    assert (status, told) == (1, [f"BROKEN. Row 7 in {archived} is not the row that a checkpoint knows."])
    told_by_export = "BROKEN: row 7 is not the row that a checkpoint knows"
    assert verified("--checkpoint", kept, archived, rest(tmp_path / "ledger")) == (1, told_by_export)


@pytest.mark.parametrize("way", ALTERED)
def test_an_archive_file_that_was_altered_confirms_nothing(
    archived: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    archived.write_text(ALTERED[way](archived.read_text()), encoding="utf-8")

    status, told = audit_verify(capsys, "--archive", archived)

    assert (status, told[-1].startswith(f"Could not run: {archived} is not the archive file up to row 20")) == (2, True)


@pytest.mark.parametrize("way", ALTERED)
def test_a_false_archive_file_that_a_forged_marker_names_is_broken(
    file: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    grow_ledger(40)
    file.write_text(ALTERED[way]("".join(json_lines(all_rows(last=20)))), encoding="utf-8")
    with unguarded():
        forge(20, hash_at(20), has_key=True, file=sha256(file.read_bytes()).hexdigest())
        delete(1, 20)
        drop_open_changes()

    status, told = audit_verify(capsys, "--archive", file)

    assert (status, told[-1].startswith("BROKEN. Row ")) == (1, True)


@pytest.mark.parametrize("number", [20, 21])
def test_a_checkpoint_at_either_side_of_the_cut_is_held_against_it(archived: Path, number: int) -> None:
    foreign = Checkpoint.of(Head(number, "b" * 64, NOON))

    with pytest.raises(BrokenError, match=f"Row {number} is not the row that a checkpoint knows"):
        check_against([foreign])


@pytest.mark.parametrize(
    ("since", "status", "told"),
    [
        (None, 2, "Whether something happened to g-1 is for the archive to tell: it has rows of then."),
        (20, 2, "Whether something happened to g-1 is for the archive to tell: it has rows of then."),
        (21, 0, "Nothing happened to g-1."),
    ],
)
def test_that_nothing_happened_is_not_said_of_a_time_that_was_archived(
    capsys: pytest.CaptureFixture[str], file: Path, enter: Enter, since: int | None, status: int, told: str
) -> None:
    grow_ledger(40)
    enter(group_id="g-1", at=NOON)
    arguments = ("--since", after(since).isoformat()) if since else ()
    archive(after(20), file, by="ops")

    with pytest.raises(SystemExit) as ended:
        call_command("audit_verify", "--nothing-happened-to", "g-1", "--until", "2026-03-01", *arguments)

    assert (ended.value.code, capsys.readouterr().out.splitlines()[-1]) == (status, told)


# Pages


def test_pages_show_what_is_left(client_as: People, project: Project, enter: Enter, file: Path) -> None:
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
    told = said(show(f"{LEDGER}system/"))
    assert "OS user ops took old rows out of the ledger" in told
    assert f"Rows 1 to {part.last} are in archive.jsonl now, whose SHA-256 is {digest}." in told
    lines = b"".join(show(f"{LEDGER}export.jsonl")).decode().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [late.number]


def test_what_was_archived_cannot_be_reverted(client_as: People, project: Project, enter: Enter, file: Path) -> None:
    old = enter(group_id=DESIGN_POOL)
    archive(FAR_AWAY, file, by="ops")

    assert client_as("administrator").get(address(f"edit/?revert={old.number}")).status_code == 404
    assert client_as("administrator").get(address("edit/")).status_code == 200
