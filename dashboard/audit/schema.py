"""The ledger in the database: one append-only table, read through views, and the guards that keep it append-only.

A row is its facts (canonical JSON), their hash and a keyed MAC. The columns that pages look for are generated from the
facts by the database itself, so that what a page shows and what is signed cannot differ. What makes rows findable by
field is filled by a trigger for the same reason.
"""

from collections.abc import Callable, Iterable, Mapping

TABLE = "audit_ledgerrow"
GUARDED = (TABLE, "audit_touchedfield")

_LOOKED_FOR = ("project", "group_id", "group_name", "actor", "kind", "reason", "outcome", "key")
SHOWN = (*_LOOKED_FOR, "at", "subject")
"""What pages look for and show: the columns that the database makes of the facts."""
_TEXTS = ("from_address", "proof", "error_code", "error_msg", "request_id")
_NUMBERS = ("actor_id", "http_status", "duration_ms")
_INDEXES = {
    # A change is the row that begins it (`subject = number`); its outcome rows name it in `subject`.
    "change_project": "(project, number) WHERE subject = number",
    "change_group": "(project, group_id, number) WHERE subject = number",
    "change_group_name": "(project, group_name, number) WHERE subject = number",
    "change_actor": "(project, actor, number) WHERE subject = number",
    "change_kind": "(project, kind, number) WHERE subject = number",
    "outcome": "(project, outcome, subject) WHERE outcome IS NOT NULL",
    "outcome_group": "(project, group_id, outcome, subject) WHERE outcome IS NOT NULL",
    "subject": "(subject, number)",
    "at": "(at, number)",
}


def _sqlite_fact(name: str) -> str:
    return f"json_extract(facts, '$.{name}')"


def _postgresql_fact(name: str) -> str:
    cast = "::bigint" if name in {*_NUMBERS, "number", "intent"} else ""
    return f"((facts::jsonb ->> '{name}'){cast})"


_FACT: Mapping[str, Callable[[str], str]] = {"sqlite": _sqlite_fact, "postgresql": _postgresql_fact}
_MOMENT = {
    # As Django writes a time: SQLite has none of its own. Canonical JSON has 2026-11-24T10:42:07.123456Z.
    "sqlite": ("text", "replace(rtrim(json_extract(facts, '$.at'), 'Z'), 'T', ' ')"),
    "postgresql": ("timestamptz", "audit_moment(facts::jsonb ->> 'at')"),
}


def statements(vendor: str) -> Iterable[str]:
    """Everything an empty database needs, in order."""
    yield from functions(vendor)
    yield from tables(vendor)
    yield from guards(vendor).values()
    yield from views(vendor)


def tables(vendor: str) -> Iterable[str]:
    fact, (moment_type, moment) = _FACT[vendor], _MOMENT[vendor]
    generated = [
        *(f"{name} text GENERATED ALWAYS AS ({fact(name)}) STORED" for name in _LOOKED_FOR),
        f"at {moment_type} GENERATED ALWAYS AS ({moment}) STORED",
        f"subject bigint GENERATED ALWAYS AS (coalesce({fact('intent')}, {fact('number')})) STORED",
    ]
    number = "integer" if vendor == "sqlite" else "bigint"
    yield (
        f"CREATE TABLE {TABLE} (number {number} PRIMARY KEY, facts text NOT NULL, hash varchar(64) NOT NULL, "
        f"mac varchar(64) NOT NULL, {', '.join(generated)}, CHECK (number = {fact('number')}))"
    )
    yield f"CREATE UNIQUE INDEX audit_key ON {TABLE} (key) WHERE key IS NOT NULL"
    yield from (f"CREATE INDEX audit_{name} ON {TABLE} {columns}" for name, columns in _INDEXES.items())
    yield (
        "CREATE TABLE audit_touchedfield (project varchar(64) NOT NULL, field varchar(64) NOT NULL, "
        f"number bigint NOT NULL, PRIMARY KEY (project, field, number)){' WITHOUT ROWID' if vendor == 'sqlite' else ''}"
    )


def views(vendor: str) -> Iterable[str]:
    """What pages read: changes of server groups and their outcomes, and what happened to the house itself."""
    fact = _FACT[vendor]
    subject = "number, key, at, project, group_id, group_name, actor, kind, reason, hash, " + ", ".join(
        f"{fact(name)} AS {name}" for name in ("actor_id", "from_address", "previous_hash")
    )
    said = ", ".join(f"{fact(name)} AS {name}" for name in (*_TEXTS[1:], "http_status", "duration_ms"))
    begins = "subject = number AND project <> ''"
    yield f"CREATE VIEW audit_changeintent AS SELECT {subject} FROM {TABLE} WHERE {begins}"
    yield (
        f"CREATE VIEW audit_changeoutcome AS SELECT number, subject AS intent_id, project, at, outcome, hash, {said} "
        f"FROM {TABLE} WHERE outcome IS NOT NULL AND project <> ''"
    )
    of_the_house = "subject = number AND project = ''"
    yield f"CREATE VIEW audit_houseevent AS SELECT {subject}, {said} FROM {TABLE} WHERE {of_the_house}"
    yield f"CREATE VIEW audit_fieldchange AS {_FIELDS[vendor].format(table=TABLE, begins=begins)}"


_FIELDS = {
    "sqlite": (
        "SELECT number * 1000 + c.key AS id, number AS intent_id, project, json_extract(c.value, '$.field') AS field, "
        "json_extract(c.value, '$.label') AS label, c.value -> '$.before' AS \"before\", c.value -> '$.after' AS "
        "\"after\" FROM {table}, json_each(facts, '$.changes') AS c WHERE {begins}"
    ),
    "postgresql": (
        "SELECT number * 1000 + c.place - 1 AS id, number AS intent_id, project, c.value ->> 'field' AS field, "
        "c.value ->> 'label' AS label, c.value -> 'before' AS \"before\", c.value -> 'after' AS \"after\" "
        "FROM {table}, jsonb_array_elements(facts::jsonb -> 'changes') WITH ORDINALITY AS c(value, place) "
        "WHERE {begins}"
    ),
}


def guards(vendor: str) -> dict[str, str]:
    """The statement that makes each guard, by its name."""
    if vendor == "sqlite":
        refusals = (_sqlite_refusal(event, table) for table in GUARDED for event in ("UPDATE", "DELETE"))
    else:
        refusals = (
            _postgresql_refusal(event, table) for table in GUARDED for event in ("UPDATE", "DELETE", "TRUNCATE")
        )
    return dict(refusals) | {"audit_touched_fields": _TOUCHED_FIELDS[vendor]}


def _sqlite_refusal(event: str, table: str) -> tuple[str, str]:
    """REPLACE deletes first, which the DELETE guard sees as long as `recursive_triggers` is on."""
    name = f"{table}_refuses_{event.lower()}"
    return name, (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'ledger rows are never changed or deleted'); END"
    )


def _postgresql_refusal(event: str, table: str) -> tuple[str, str]:
    """ALWAYS: else it would be off where `session_replication_role` is `replica`."""
    name = f"{table}_refuses_{event.lower()}"
    return name, (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse(); "
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"
    )


_TOUCHED_FIELDS = {
    "sqlite": (
        f"CREATE TRIGGER audit_touched_fields AFTER INSERT ON {TABLE} "
        "WHEN NEW.subject = NEW.number AND NEW.project <> '' "
        "BEGIN INSERT INTO audit_touchedfield (project, field, number) "
        "SELECT DISTINCT NEW.project, json_extract(value, '$.field'), NEW.number "
        "FROM json_each(NEW.facts, '$.changes'); END"
    ),
    "postgresql": (
        f"CREATE TRIGGER audit_touched_fields AFTER INSERT ON {TABLE} FOR EACH ROW "
        f"EXECUTE FUNCTION audit_note_fields(); ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER audit_touched_fields"
    ),
}


def functions(vendor: str) -> Iterable[str]:
    """What PostgreSQL's generated columns and triggers call."""
    if vendor == "postgresql":
        # A time with its zone reads the same under every setting, which PostgreSQL cannot know.
        yield (
            "CREATE FUNCTION audit_moment(text) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT "
            "AS $$ SELECT $1::timestamptz $$"
        )
        yield (
            "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ "
            "BEGIN RAISE EXCEPTION 'ledger rows are never changed or deleted'; END $$"
        )
        yield (
            "CREATE FUNCTION audit_note_fields() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NEW.subject = NEW.number AND NEW.project <> '' THEN "
            "INSERT INTO audit_touchedfield (project, field, number) "
            "SELECT DISTINCT NEW.project, c.value ->> 'field', NEW.number "
            "FROM jsonb_array_elements(NEW.facts::jsonb -> 'changes') AS c(value); END IF; RETURN NULL; END $$"
        )
