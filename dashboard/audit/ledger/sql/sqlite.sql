-- The ledger's table, its guards and its views on SQLite. The first migration runs these statements, and
-- `guards.py` compares the database with them. A statement ends with a semicolon and an empty line.
--
-- A row has its facts as canonical JSON, their hash and a MAC. The database computes the other columns from the facts,
-- so that pages show only what is sealed.

CREATE TABLE audit_ledgerrow (
    number integer PRIMARY KEY,
    facts text NOT NULL,
    hash varchar(64) NOT NULL,
    mac varchar(64) NOT NULL,
    project text GENERATED ALWAYS AS (json_extract(facts, '$.project')) STORED,
    group_id text GENERATED ALWAYS AS (json_extract(facts, '$.group_id')) STORED,
    group_name text GENERATED ALWAYS AS (json_extract(facts, '$.group_name')) STORED,
    actor text GENERATED ALWAYS AS (json_extract(facts, '$.actor')) STORED,
    kind text GENERATED ALWAYS AS (json_extract(facts, '$.kind')) STORED,
    reason text GENERATED ALWAYS AS (json_extract(facts, '$.reason')) STORED,
    outcome text GENERATED ALWAYS AS (json_extract(facts, '$.outcome')) STORED,
    key text GENERATED ALWAYS AS (json_extract(facts, '$.key')) STORED,
    at text GENERATED ALWAYS AS (replace(rtrim(json_extract(facts, '$.at'), 'Z'), 'T', ' ')) STORED,
    subject bigint GENERATED ALWAYS AS (
        coalesce(json_extract(facts, '$.intent'), json_extract(facts, '$.number'))
    ) STORED,
    CHECK (number = json_extract(facts, '$.number'))
);

CREATE UNIQUE INDEX audit_key ON audit_ledgerrow (key) WHERE key IS NOT NULL;

-- The first row of a change has `subject = number`. Its outcome rows have the number of that row as `subject`.
CREATE INDEX audit_change_project ON audit_ledgerrow (project, number) WHERE subject = number;

CREATE INDEX audit_change_group ON audit_ledgerrow (project, group_id, number) WHERE subject = number;

CREATE INDEX audit_change_group_name ON audit_ledgerrow (project, group_name, number) WHERE subject = number;

CREATE INDEX audit_change_actor ON audit_ledgerrow (project, actor, number) WHERE subject = number;

CREATE INDEX audit_change_kind ON audit_ledgerrow (project, kind, number) WHERE subject = number;

CREATE INDEX audit_outcome ON audit_ledgerrow (project, outcome, subject) WHERE outcome IS NOT NULL;

CREATE INDEX audit_outcome_group ON audit_ledgerrow (project, group_id, outcome, subject) WHERE outcome IS NOT NULL;

CREATE INDEX audit_subject ON audit_ledgerrow (subject, number);

CREATE INDEX audit_at ON audit_ledgerrow (at, number);

-- Finds changes by a field they touch. A trigger fills it.
CREATE TABLE audit_touchedfield (
    project varchar(64) NOT NULL,
    field varchar(64) NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (project, field, number)
) WITHOUT ROWID;

-- The guards. REPLACE deletes the old row. The DELETE guard refuses that if `recursive_triggers` is on.
CREATE TRIGGER audit_ledgerrow_refuses_update BEFORE UPDATE ON audit_ledgerrow
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed or deleted');
END;

CREATE TRIGGER audit_ledgerrow_refuses_delete BEFORE DELETE ON audit_ledgerrow
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed or deleted');
END;

CREATE TRIGGER audit_touchedfield_refuses_update BEFORE UPDATE ON audit_touchedfield
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed or deleted');
END;

CREATE TRIGGER audit_touchedfield_refuses_delete BEFORE DELETE ON audit_touchedfield
BEGIN
    SELECT RAISE(ABORT, 'ledger rows are never changed or deleted');
END;

CREATE TRIGGER audit_touched_fields AFTER INSERT ON audit_ledgerrow
WHEN NEW.subject = NEW.number AND NEW.project <> ''
BEGIN
    INSERT INTO audit_touchedfield (project, field, number)
    SELECT DISTINCT NEW.project, json_extract(value, '$.field'), NEW.number
    FROM json_each(NEW.facts, '$.changes');
END;

-- The views for pages: changes of server groups, their outcomes and fields, and system events.
CREATE VIEW audit_changeintent AS
SELECT
    number,
    key,
    at,
    project,
    group_id,
    group_name,
    actor,
    kind,
    reason,
    hash,
    json_extract(facts, '$.actor_id') AS actor_id,
    json_extract(facts, '$.from_address') AS from_address,
    json_extract(facts, '$.previous_hash') AS previous_hash
FROM audit_ledgerrow
WHERE subject = number AND project <> '';

CREATE VIEW audit_changeoutcome AS
SELECT
    number,
    subject AS intent_id,
    project,
    at,
    outcome,
    hash,
    json_extract(facts, '$.proof') AS proof,
    json_extract(facts, '$.error_code') AS error_code,
    json_extract(facts, '$.error_msg') AS error_msg,
    json_extract(facts, '$.request_id') AS request_id,
    json_extract(facts, '$.http_status') AS http_status,
    json_extract(facts, '$.duration_ms') AS duration_ms
FROM audit_ledgerrow
WHERE outcome IS NOT NULL AND project <> '';

CREATE VIEW audit_systemevent AS
SELECT
    number,
    key,
    at,
    project,
    group_id,
    group_name,
    actor,
    kind,
    reason,
    hash,
    json_extract(facts, '$.actor_id') AS actor_id,
    json_extract(facts, '$.from_address') AS from_address,
    json_extract(facts, '$.previous_hash') AS previous_hash,
    json_extract(facts, '$.proof') AS proof,
    json_extract(facts, '$.error_code') AS error_code,
    json_extract(facts, '$.error_msg') AS error_msg,
    json_extract(facts, '$.request_id') AS request_id,
    json_extract(facts, '$.http_status') AS http_status,
    json_extract(facts, '$.duration_ms') AS duration_ms
FROM audit_ledgerrow
WHERE subject = number AND project = '';

CREATE VIEW audit_fieldchange AS
SELECT
    number * 1000 + c.key AS id,
    number AS intent_id,
    project,
    json_extract(c.value, '$.field') AS field,
    json_extract(c.value, '$.label') AS label,
    c.value -> '$.before' AS "before",
    c.value -> '$.after' AS "after"
FROM audit_ledgerrow, json_each(facts, '$.changes') AS c
WHERE subject = number AND project <> '';
