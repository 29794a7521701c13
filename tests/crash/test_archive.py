"""A process is killed while it archives. All rows stay in the ledger, or the file has them and the ledger a marker."""

from pathlib import Path

import pytest

from tests.crash.dashboards import NewDatabase, environment, run
from tests.crash.points import WHILE_ARCHIVING

ROWS = 1 + 10
"""The role of the administrator, and the events that the process records."""


@pytest.mark.parametrize("point", WHILE_ARCHIVING)
def test_an_archiving_process_that_is_killed_loses_no_row(
    new_database: NewDatabase, tmp_path: Path, point: str
) -> None:
    environ, file = environment(new_database(), "http://127.0.0.1:9"), tmp_path / "archive.jsonl"

    result = run(environ, do="archive", point=point, file=str(file))
    found = run(environ, do="inspect")

    is_archived = point == "rows deleted, no checkpoint"
    assert result is None
    assert found is not None
    assert found["numbers"] == ([ROWS + 1] if is_archived else list(range(1, ROWS + 1)))
    assert (found["verified"], found["unguarded"]) == (len(found["numbers"]), [])
    assert len(file.read_text().splitlines()) == ROWS
