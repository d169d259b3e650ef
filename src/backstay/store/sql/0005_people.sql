-- What an item of human work needs besides who claimed it.

ALTER TABLE waits ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;     -- higher comes first
ALTER TABLE waits ADD COLUMN claimed_until TEXT;                      -- when the claim lapses by itself
ALTER TABLE waits ADD COLUMN assigned TEXT NOT NULL DEFAULT '';       -- the one person it is meant for
ALTER TABLE waits ADD COLUMN asked_at TEXT;                           -- its clock stands still since then

-- An inbox is read in this order, a page at a time, however long it is.
DROP INDEX waits_by_queue;
CREATE INDEX waits_in_order ON waits (queue, priority DESC, coalesce(due_at, '9'), opened_at, run, command) WHERE queue <> '';
