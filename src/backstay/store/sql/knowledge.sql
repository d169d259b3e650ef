
-- Knowledge bases: a file of its own beside the store, knowledge.db.
-- knowledge_documents holds each version of each document of a base, `until` null for the one that counts; knowledge_readers
-- who may read it; knowledge_passages its passages, also of versions that count no more, so that old citations resolve.
-- The two FTS5 tables index the passages that count, and every word that was ever written, by its letters.
-- knowledge_who holds, while somebody asks, what each person is for whom it is asked: their name, "everyone", "group:...",
-- "role:...". knowledge_readable is the one rule of who may read: a document is readable where each of them is among its
-- readers, and for nobody nothing is. Whatever is told to somebody is read through it.

-- knowledge_bases_table: a base as it was last indexed; every change of what counts gives it another generation
CREATE TABLE IF NOT EXISTS knowledge_bases (
    name TEXT PRIMARY KEY, access TEXT NOT NULL, embedder TEXT NOT NULL, generation INTEGER NOT NULL, indexed TEXT
) STRICT;

-- knowledge_documents_table: the versions of the documents of a base
CREATE TABLE IF NOT EXISTS knowledge_documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, base TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    title TEXT NOT NULL, since TEXT NOT NULL, until TEXT, problem TEXT NOT NULL
) STRICT;

-- knowledge_documents_index: the one that counts, once for each name
CREATE UNIQUE INDEX IF NOT EXISTS knowledge_documents_now ON knowledge_documents (base, name) WHERE until IS NULL;

-- knowledge_readers_table: who may read a document
CREATE TABLE IF NOT EXISTS knowledge_readers (
    document INTEGER NOT NULL, reader TEXT NOT NULL, PRIMARY KEY (document, reader)
) STRICT, WITHOUT ROWID;

-- knowledge_passages_table: passages, numbered within their document; words are counted in title, heading and body
CREATE TABLE IF NOT EXISTS knowledge_passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, number INTEGER NOT NULL, page INTEGER,
    heading TEXT NOT NULL, text TEXT NOT NULL, title_words INTEGER NOT NULL, heading_words INTEGER NOT NULL,
    body_words INTEGER NOT NULL, UNIQUE (document, number)
) STRICT;

-- knowledge_vectors_table: float32 vectors, in the order of the machine's bytes
CREATE TABLE IF NOT EXISTS knowledge_vectors (passage INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;

-- knowledge_words_table: full text of the passages that count, stemmed
CREATE VIRTUAL TABLE IF NOT EXISTS knowledge_words USING fts5(
    title, heading, body, tokenize = 'porter unicode61 remove_diacritics 2'
);

-- knowledge_terms_table: where each stem stands
CREATE VIRTUAL TABLE IF NOT EXISTS knowledge_terms USING fts5vocab(knowledge_words, instance);

-- knowledge_known_table: every word that was ever written
CREATE TABLE IF NOT EXISTS knowledge_known (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE) STRICT;

-- knowledge_spelled_table: the same by their letters, three at a time, to find those within others and those misspelt
CREATE VIRTUAL TABLE IF NOT EXISTS knowledge_spelled USING fts5(word, tokenize = 'trigram', detail = none);

-- knowledge_fits_table: what was learnt of a view of a base, by the digest of the passages that it has
CREATE TABLE IF NOT EXISTS knowledge_fits (
    number INTEGER PRIMARY KEY AUTOINCREMENT, base TEXT NOT NULL, view TEXT NOT NULL, fit TEXT NOT NULL, UNIQUE (base, view)
) STRICT;

-- knowledge_fit: what was learnt of a view
SELECT fit FROM knowledge_fits WHERE base = ? AND view = ?;

-- knowledge_keep_fit: keep what was learnt
INSERT INTO knowledge_fits (base, view, fit) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- knowledge_drop_fits: all but the newest of a base
DELETE FROM knowledge_fits WHERE base = ?1
AND number NOT IN (SELECT number FROM knowledge_fits WHERE base = ?1 ORDER BY number DESC LIMIT ?2);

-- knowledge_scratch_table: where a text is cut into stems
CREATE VIRTUAL TABLE IF NOT EXISTS temp.knowledge_scratch USING fts5(
    text, tokenize = 'porter unicode61 remove_diacritics 2'
);

-- knowledge_scratch_terms_table: its stems
CREATE VIRTUAL TABLE IF NOT EXISTS temp.knowledge_scratch_terms USING fts5vocab(temp, knowledge_scratch, instance);

-- knowledge_who_table: for whom is asked now
CREATE TEMP TABLE IF NOT EXISTS knowledge_who (person INTEGER NOT NULL, reader TEXT NOT NULL);

-- knowledge_readable_view: the documents, of all versions, that all of those may read
CREATE TEMP VIEW IF NOT EXISTS knowledge_readable AS
SELECT d.* FROM knowledge_documents AS d
WHERE EXISTS (SELECT 1 FROM temp.knowledge_who) AND NOT EXISTS (
    SELECT 1 FROM temp.knowledge_who AS asking WHERE asking.person NOT IN (
        SELECT who.person FROM temp.knowledge_who AS who JOIN knowledge_readers AS r ON r.reader = who.reader
        WHERE r.document = d.id
    )
);

-- knowledge_nobody: nobody asks
DELETE FROM temp.knowledge_who;

-- knowledge_asks: for whom is asked
INSERT INTO temp.knowledge_who (person, reader) VALUES (?, ?);

-- knowledge_begin: take the file for one change
BEGIN IMMEDIATE;

-- knowledge_commit: the change is whole
COMMIT;

-- knowledge_rollback: the change is not made
ROLLBACK;

-- knowledge_base: one base
SELECT name, access, embedder, generation, indexed FROM knowledge_bases WHERE name = ?;

-- knowledge_set_base: make a base known, with how it is read and embedded
INSERT INTO knowledge_bases (name, access, embedder, generation) VALUES (:name, :access, :embedder, 1)
ON CONFLICT (name) DO UPDATE SET access = excluded.access, embedder = excluded.embedder, generation = generation + 1;

-- knowledge_changed: what counts is another
UPDATE knowledge_bases SET generation = generation + 1 WHERE name = ?;

-- knowledge_set_indexed: everything was looked at
UPDATE knowledge_bases SET indexed = :at WHERE name = :base;

-- knowledge_versions: the documents that count, with their versions
SELECT id, name, version FROM knowledge_documents WHERE base = ? AND until IS NULL ORDER BY name;

-- knowledge_version: the version of a document that counts
SELECT id, version FROM knowledge_documents WHERE base = ? AND name = ? AND until IS NULL;

-- knowledge_every_version: all documents, with those that count no more
SELECT id, name FROM knowledge_documents WHERE base = ?;

-- knowledge_end: a version counts no more
UPDATE knowledge_documents SET until = :at WHERE id = :document;

-- knowledge_unindex: its passages are not found any more
DELETE FROM knowledge_words WHERE rowid IN (SELECT id FROM knowledge_passages WHERE document = ?);

-- knowledge_unembed: nor by their vectors
DELETE FROM knowledge_vectors WHERE passage IN (SELECT id FROM knowledge_passages WHERE document = ?);

-- knowledge_unembed_all: all vectors of a base: another embedder is to make them
DELETE FROM knowledge_vectors WHERE passage IN (
    SELECT p.id FROM knowledge_passages AS p JOIN knowledge_documents AS d ON d.id = p.document WHERE d.base = ?
);

-- knowledge_add_document: a version that counts from now on
INSERT INTO knowledge_documents (base, name, version, title, since, problem)
VALUES (:base, :name, :version, :title, :at, :problem) RETURNING id;

-- knowledge_add_reader: somebody may read it
INSERT OR IGNORE INTO knowledge_readers (document, reader) VALUES (?, ?);

-- knowledge_drop_readers: nobody may read it
DELETE FROM knowledge_readers WHERE document = ?;

-- knowledge_add_passage: a passage of it
INSERT INTO knowledge_passages (document, number, page, heading, text, title_words, heading_words, body_words)
VALUES (:document, :number, :page, :heading, :text, :title_words, :heading_words, :body_words) RETURNING id;

-- knowledge_add_words: its full text
INSERT INTO knowledge_words (rowid, title, heading, body) VALUES (:id, :title, :heading, :body);

-- knowledge_add_vector: its vector
INSERT OR REPLACE INTO knowledge_vectors (passage, vector) VALUES (?, ?);

-- knowledge_add_known: a word that may be new
INSERT OR IGNORE INTO knowledge_known (word) VALUES (?) RETURNING id;

-- knowledge_add_spelled: its letters
INSERT INTO knowledge_spelled (rowid, word) VALUES (?, ?);

-- knowledge_unembedded: passages that count and have no vector, the oldest first
SELECT p.id, d.name, p.heading, p.text, d.title FROM knowledge_passages AS p
JOIN knowledge_documents AS d ON d.id = p.document
WHERE d.base = :base AND d.until IS NULL AND p.id NOT IN (SELECT passage FROM knowledge_vectors)
ORDER BY p.id LIMIT :most;

-- knowledge_scratch_clear: nothing to cut
DELETE FROM temp.knowledge_scratch;

-- knowledge_scratch_add: a text to cut into stems
INSERT INTO temp.knowledge_scratch (rowid, text) VALUES (?, ?);

-- knowledge_scratch_stems: the stems of each text, with how often they stand in it
SELECT doc, term, count(*) AS times FROM temp.knowledge_scratch_terms GROUP BY doc, term ORDER BY doc, min(offset);

-- knowledge_alike: words with letters in common
SELECT known.word FROM knowledge_spelled AS spelled JOIN knowledge_known AS known ON known.id = spelled.rowid
WHERE knowledge_spelled MATCH ?;

-- knowledge_view: the passages of a base that may be read
SELECT p.id, p.document, p.number, p.title_words, p.heading_words, p.body_words
FROM knowledge_passages AS p JOIN temp.knowledge_readable AS d ON d.id = p.document
WHERE d.base = ? AND d.until IS NULL ORDER BY d.name, p.number;

-- knowledge_postings: in which of those stems stand, and how often in title, heading and body
WITH readable AS MATERIALIZED (SELECT id FROM temp.knowledge_readable WHERE base = :base AND until IS NULL)
SELECT t.term, t.doc AS passage, t.col, count(*) AS times FROM knowledge_terms AS t
JOIN knowledge_passages AS p ON p.id = t.doc
WHERE t.term IN (SELECT value FROM json_each(:terms)) AND p.document IN (SELECT id FROM readable)
GROUP BY t.term, t.doc, t.col;

-- knowledge_embedded: their vectors
SELECT v.passage, v.vector FROM knowledge_vectors AS v JOIN knowledge_passages AS p ON p.id = v.passage
JOIN temp.knowledge_readable AS d ON d.id = p.document WHERE d.base = ? AND d.until IS NULL;

-- knowledge_read: some of them whole, with their documents
SELECT p.id, p.number, p.page, p.heading, p.text, d.name, d.title, d.version, d.until
FROM knowledge_passages AS p JOIN temp.knowledge_readable AS d ON d.id = p.document
WHERE p.id IN (SELECT value FROM json_each(:ids)) AND d.base = :base;

-- knowledge_cited: a passage by its document, number and version, also of a version that counts no more
SELECT p.id, p.number, p.page, p.heading, p.text, d.name, d.title, d.version, d.until
FROM knowledge_passages AS p JOIN temp.knowledge_readable AS d ON d.id = p.document
WHERE d.base = :base AND d.name = :name AND p.number = :number AND substr(d.version, 1, length(:version)) = :version
ORDER BY d.id DESC LIMIT 1;

-- knowledge_counts: each base, with what counts in it and may be read
SELECT b.name, b.indexed, b.embedder, count(d.id) AS documents,
    coalesce(sum((SELECT count(*) FROM knowledge_passages WHERE document = d.id)), 0) AS passages,
    coalesce(sum(d.problem <> ''), 0) AS problems
FROM knowledge_bases AS b LEFT JOIN temp.knowledge_readable AS d ON d.base = b.name AND d.until IS NULL
GROUP BY b.name ORDER BY b.name;

-- knowledge_problems: the documents of a base that could not be read into it, with why
SELECT name, problem FROM temp.knowledge_readable WHERE base = ? AND until IS NULL AND problem <> '' ORDER BY name;
