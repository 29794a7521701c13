"""A process is killed while it archives. The rows are in the ledger, or in the file and the ledger has a marker."""

from pathlib import Path

import pytest

from tests.crash.dashboards import NewDatabase, environment, run
from tests.crash.points import WHILE_ARCHIVING

ROWS = 1 + 10
"""The administrator's roles, and the events that the process records."""


@pytest.mark.parametrize("point", WHILE_ARCHIVING)
def test_a_killed_archiving_loses_no_row(new_database: NewDatabase, tmp_path: Path, point: str) -> None:
    environ, file = environment(new_database(), "http://127.0.0.1:9"), tmp_path / "archive.jsonl"

    said = run(environ, do="archive", point=point, file=str(file))
    found = run(environ, do="look")

    is_archived = point == "rows deleted, no checkpoint"
    assert said is None
    assert found is not None
    assert found["numbers"] == ([ROWS + 1] if is_archived else list(range(1, ROWS + 1)))
    assert (found["verified"], found["unguarded"]) == (len(found["numbers"]), [])
    assert len(file.read_text().splitlines()) == ROWS
