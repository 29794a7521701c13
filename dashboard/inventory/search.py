"""Search over the texts of a group: any part of them, in any case and script.

The text that a person types is data: nothing in it is a wildcard or an operator.
"""

from collections.abc import Iterator

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, Lookup, Q, TextField, Value
from django.db.models.functions import StrIndex
from django.db.models.lookups import GreaterThan
from django.db.models.sql.compiler import SQLCompiler

from dashboard.cloud.resources import ServerGroup

MARK = "\N{INFORMATION SEPARATOR ONE}"
"""Stands before, between and after all characters of a searched text: see sql/sqlite.sql."""
END = "\N{INFORMATION SEPARATOR TWO}"
"""Stands between two texts, so that no search finds the end of one with the beginning of the next."""
PART = 3
"""Number of characters of an entry of the index."""


class PartsField(TextField):  # type: ignore[type-arg]  # only the stubs are generic
    """The hidden column of the full-text index of SQLite, which has the name of the table. Only for `matches`."""


@PartsField.register_lookup
class _Matches(Lookup):
    """Compares with an expression in the query language of the index."""

    lookup_name = "matches"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[str | int, ...]]:
        column, parameters = self.process_lhs(compiler, connection)
        expression, further = self.process_rhs(compiler, connection)
        return f"{column} MATCH {expression}", (*parameters, *further)


class _HasParts(Func):
    """Compares with an array, with the index of PostgreSQL."""

    arg_joiner = ") @> ("
    template = "inventory_parts(%(expressions)s)::text[]"
    output_field = BooleanField()


def search_text(group: ServerGroup) -> str:
    """The texts in which a search looks for a group: name, description, id, tags and image."""
    tags = (f"{tag.key}={tag.value}" for tag in group.tags)
    texts = (group.name or "", group.description or "", group.id, *tags, group.image_name or "")
    return _marked(END.join(_plain(text) for text in texts))


def contains(text: str) -> Q:
    """The groups that contain a text. Reads each row."""
    return Q(GreaterThan(StrIndex(F("search_text"), Value(_marked(_plain(text)))), 0))


def finds(text: str) -> Q:
    """The groups that contain a text. Uses the index, so that few rows are read if few contain it."""
    parts = list(_parts(_plain(text)))
    if connection.vendor == "postgresql":
        return Q(_HasParts(F("search_text"), Value(parts))) & contains(text)
    expression = " AND ".join(f'"{_quoted(part)}"' for part in parts)
    return Q(search_row__parts__matches=expression) & contains(text)


def _plain(text: str) -> str:
    return text.casefold().replace(MARK, "").replace(END, "")


def _marked(text: str) -> str:
    return f"{MARK}{MARK.join(text)}{MARK}"


def _parts(text: str) -> Iterator[str]:
    """The entries of the index that a row with this text has."""
    if len(text) < PART and connection.vendor != "postgresql":
        text = _marked(text)[:PART] if len(text) == 1 else MARK.join(text)
    size = min(len(text), PART)
    yield from dict.fromkeys(text[at : at + size] for at in range(len(text) - size + 1))


def _quoted(part: str) -> str:
    return part.replace('"', '""')
