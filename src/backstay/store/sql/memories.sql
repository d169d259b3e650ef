
-- What agents and workflows keep for later cases: a file of its own beside the store, memory.db.
-- memory_items holds what is remembered, with pseudonyms for what is private; memory_keepings each time that it was kept, by
-- whom and from what. A keeping outlives its item, so that an effect that is tried again is known and kept only once.
-- Times are RFC 3339 texts of the application's clock; `until` is null for what never expires.

-- memory_items_table: what is remembered; numbers are never used twice
CREATE TABLE IF NOT EXISTS memory_items (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, memory TEXT NOT NULL,
    subject TEXT NOT NULL COLLATE NOCASE, text TEXT NOT NULL, since TEXT NOT NULL, until TEXT,
    UNIQUE (memory, subject, text)
) STRICT;

-- memory_keepings_table: each time that it was kept, under the key of that effect
CREATE TABLE IF NOT EXISTS memory_keepings (
    key TEXT PRIMARY KEY, item TEXT NOT NULL, at TEXT NOT NULL, since TEXT NOT NULL, until TEXT, by TEXT NOT NULL,
    run TEXT NOT NULL, source TEXT NOT NULL, command TEXT NOT NULL, quote TEXT NOT NULL, approved_by TEXT NOT NULL
) STRICT;

-- memory_keepings_index: the keepings of an item
CREATE INDEX IF NOT EXISTS memory_keepings_of_item ON memory_keepings (item);

-- memory_begin: take the file for one change
BEGIN IMMEDIATE;

-- memory_commit: the change is whole
COMMIT;

-- memory_rollback: the change is not made
ROLLBACK;

-- memory_kept: what an effect that is tried again did the first time
SELECT item AS id, since, until FROM memory_keepings WHERE key = ?;

-- memory_same: the item that says the same of the same subject
SELECT id, since, until FROM memory_items WHERE memory = :memory AND subject = :subject AND text = :text;

-- memory_add: remember something, or renew it
INSERT INTO memory_items (id, memory, subject, text, since, until)
VALUES (:id, :memory, :subject, :text, :since, :until)
ON CONFLICT (memory, subject, text) DO UPDATE SET until = excluded.until;

-- memory_keep: note by whom and from what
INSERT INTO memory_keepings (key, item, at, since, until, by, run, source, command, quote, approved_by)
VALUES (:key, :id, :at, :since, :until, :by, :run, :source, :command, :quote, :approved_by);

-- memory_listed: what is remembered, newest first, with how it was last kept
SELECT items.id, items.memory, items.subject, items.text, items.since, items.until,
    last.by, last.run, last.source, last.command, last.quote, last.approved_by,
    (SELECT count(*) FROM memory_keepings WHERE item = items.id) AS times
FROM memory_items AS items JOIN memory_keepings AS last
    ON last.rowid = (SELECT max(rowid) FROM memory_keepings WHERE item = items.id)
WHERE (:memory IS NULL OR memory = :memory) AND (:subject IS NULL OR subject = :subject COLLATE NOCASE)
    AND (:id IS NULL OR items.id = :id)
    AND (:now IS NULL OR items.until IS NULL OR items.until > :now)
    AND (:expired IS NULL OR items.until <= :expired)
ORDER BY items.number DESC;

-- memory_history: each time that an item was kept, oldest first
SELECT at, until, by, run, source, command, quote, approved_by FROM memory_keepings WHERE item = ? ORDER BY rowid;

-- memory_index: full text over what is remembered, in memory: what is forgotten leaves no trace in the file
CREATE VIRTUAL TABLE temp.memory_index USING fts5(subject, text, tokenize = "unicode61 remove_diacritics 2");

-- memory_index_more: what was kept since the index was last filled
INSERT INTO temp.memory_index (rowid, subject, text) SELECT number, subject, text FROM memory_items WHERE number > ?;

-- memory_newest: up to where the index is filled then
SELECT coalesce(max(number), 0) FROM memory_items;

-- memory_found: items that hold some of the words, best first
SELECT items.id FROM temp.memory_index AS words JOIN memory_items AS items ON items.number = words.rowid
WHERE memory_index MATCH :words AND items.memory = :memory
ORDER BY bm25(memory_index), items.number DESC;

-- memory_of_people: items that hold a pseudonym of somebody
SELECT id FROM memory_items WHERE instr(subject, :person) OR instr(text, :person)
UNION SELECT item FROM memory_keepings WHERE instr(quote, :person);

-- memory_over: items that have expired
SELECT id FROM memory_items WHERE until <= ?;

-- memory_drop: an item is gone
DELETE FROM memory_items WHERE id = ?;

-- memory_drop_quotes: and what was quoted for it; the keys stay
UPDATE memory_keepings SET quote = '' WHERE item = ?;

-- memory_scrub: write the file anew, without what was dropped
VACUUM;

-- memory_scrub_log: and the log beside it
PRAGMA wal_checkpoint(TRUNCATE);
