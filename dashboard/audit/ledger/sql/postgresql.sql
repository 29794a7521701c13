-- The ledger's table, its guards and its views on PostgreSQL. The first migration runs these statements, and
-- `guards.py` compares the database with them. A statement ends with a semicolon and an empty line.
--
-- A row has its facts as canonical JSON, their hash and a MAC. The database computes the other columns from the facts,
-- so that pages show only what is sealed.

-- The facts have times with a time zone, so the cast does not depend on settings. PostgreSQL cannot infer that, but
-- accepts only IMMUTABLE functions in a computed column.
CREATE FUNCTION audit_moment(text) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT $1::timestamptz
$$;

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger rows are never changed or deleted';
END
$$;

CREATE FUNCTION audit_note_fields() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.subject = NEW.number AND NEW.project <> '' THEN
        INSERT INTO audit_touchedfield (project, field, number)
        SELECT DISTINCT NEW.project, c.value ->> 'field', NEW.number
        FROM jsonb_array_elements(NEW.facts::jsonb -> 'changes') AS c(value);
    END IF;
    RETURN NULL;
END
$$;

CREATE TABLE audit_ledgerrow (
    number bigint PRIMARY KEY,
    facts text NOT NULL,
    hash varchar(64) NOT NULL,
    mac varchar(64) NOT NULL,
    project text GENERATED ALWAYS AS (facts::jsonb ->> 'project') STORED,
    group_id text GENERATED ALWAYS AS (facts::jsonb ->> 'group_id') STORED,
    group_name text GENERATED ALWAYS AS (facts::jsonb ->> 'group_name') STORED,
    actor text GENERATED ALWAYS AS (facts::jsonb ->> 'actor') STORED,
    kind text GENERATED ALWAYS AS (facts::jsonb ->> 'kind') STORED,
    reason text GENERATED ALWAYS AS (facts::jsonb ->> 'reason') STORED,
    outcome text GENERATED ALWAYS AS (facts::jsonb ->> 'outcome') STORED,
    key text GENERATED ALWAYS AS (facts::jsonb ->> 'key') STORED,
    at timestamptz GENERATED ALWAYS AS (audit_moment(facts::jsonb ->> 'at')) STORED,
    subject bigint GENERATED ALWAYS AS (
        coalesce((facts::jsonb ->> 'intent')::bigint, (facts::jsonb ->> 'number')::bigint)
    ) STORED,
    CHECK (number = (facts::jsonb ->> 'number')::bigint)
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
);

-- The guards. Without ALWAYS they are off if `session_replication_role` is `replica`.
CREATE TRIGGER audit_ledgerrow_refuses_update BEFORE UPDATE ON audit_ledgerrow
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_ledgerrow ENABLE ALWAYS TRIGGER audit_ledgerrow_refuses_update;

CREATE TRIGGER audit_ledgerrow_refuses_delete BEFORE DELETE ON audit_ledgerrow
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_ledgerrow ENABLE ALWAYS TRIGGER audit_ledgerrow_refuses_delete;

CREATE TRIGGER audit_ledgerrow_refuses_truncate BEFORE TRUNCATE ON audit_ledgerrow
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_ledgerrow ENABLE ALWAYS TRIGGER audit_ledgerrow_refuses_truncate;

CREATE TRIGGER audit_touchedfield_refuses_update BEFORE UPDATE ON audit_touchedfield
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_touchedfield ENABLE ALWAYS TRIGGER audit_touchedfield_refuses_update;

CREATE TRIGGER audit_touchedfield_refuses_delete BEFORE DELETE ON audit_touchedfield
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_touchedfield ENABLE ALWAYS TRIGGER audit_touchedfield_refuses_delete;

CREATE TRIGGER audit_touchedfield_refuses_truncate BEFORE TRUNCATE ON audit_touchedfield
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
ALTER TABLE audit_touchedfield ENABLE ALWAYS TRIGGER audit_touchedfield_refuses_truncate;

CREATE TRIGGER audit_touched_fields AFTER INSERT ON audit_ledgerrow
    FOR EACH ROW EXECUTE FUNCTION audit_note_fields();
ALTER TABLE audit_ledgerrow ENABLE ALWAYS TRIGGER audit_touched_fields;

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
    (facts::jsonb ->> 'actor_id')::bigint AS actor_id,
    facts::jsonb ->> 'from_address' AS from_address,
    facts::jsonb ->> 'previous_hash' AS previous_hash
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
    facts::jsonb ->> 'proof' AS proof,
    facts::jsonb ->> 'error_code' AS error_code,
    facts::jsonb ->> 'error_msg' AS error_msg,
    facts::jsonb ->> 'request_id' AS request_id,
    (facts::jsonb ->> 'http_status')::bigint AS http_status,
    (facts::jsonb ->> 'duration_ms')::bigint AS duration_ms
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
    (facts::jsonb ->> 'actor_id')::bigint AS actor_id,
    facts::jsonb ->> 'from_address' AS from_address,
    facts::jsonb ->> 'previous_hash' AS previous_hash,
    facts::jsonb ->> 'proof' AS proof,
    facts::jsonb ->> 'error_code' AS error_code,
    facts::jsonb ->> 'error_msg' AS error_msg,
    facts::jsonb ->> 'request_id' AS request_id,
    (facts::jsonb ->> 'http_status')::bigint AS http_status,
    (facts::jsonb ->> 'duration_ms')::bigint AS duration_ms
FROM audit_ledgerrow
WHERE subject = number AND project = '';

CREATE VIEW audit_fieldchange AS
SELECT
    number * 1000 + c.place - 1 AS id,
    number AS intent_id,
    project,
    c.value ->> 'field' AS field,
    c.value ->> 'label' AS label,
    c.value -> 'before' AS "before",
    c.value -> 'after' AS "after"
FROM audit_ledgerrow, jsonb_array_elements(facts::jsonb -> 'changes') WITH ORDINALITY AS c(value, place)
WHERE subject = number AND project <> '';
