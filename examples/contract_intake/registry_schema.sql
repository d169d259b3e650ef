-- The contract registry of the example: what was offered, how it stands, and who signed, in one SQLite file.
--
-- A contract is entered once under its reference. It is signed at most once, for the text with the digest that was entered; a
-- signature is never changed or deleted. Every write carries an idempotency key or is the same when it is repeated.

CREATE TABLE contracts (
    reference    TEXT PRIMARY KEY,
    title        TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    requester    TEXT NOT NULL,
    value        TEXT NOT NULL,
    valid_until  TEXT NOT NULL,
    text         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'signed', 'stopped', 'rejected', 'expired', 'dropped', 'withdrawn'))
) STRICT, WITHOUT ROWID;

CREATE TABLE signatures (
    id        INTEGER PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE REFERENCES contracts (reference),
    text      TEXT NOT NULL,
    key       TEXT NOT NULL UNIQUE
) STRICT;
