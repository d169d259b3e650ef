
-- What AI steps learn from and what they learned: a file of its own beside the store, steps.db.
-- steps holds what each step declares; step_examples the labelled examples of its author, of imports and of people;
-- step_outcomes what people said of answers; step_fits every fit with its report, whether or not it was ever accepted.
-- Texts hold pseudonyms for what is private. Times are RFC 3339 texts of the application's clock.

-- steps_table: the steps of this home, as their code declares them
CREATE TABLE IF NOT EXISTS steps (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, action TEXT NOT NULL, declared TEXT NOT NULL, at TEXT NOT NULL
) STRICT;

-- steps_examples_table: what is learned from; a later word about a text corrects an earlier one
CREATE TABLE IF NOT EXISTS step_examples (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, step TEXT NOT NULL, text TEXT NOT NULL,
    label TEXT NOT NULL, origin TEXT NOT NULL CHECK (origin IN ('code', 'import', 'person')), by TEXT NOT NULL,
    run TEXT NOT NULL, at TEXT NOT NULL
) STRICT;

-- steps_outcomes_table: what a person said of an answer
CREATE TABLE IF NOT EXISTS step_outcomes (
    key TEXT PRIMARY KEY, step TEXT NOT NULL, fit TEXT NOT NULL, said TEXT NOT NULL, truth TEXT NOT NULL,
    confidence REAL NOT NULL, sure INTEGER NOT NULL, by TEXT NOT NULL, run TEXT NOT NULL, at TEXT NOT NULL
) STRICT;

-- steps_fits_table: each fit; the one that was accepted last is in use
CREATE TABLE IF NOT EXISTS step_fits (
    step TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, origin TEXT NOT NULL CHECK (origin IN ('code', 'person')),
    at TEXT NOT NULL, by TEXT NOT NULL, accepted_at TEXT, accepted_by TEXT, acceptance INTEGER, report TEXT NOT NULL,
    content BLOB NOT NULL, PRIMARY KEY (step, version)
) STRICT;

-- steps_vectors_table: vectors of examples, so that a fit computes each once
CREATE TABLE IF NOT EXISTS step_vectors (key TEXT PRIMARY KEY, vector BLOB NOT NULL) STRICT;

-- steps_begin: take the file for one change
BEGIN IMMEDIATE;

-- steps_commit: the change is whole
COMMIT;

-- steps_rollback: the change is not made
ROLLBACK;

-- steps_declare: what a step is now
INSERT INTO steps (name, kind, action, declared, at) VALUES (:name, :kind, :action, :declared, :at)
ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, action = excluded.action, declared = excluded.declared,
    at = excluded.at WHERE declared <> excluded.declared OR action <> excluded.action;

-- steps_listed: every step, or one
SELECT name, kind, action, declared, at FROM steps WHERE :name IS NULL OR name = :name ORDER BY name;

-- steps_example_add: one example; the same effect twice is one
INSERT INTO step_examples (key, step, text, label, origin, by, run, at)
VALUES (:key, :step, :text, :label, :origin, :by, :run, :at) ON CONFLICT (key) DO NOTHING;

-- steps_examples_of_code_drop: the author's examples are those that the code has now
DELETE FROM step_examples WHERE step = ? AND origin = 'code';

-- steps_examples: what a step learns from; the author's first, then in the order in which it was said
SELECT number, text, label, origin, by, run, at FROM step_examples WHERE step = :step AND (:origin IS NULL OR origin = :origin)
    AND (:after IS NULL OR (number > :after AND origin <> 'code'))
ORDER BY origin <> 'code', number;

-- steps_examples_counted: how many examples a step has, by where they come from
SELECT origin, count(*) AS count FROM step_examples WHERE step = ? GROUP BY origin;

-- steps_examples_newest: the number of the newest example that does not stand in the code
SELECT coalesce(max(number), 0) FROM step_examples WHERE step = ? AND origin <> 'code';

-- steps_examples_of_people: examples that hold a pseudonym of somebody
SELECT number FROM step_examples WHERE instr(text, :person);

-- steps_example_drop: an example is gone
DELETE FROM step_examples WHERE number = ?;

-- steps_outcome_add: what a person said of an answer; the same effect twice is one
INSERT INTO step_outcomes (key, step, fit, said, truth, confidence, sure, by, run, at)
VALUES (:key, :step, :fit, :said, :truth, :confidence, :sure, :by, :run, :at) ON CONFLICT (key) DO NOTHING;

-- steps_outcomes: what people said of a step's answers, oldest first
SELECT fit, said, truth, confidence, sure, by, run, at FROM step_outcomes WHERE step = ? ORDER BY rowid;

-- steps_fit_add: a fit under the next version
INSERT INTO step_fits (step, version, digest, origin, at, by, report, content)
SELECT :step, coalesce(max(version), 0) + 1, :digest, :origin, :at, :by, :report, :content FROM step_fits WHERE step = :step
RETURNING version;

-- steps_fit_of_digest: the fit that came of the same examples in the same way
SELECT version FROM step_fits WHERE step = ? AND digest = ?;

-- steps_fit_seen: a fit that came of the same again has seen the newest examples too
UPDATE step_fits SET report = json_set(report, '$.newest', :newest) WHERE step = :step AND version = :version;

-- steps_fit_accept: from now on this one answers
UPDATE step_fits SET accepted_at = :at, accepted_by = :by,
    acceptance = (SELECT coalesce(max(acceptance), 0) + 1 FROM step_fits WHERE step = :step)
WHERE step = :step AND version = :version;

-- steps_fit_current: the fit that was accepted last
SELECT version, digest, origin, at, by, accepted_at, accepted_by, report FROM step_fits
WHERE step = ? AND acceptance IS NOT NULL ORDER BY acceptance DESC LIMIT 1;

-- steps_fits: all fits of a step, newest first
SELECT version, digest, origin, at, by, accepted_at, accepted_by, report FROM step_fits WHERE step = ? ORDER BY version DESC;

-- steps_fit_content: a fit itself
SELECT content FROM step_fits WHERE step = ? AND version = ?;

-- steps_vector: a vector that was computed before
SELECT vector FROM step_vectors WHERE key = ?;

-- steps_vector_add: keep a vector
INSERT INTO step_vectors (key, vector) VALUES (?, ?) ON CONFLICT (key) DO NOTHING;

-- steps_vectors_drop: vectors of what is forgotten
DELETE FROM step_vectors;

-- steps_scrub: write the file anew, without what was dropped
VACUUM;

-- steps_scrub_log: and the log beside it
PRAGMA wal_checkpoint(TRUNCATE);

-- steps_returned: replies of models and values with a confidence in the journal, a page at a time, and whatever lies aside
SELECT position, run, body, (
    SELECT json_extract(began.body, '$.workflow') FROM events AS began WHERE began.run = events.run AND began.seq = 1
) AS workflow
FROM events WHERE kind = 'call_returned' AND position > ? AND (
    json_extract(body, '$.action') = 'ask_model' OR json_type(body, '$.result.sure') IN ('true', 'false')
    OR json_type(body, '$.refs."/result"') = 'text'
) ORDER BY position LIMIT ?;
