
-- What anomaly steps have seen: a file of its own beside the store, anomalies.db.
-- anomaly_records holds each record once, with what was said of it then, whether it was learned, and how it was marked last;
-- anomaly_marks every mark, under the key of its effect; anomaly_profiles what was learned, of each key, and of all under the key ''. Private values are pseudonyms.

-- anomaly_records_table: every record, with the judgement that it got
CREATE TABLE IF NOT EXISTS anomaly_records (
    number INTEGER PRIMARY KEY AUTOINCREMENT, step TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL,
    said TEXT NOT NULL, at TEXT NOT NULL, run TEXT NOT NULL, learned INTEGER NOT NULL, mark TEXT,
    UNIQUE (step, id)
) STRICT;

-- anomaly_profiles_table: what was learned of each key
CREATE TABLE IF NOT EXISTS anomaly_profiles (
    step TEXT NOT NULL, key TEXT NOT NULL, profile TEXT NOT NULL, PRIMARY KEY (step, key)
) STRICT;

-- anomaly_marks_table: what people said of records, each once
CREATE TABLE IF NOT EXISTS anomaly_marks (
    key TEXT PRIMARY KEY, step TEXT NOT NULL, id TEXT NOT NULL, mark TEXT NOT NULL, by TEXT NOT NULL, run TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;

-- anomaly_begin: take the file for one change
BEGIN IMMEDIATE;

-- anomaly_commit: the change is whole
COMMIT;

-- anomaly_rollback: the change is not made
ROLLBACK;

-- anomaly_known: a record that was judged before
SELECT number, id, record, said, learned, mark FROM anomaly_records WHERE step = ? AND id = ?;

-- anomaly_add: a record with its judgement
INSERT INTO anomaly_records (step, id, record, said, at, run, learned)
VALUES (:step, :id, :record, :said, :at, :run, :learned);

-- anomaly_marked: a mark that is tried again
SELECT mark FROM anomaly_marks WHERE key = ?;

-- anomaly_mark: what somebody says of a record
INSERT INTO anomaly_marks (key, step, id, mark, by, run, at) VALUES (:key, :step, :id, :mark, :by, :run, :at);

-- anomaly_mark_record: which counts from now on
UPDATE anomaly_records SET mark = :mark, learned = :learned WHERE step = :step AND id = :id;

-- anomaly_learned: the records of a step that count as normal, in their order
SELECT number, record FROM anomaly_records WHERE step = :step AND learned = 1 AND number > :after ORDER BY number LIMIT :most;

-- anomaly_mark_count: how often something was marked
SELECT count(*) FROM anomaly_marks WHERE step = ?;

-- anomaly_profile: what was learned of a key
SELECT profile FROM anomaly_profiles WHERE step = ? AND key = ?;

-- anomaly_profile_keep: keep it
INSERT INTO anomaly_profiles (step, key, profile) VALUES (:step, :key, :profile)
ON CONFLICT (step, key) DO UPDATE SET profile = excluded.profile;

-- anomaly_profiles_drop: all that was learned of a step, to learn it anew
DELETE FROM anomaly_profiles WHERE step = ?;
