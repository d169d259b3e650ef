-- Signed checkpoints over the Merkle tree of all events, as they were given out. Each is also on the system's own chain.

CREATE TABLE checkpoints (
    size    INTEGER PRIMARY KEY,            -- how many events it covers: those up to this position
    note    TEXT NOT NULL,                  -- C2SP tlog-checkpoint as a signed note
    made_at TEXT NOT NULL
) STRICT;
