-- The store of one Backstay installation.
--
-- `events` is the truth: one append-only log, hash-chained per run, and by `commits` over all runs in the order in
-- which they were committed. `runs` and `waits` are readings of it that are kept in the same transaction, so that a
-- parked run costs two rows and nothing else. `blobs` and `sealed` hold what is too large or too private for an event.

CREATE TABLE owner (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL                  -- raised by each process that opens the store for writing; checked in every commit
) STRICT;
INSERT INTO owner VALUES (1, 0);

CREATE TABLE events (
    position INTEGER PRIMARY KEY,           -- order of commit over all runs, without gaps
    run      TEXT    NOT NULL,
    seq      INTEGER NOT NULL,              -- order within the run, from 1, without gaps
    kind     TEXT    NOT NULL,
    body     TEXT    NOT NULL,              -- JSON, exactly the bytes that were hashed
    hash     BLOB    NOT NULL               -- SHA-256 over the previous hash of the run, run, seq, kind, body
) STRICT;
CREATE UNIQUE INDEX events_by_run ON events (run, seq);

CREATE TABLE commits (
    id   INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,                  -- position of the last event in this commit
    hash BLOB    NOT NULL                   -- SHA-256 over the previous commit's hash and the hashes of its events
) STRICT;

CREATE TABLE runs (
    id             TEXT PRIMARY KEY,
    workflow       TEXT NOT NULL,
    version        TEXT NOT NULL,
    status         TEXT NOT NULL,           -- running | waiting | attention | finished | failed | cancelled
    key            TEXT,                    -- idempotent start: one run per workflow and key
    parent         TEXT,
    parent_command TEXT,
    requester      TEXT NOT NULL,
    started_at     TEXT NOT NULL,
    updated_at     TEXT NOT NULL,
    seq            INTEGER NOT NULL,        -- last event when this row was written
    head           BLOB NOT NULL,           -- its hash
    summary        TEXT                     -- one line for lists: how it ended or what is wrong
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX runs_by_key ON runs (workflow, key) WHERE key IS NOT NULL;
CREATE INDEX runs_open ON runs (status) WHERE status IN ('running', 'attention');
CREATE INDEX runs_by_status ON runs (status, id);
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;

CREATE TABLE waits (
    run        TEXT NOT NULL,
    command    TEXT NOT NULL,
    kind       TEXT NOT NULL,               -- one of views.WaitKind
    queue      TEXT NOT NULL,               -- owned queue, or '' when the outside is not a person
    title      TEXT NOT NULL,
    opened_at  TEXT NOT NULL,
    due_at     TEXT,                        -- when it is overdue
    wake_at    TEXT,                        -- when the engine must look at the run again
    claimed_by TEXT,
    requester  TEXT NOT NULL,
    subject    TEXT NOT NULL,               -- the action concerned, or the child run, or ''
    PRIMARY KEY (run, command)
) STRICT, WITHOUT ROWID;
CREATE INDEX waits_by_wake ON waits (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX waits_by_queue ON waits (queue, kind, opened_at) WHERE queue <> '';
CREATE INDEX waits_by_subject ON waits (subject, kind) WHERE subject <> '';

CREATE TABLE definitions (
    version   TEXT PRIMARY KEY,             -- SHA-256 of text
    name      TEXT NOT NULL,
    text      TEXT NOT NULL,
    stored_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    digest TEXT PRIMARY KEY,                -- SHA-256 of data
    data   BLOB NOT NULL
) STRICT;

CREATE TABLE sealed (
    token  TEXT PRIMARY KEY,                -- keyed pseudonym, the same for the same value
    cipher BLOB NOT NULL                    -- AES-256-GCM, nonce first, the token as associated data
) STRICT, WITHOUT ROWID;
