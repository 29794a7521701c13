"""A process is killed while it records changes from outside, or two do it at once. Each change is recorded once."""

from typing import Any

import pytest

from tests.crash.dashboards import NewDatabase, begin, end, environment, run
from tests.crash.points import WHILE_RECORDING_OUTSIDE

GROUPS = 20


def recorded(environ: dict[str, str]) -> list[tuple[str, list[str]]]:
    """The group and the fields of each entry from outside, in order, from a ledger that verifies."""
    found = run(environ, do="read")
    assert found is not None
    assert found["verified"] == len(found["rows"])
    rows: list[dict[str, Any]] = [row for row in found["rows"] if row["kind"] == "outside"]
    return sorted((row["group_id"], [change["field"] for change in row["changes"]]) for row in rows)


def every_group(groups: int) -> list[tuple[str, list[str]]]:
    return sorted((f"g-{number}", ["name", "description"]) for number in range(groups))


@pytest.mark.parametrize("point", WHILE_RECORDING_OUTSIDE)
def test_a_killed_process_neither_loses_nor_repeats_a_change(new_database: NewDatabase, point: str) -> None:
    environ = environment(new_database(), "http://127.0.0.1:9")
    run(environ, do="find_outside", groups=2)

    killed = run(environ, do="record_outside", point=point)
    again = run(environ, do="record_outside")

    assert (killed, again) == (None, {"left": 0})
    assert recorded(environ) == every_group(2)


def test_two_processes_at_once_record_each_change_once(new_database: NewDatabase) -> None:
    environ = environment(new_database(), "http://127.0.0.1:9")
    run(environ, do="find_outside", groups=GROUPS)

    both = [begin(environ, do="record_outside") for _ in range(2)]

    assert [end(process) is not None for process in both] == [True, True]
    assert recorded(environ) == every_group(GROUPS)
