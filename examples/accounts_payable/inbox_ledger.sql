-- The intake's ledger: which contents arrived in which order, and which of them have a case.
--
-- One row per content (by digest), whatever names it came under; `arrival` is dense and never changes. A row is written before the
-- case is started, and `acknowledged` is set after the engine has confirmed the start: in between, the start is simply repeated.

-- create: the ledger
CREATE TABLE IF NOT EXISTS ledger (
    arrival      INTEGER PRIMARY KEY,
    digest       TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    path         TEXT NOT NULL,
    size         INTEGER NOT NULL,
    media_type   TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0
) STRICT;

-- add: a content that arrived for the first time
INSERT OR IGNORE INTO ledger (arrival, digest, name, path, size, media_type)
VALUES ((SELECT coalesce(max(arrival), 0) + 1 FROM ledger), :digest, :name, :path, :size, :media_type);

-- waiting: contents without a confirmed case, in the order of their arrival
SELECT digest, name, path, size, media_type, arrival FROM ledger WHERE acknowledged = 0 ORDER BY arrival;

-- acknowledge: the engine has confirmed the case
UPDATE ledger SET acknowledged = 1 WHERE digest = :digest;

-- arrived: every content that ever arrived, in order
SELECT digest, name, path, size, media_type, arrival FROM ledger ORDER BY arrival;
