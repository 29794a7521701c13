-- The index for searches on SQLite. The first migration runs these statements. A statement ends with a semicolon and an
-- empty line.
--
-- The tokenizer indexes each three characters that follow each other. In `search_text`, a mark (U+001F) stands before,
-- between and after all characters, so a search for one or two characters finds an entry too. The text without the marks
-- gives the entries for longer searches.

CREATE VIRTUAL TABLE inventory_search USING fts5(
    text, content = '', detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1'
);

CREATE TRIGGER inventory_search_added AFTER INSERT ON inventory_groupcopy BEGIN
    INSERT INTO inventory_search (rowid, text)
    VALUES (NEW.id, replace(NEW.search_text, char(31), '') || NEW.search_text);
END;

CREATE TRIGGER inventory_search_changed AFTER UPDATE OF search_text ON inventory_groupcopy
WHEN OLD.search_text <> NEW.search_text BEGIN
    INSERT INTO inventory_search (inventory_search, rowid, text)
    VALUES ('delete', OLD.id, replace(OLD.search_text, char(31), '') || OLD.search_text);
    INSERT INTO inventory_search (rowid, text)
    VALUES (NEW.id, replace(NEW.search_text, char(31), '') || NEW.search_text);
END;

CREATE TRIGGER inventory_search_deleted AFTER DELETE ON inventory_groupcopy BEGIN
    INSERT INTO inventory_search (inventory_search, rowid, text)
    VALUES ('delete', OLD.id, replace(OLD.search_text, char(31), '') || OLD.search_text);
END;
