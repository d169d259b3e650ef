-- The HR system of the example: people, what they are entitled to, and the leave that is booked, in one SQLite file.
--
-- A booking is made once per idempotency key and is never deleted: cancelling it only says so. Annual leave that is booked
-- and not cancelled counts against the entitlement of the year in which it begins. Days are ISO dates, both ends included.

CREATE TABLE sites (
    name TEXT PRIMARY KEY,
    zone TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE holidays (
    site TEXT NOT NULL REFERENCES sites (name),
    day  TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (site, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE blackouts (
    site  TEXT NOT NULL REFERENCES sites (name),
    first TEXT NOT NULL,
    last  TEXT NOT NULL,
    why   TEXT NOT NULL,
    PRIMARY KEY (site, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE people (
    name       TEXT PRIMARY KEY,
    site       TEXT NOT NULL REFERENCES sites (name),
    decided_in TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE entitlements (
    person TEXT NOT NULL REFERENCES people (name),
    year   INTEGER NOT NULL,
    days   INTEGER NOT NULL,
    PRIMARY KEY (person, year)
) STRICT, WITHOUT ROWID;

CREATE TABLE bookings (
    id        INTEGER PRIMARY KEY,
    person    TEXT NOT NULL REFERENCES people (name),
    kind      TEXT NOT NULL CHECK (kind IN ('annual', 'unpaid', 'special')),
    first     TEXT NOT NULL,
    last      TEXT NOT NULL,
    days      INTEGER NOT NULL CHECK (days > 0),
    cancelled INTEGER NOT NULL DEFAULT 0,
    key       TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE messages (
    id        INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    subject   TEXT NOT NULL,
    body      TEXT NOT NULL,
    key       TEXT NOT NULL UNIQUE
) STRICT;
