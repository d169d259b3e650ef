-- Every statement that reads or changes one thing. `-- name: purpose` heads each; parameters only, never text.
-- Multi-row inserts of a commit are built in journal.py, because their length varies.

-- take_ownership: fence out any process that opened the store before us
UPDATE owner SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch;

-- epoch: who owns the store now
SELECT epoch FROM owner WHERE id = 1;

-- last_commit: where the chain over all runs stands
SELECT id, last, hash FROM commits ORDER BY id DESC LIMIT 1;

-- last_position: the newest event
SELECT coalesce(max(position), 0) FROM events;

-- newest_at: the newest time that any event carries near the tail
SELECT max(json_extract(body, '$.at')) FROM (SELECT body FROM events ORDER BY position DESC LIMIT 50)
WHERE json_valid(body) AND json_extract(body, '$.at') GLOB '[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-9][0-9]*Z';

-- delete_wait: this wait is over
DELETE FROM waits WHERE run = ? AND command = ?;

-- events_of_run: the journal of one run
SELECT seq, kind, body, hash FROM events WHERE run = ? ORDER BY seq;

-- events_of_run_after: what a run's journal gained
SELECT seq, kind, body, hash FROM events WHERE run = ? AND seq > ? ORDER BY seq;

-- events_after: the whole journal in order of commit
SELECT position, run, seq, kind, body, hash FROM events WHERE position > ? ORDER BY position LIMIT ?;

-- commits_all: the chain over all runs
SELECT id, last, hash FROM commits ORDER BY id;

-- head_of_run: where a run's chain stands
SELECT seq, hash FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1;

-- run: one run
SELECT * FROM runs WHERE id = ?;

-- run_waiting: one run beside each of its waits
SELECT runs.*, waits.* FROM runs LEFT JOIN waits ON waits.run = runs.id WHERE runs.id = ? ORDER BY waits.command;

-- runs_like: runs whose id begins or ends with a text
SELECT * FROM runs WHERE id GLOB ? || '*' OR id GLOB '*' || ? LIMIT 2;

-- run_by_key: the run that a key already started
SELECT * FROM runs WHERE workflow = ? AND key = ?;

-- runs: runs, newest first
SELECT * FROM runs
WHERE (:status IS NULL OR status = :status) AND (:workflow IS NULL OR workflow = :workflow)
  AND (:before IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit;

-- runs_by_status: how many runs stand where
SELECT workflow, status, count(*) AS runs FROM runs GROUP BY workflow, status ORDER BY workflow, status;

-- runs_to_resume: runs that a stopped worker left in the middle
SELECT id FROM runs WHERE status = 'running';

-- children_ended: parents that have not heard yet how their child ended
SELECT waits.run AS parent, waits.command AS command, runs.id AS child
FROM waits JOIN runs ON runs.id = waits.subject
WHERE waits.kind = 'child' AND runs.status IN ('finished', 'failed', 'cancelled');

-- children_of: runs that a run started
SELECT * FROM runs WHERE parent = ? ORDER BY id;

-- waits_of_run: what one run waits for
SELECT * FROM waits WHERE run = ? ORDER BY command;

-- wait: one wait
SELECT * FROM waits WHERE run = ? AND command = ?;

-- waits: everything that waits, the soonest due first
SELECT waits.*, runs.workflow AS workflow FROM waits JOIN runs ON runs.id = waits.run
WHERE (:queue IS NULL OR queue = :queue) AND (:kind IS NULL OR kind = :kind) AND (:action IS NULL OR subject = :action)
  AND (:people = 0 OR queue <> '')
ORDER BY priority DESC, coalesce(due_at, '9'), opened_at, run, command LIMIT :limit;

-- queues_with_items: the queues in which something lies, by leaps through the index
WITH RECURSIVE q (name) AS (
    SELECT min(queue) FROM waits WHERE queue <> ''
    UNION ALL
    SELECT (SELECT min(queue) FROM waits WHERE queue <> '' AND queue > q.name) FROM q WHERE q.name IS NOT NULL
)
SELECT name FROM q WHERE name IS NOT NULL;

-- inbox: what lies in one queue, the most urgent first
SELECT * FROM waits WHERE queue = :queue AND queue <> '' AND (:kind IS NULL OR kind = :kind)
ORDER BY priority DESC, coalesce(due_at, '9'), opened_at, run, command LIMIT :limit;

-- waits_on: what waits on one action or child in one way, oldest first
SELECT run, command FROM waits WHERE subject = ? AND kind = ? ORDER BY opened_at, run LIMIT ?;

-- waits_of_kind: what waits in one way, oldest first
SELECT run, command, subject FROM waits WHERE kind = ? ORDER BY opened_at, run;

-- retries_pending: whether any failed call is about to be tried again by itself
SELECT 1 FROM waits JOIN runs ON runs.id = waits.run WHERE waits.kind = 'retry' AND runs.status <> 'attention' LIMIT 1;

-- queue_counts: what lies in each queue
SELECT queue, kind, count(*) AS items, count(claimed_by) AS claimed, min(opened_at) AS oldest,
       sum(due_at IS NOT NULL AND due_at < :now) AS overdue
FROM waits WHERE queue <> '' GROUP BY queue, kind ORDER BY queue, kind;

-- next_wake: when the next timer is due; a run that needs attention has none
SELECT wake_at FROM waits JOIN runs ON runs.id = waits.run
WHERE wake_at IS NOT NULL AND runs.status <> 'attention' ORDER BY wake_at LIMIT 1;

-- due: runs whose timer has come
SELECT DISTINCT run FROM waits JOIN runs ON runs.id = waits.run
WHERE wake_at <= ? AND runs.status <> 'attention' LIMIT ?;

-- definition: a stored definition
SELECT version, name, text, stored_at FROM definitions WHERE version = ?;

-- definitions: all stored definitions
SELECT version, name, stored_at FROM definitions ORDER BY name, stored_at;

-- blob: a large value
SELECT data FROM blobs WHERE digest = ?;

-- blobs_named: those of some large values whose rows are not longer than this
SELECT digest, data FROM blobs WHERE digest IN (SELECT value FROM json_each(?)) AND length(data) <= ?;

-- sealed_any: whether anything was ever sealed
SELECT 1 FROM sealed LIMIT 1;

-- sealed: a private value
SELECT cipher FROM sealed WHERE token = ?;

-- system_events: what the system recorded about a kind of thing
SELECT kind, body FROM events WHERE run = 'system' AND json_valid(body) AND json_extract(body, '$.what') = ? ORDER BY seq;

-- commits_after: the chain over all runs, a page at a time
SELECT id, last, hash FROM commits WHERE id > ? ORDER BY id LIMIT ?;

-- event_at: where one event of a run stands
SELECT position, kind, hash FROM events WHERE run = ? AND seq = ?;

-- runs_after: rows of runs, a page at a time
SELECT id, status, seq, head FROM runs WHERE id > ? ORDER BY id LIMIT ?;

-- blobs_after: large values, a page at a time
SELECT rowid AS number, digest, data FROM blobs WHERE rowid > ? ORDER BY rowid LIMIT ?;

-- blob_exists: whether a large value is there
SELECT 1 FROM blobs WHERE digest = ?;

-- event_body: one event of a run
SELECT kind, body FROM events WHERE run = ? AND seq = ?;

-- --- human work, and the watchdog ---

-- votes_on: what was asked about one item, and what several people said to it, in order
SELECT kind, body FROM events
WHERE run = ? AND kind IN ('approval_requested', 'vote_cast') AND json_extract(body, '$.command') = ? ORDER BY seq;

-- waits_listed: everything that waits, people and not, the next to happen by itself first
SELECT * FROM waits
ORDER BY wake_at IS NULL, wake_at, due_at IS NULL, due_at, opened_at, run, command LIMIT ?;

-- waiting_for_nothing: runs that wait or need attention, with nothing that could bring them on
SELECT id, status, updated_at FROM runs
WHERE status IN ('waiting', 'attention') AND NOT EXISTS (
    SELECT 1 FROM waits WHERE run = runs.id AND kind <> 'deadline' AND (runs.status = 'waiting' OR kind = 'attention')
) ORDER BY id;

-- waits_of_no_run: waits whose run has ended or was never there
SELECT waits.run, waits.command, waits.kind, runs.status FROM waits LEFT JOIN runs ON runs.id = waits.run
WHERE runs.id IS NULL OR runs.status IN ('finished', 'failed', 'cancelled') ORDER BY waits.run, waits.command;

-- waits_of_nobody: what only a person can end, and lies in no queue
SELECT run, command, kind FROM waits
WHERE queue = '' AND kind NOT IN ('signal', 'timer', 'retry', 'child', 'deadline') ORDER BY run, command;

-- waits_for_children: child waits, with how and when the child ended; its columns are null when there is no such run
SELECT waits.run, waits.command, waits.subject, runs.status, runs.updated_at
FROM waits LEFT JOIN runs ON runs.id = waits.subject
WHERE waits.kind = 'child' AND (runs.id IS NULL OR runs.status IN ('finished', 'failed', 'cancelled'))
ORDER BY waits.run, waits.command;

-- waits_without_moment: what only the clock can end, and that it never looks at
SELECT run, command, kind FROM waits
WHERE wake_at IS NULL AND kind IN ('timer', 'retry', 'deadline') ORDER BY run, command;

-- overdue: what should have been looked at before a moment
SELECT waits.run, waits.command, waits.kind, waits.wake_at FROM waits JOIN runs ON runs.id = waits.run
WHERE wake_at < ? AND runs.status = 'waiting' ORDER BY waits.run, waits.command;

-- runs_waiting: runs that wait, a page at a time
SELECT id FROM runs WHERE status = 'waiting' AND id > ? ORDER BY id LIMIT ?;

-- --- checkpoints and case files ---

-- leaves_after: what the Merkle tree is made of, a page at a time
SELECT position, seq, hash, run FROM events WHERE position > ? AND position <= ? ORDER BY position LIMIT ?;

-- keeps_checkpoints: whether the store is of a version that keeps any
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'checkpoints';

-- checkpoints: signed checkpoints, oldest first
SELECT size, note, made_at FROM checkpoints ORDER BY size;

-- records_of_run: the journal of one run with its places in the log
SELECT position, seq, kind, body, hash FROM events WHERE run = ? AND position <= ? ORDER BY seq;

-- runs_below: a run and every run that it or its children started, oldest first
WITH RECURSIVE below (id) AS (
    SELECT ? UNION SELECT runs.id FROM runs JOIN below ON runs.parent = below.id
)
SELECT runs.* FROM runs JOIN below ON runs.id = below.id ORDER BY runs.id;

-- directory_events: who was registered, revoked or given a substitute, with the place in the log
SELECT position, kind, body FROM events
WHERE run = 'system' AND json_valid(body) AND json_extract(body, '$.what') IN ('principal', 'delegation') ORDER BY seq;

-- Keys of people, and what is sealed under them. Tokens name a person as @ID, or @ID+ID where a value is about several.

-- person_of: under which id a person's key lies
SELECT id FROM person_keys WHERE person = ?;

-- person_key: one person's key, null once it is erased
SELECT wrapped FROM person_keys WHERE id = ?;

-- keeps_people: whether the store is of a version that has keys of people
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'person_keys';

-- people_erased: whose keys are gone
SELECT id FROM person_keys WHERE wrapped IS NULL;

-- sealed_under: how many values a person's key seals
SELECT count(*) FROM sealed WHERE instr(token, ?) > 0;

-- runs_about: runs that hold any of a person's values
SELECT id, workflow, status FROM runs
WHERE EXISTS (SELECT 1 FROM events WHERE events.run = runs.id AND instr(body, ?) > 0) ORDER BY id;

-- runs_about_after: runs that got any of a person's values after a position
SELECT DISTINCT run FROM events WHERE position > ? AND instr(body, ?) > 0;

-- sealed_after: pseudonyms of private values, a page at a time
SELECT token FROM sealed WHERE token > ? ORDER BY token LIMIT ?;

-- must_scrub: whether what was taken away may still lie in the file's free space
PRAGMA user_version;

-- mark_to_scrub: it does from this commit on
PRAGMA user_version = 1;

-- scrubbed: it does not any more
PRAGMA user_version = 0;

-- vacuum: write the whole file anew
VACUUM;

-- checkpoint: fold the log into the file and empty it
PRAGMA wal_checkpoint(TRUNCATE);

-- --- what agents did, and drills ---

-- moment_at: when the next event from a position on was recorded
SELECT json_extract(body, '$.at') FROM events WHERE position >= ? AND json_valid(body) ORDER BY position LIMIT 1;

-- drill_begun: where the last record about drills of a scope stands
SELECT coalesce(max(position), 0) FROM events WHERE run = 'system' AND json_valid(body)
  AND json_extract(body, '$.what') = 'drill' AND json_extract(body, '$.subject') = ?;

-- definition_text: the text of a stored definition
SELECT text FROM definitions WHERE version = ?;

-- calls_after: what was called, and what was kept back, from a position on
SELECT run, kind, body FROM events
WHERE position > ? AND kind IN ('call_intended', 'call_returned', 'call_queued') ORDER BY position;

-- spent_after: what calls used up in runs that act for agents, from a position on, beside how the run began
SELECT events.run, events.kind, events.body, began.body AS began, coalesce(json_extract(definitions.text, '$.agent'), '') AS agent
FROM events JOIN events AS began ON began.run = events.run AND began.seq = 1 AND began.kind = 'run_started'
JOIN definitions ON definitions.version = json_extract(began.body, '$.version')
WHERE events.position >= ? AND (agent <> '' OR json_extract(began.body, '$.acting') IS NOT NULL)
  AND events.kind IN ('call_intended', 'call_returned', 'attempt_failed', 'call_failed', 'call_queued')
ORDER BY events.position;

-- conduct_after: what was proposed, decided and done in runs that act for agents, from a position on, beside how the run began
SELECT events.run, events.kind, events.body, began.body AS began, coalesce(json_extract(definitions.text, '$.agent'), '') AS agent
FROM events JOIN events AS began ON began.run = events.run AND began.seq = 1 AND began.kind = 'run_started'
JOIN definitions ON definitions.version = json_extract(began.body, '$.version')
WHERE events.position >= ? AND (agent <> '' OR json_extract(began.body, '$.acting') IS NOT NULL)
  AND events.kind IN ('call_intended', 'approval_requested', 'approval_decided')
ORDER BY events.position;
