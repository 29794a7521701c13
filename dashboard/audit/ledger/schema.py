"""The ledger's tables by name, and the statements that make them, read from the `.sql` file of the database."""

from functools import cache
from pathlib import Path

TABLE = "audit_ledgerrow"
GUARDED = (TABLE, "audit_touchedfield")
SHOWN = ("project", "group_id", "group_name", "actor", "kind", "reason", "outcome", "key", "at", "subject")
"""What pages look for and show: the columns that the database makes of the facts."""
_FILES = Path(__file__).with_name("sql")


@cache
def statements(vendor: str) -> tuple[str, ...]:
    """Everything an empty database needs, in order, without comments."""
    text = (_FILES / f"{vendor}.sql").read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return tuple(statement.strip(";\n") for statement in code.split(";\n\n"))


def functions(vendor: str) -> list[str]:
    return _making("FUNCTION", vendor)


def views(vendor: str) -> list[str]:
    return _making("VIEW", vendor)


def guards(vendor: str) -> dict[str, str]:
    """The statement that makes each trigger, by its name."""
    return {name_of(statement): statement for statement in _making("TRIGGER", vendor)}


def name_of(statement: str) -> str:
    """The name of what a statement makes."""
    return statement.removeprefix("CREATE UNIQUE ").removeprefix("CREATE ").split()[1].partition("(")[0]


def _making(kind: str, vendor: str) -> list[str]:
    return [statement for statement in statements(vendor) if statement.startswith(f"CREATE {kind} ")]
