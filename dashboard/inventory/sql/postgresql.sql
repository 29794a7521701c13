-- The index for searches on PostgreSQL. The first migration runs these statements. A statement ends with a semicolon and
-- an empty line.
--
-- It needs no extension, because not every administrator may create one.

-- Each one, two and three characters that follow each other in a `search_text`, without the marks (U+001F) in it. The
-- cost keeps the planner from calling the function for each row of the table.
CREATE FUNCTION inventory_parts(text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
    SELECT array_agg(DISTINCT part)
    FROM (
        SELECT one, lead(one) OVER letters AS two, lead(one, 2) OVER letters AS three
        FROM unnest(string_to_array(replace($1, chr(31), ''), NULL)) WITH ORDINALITY AS letter(one, position)
        WINDOW letters AS (ORDER BY position)
    ) AS letter, LATERAL (VALUES (one), (one || two), (one || two || three)) AS parts(part)
    WHERE part IS NOT NULL
$$;

CREATE INDEX inventory_search ON inventory_groupcopy USING gin (inventory_parts(search_text));
