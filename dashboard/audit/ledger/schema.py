"""The names of the ledger's tables, and the SQL statements that create them, from the `.sql` file of the database."""

from functools import cache
from pathlib import Path

TABLE = "audit_ledgerrow"
GUARDED = (TABLE, "audit_touchedfield")
SHOWN = ("project", "group_id", "group_name", "actor", "kind", "reason", "outcome", "key", "at", "subject")
"""The columns that the database computes from the facts. Pages search and show them."""
_FILES = Path(__file__).with_name("sql")


@cache
def statements(vendor: str) -> tuple[str, ...]:
    """Return all statements for an empty database, in order, without comments."""
    text = (_FILES / f"{vendor}.sql").read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return tuple(statement.strip(";\n") for statement in code.split(";\n\n"))


def functions(vendor: str) -> list[str]:
    return _create_statements("FUNCTION", vendor)


def views(vendor: str) -> list[str]:
    return _create_statements("VIEW", vendor)


def guards(vendor: str) -> dict[str, str]:
    """Return the statement that creates each trigger, by the name of the trigger."""
    return {name_of(statement): statement for statement in _create_statements("TRIGGER", vendor)}


def name_of(statement: str) -> str:
    """Return the name of the object that a statement creates."""
    return statement.removeprefix("CREATE UNIQUE ").removeprefix("CREATE ").split()[1].partition("(")[0]


def _create_statements(kind: str, vendor: str) -> list[str]:
    return [statement for statement in statements(vendor) if statement.startswith(f"CREATE {kind} ")]
