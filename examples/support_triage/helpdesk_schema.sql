-- The helpdesk of the example: customers, what they bought, their tickets, and the mail that leaves, in one SQLite file.
--
-- Every write of the process carries a key and happens once per key. Money is decimal text. `history` tells what happened
-- to a ticket, in order. A mail in `outgoing` is queued, then sending, then sent: one that stays at sending may have left.

CREATE TABLE customers (
    id    TEXT PRIMARY KEY,
    name  TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    tier  TEXT NOT NULL CHECK (tier IN ('standard', 'business', 'enterprise'))
) STRICT, WITHOUT ROWID;

CREATE TABLE blocked_domains (
    domain TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    number   TEXT PRIMARY KEY,
    customer TEXT NOT NULL REFERENCES customers (id),
    product  TEXT NOT NULL,
    ordered  TEXT NOT NULL,
    total    TEXT NOT NULL,
    currency TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
    order_number TEXT PRIMARY KEY REFERENCES orders (number),
    status       TEXT NOT NULL CHECK (status IN ('paid', 'open', 'failed')),
    account      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriptions (
    customer TEXT PRIMARY KEY REFERENCES customers (id),
    plan     TEXT NOT NULL,
    status   TEXT NOT NULL CHECK (status IN ('active', 'cancelled')),
    renews   TEXT NOT NULL,
    terms    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tickets (
    id        INTEGER PRIMARY KEY,
    customer  TEXT NOT NULL REFERENCES customers (id),
    mail      TEXT NOT NULL,
    subject   TEXT NOT NULL,
    intent    TEXT NOT NULL DEFAULT '',
    sentiment TEXT NOT NULL DEFAULT '',
    queue     TEXT NOT NULL DEFAULT 'triage',
    priority  TEXT NOT NULL CHECK (priority IN ('normal', 'high')),
    due       TEXT NOT NULL,
    status    TEXT NOT NULL DEFAULT 'open',
    key       TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE letters (
    id        INTEGER PRIMARY KEY,
    ticket    INTEGER NOT NULL REFERENCES tickets (id),
    direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
    subject   TEXT NOT NULL,
    text      TEXT NOT NULL,
    key       TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE drafts (
    id     INTEGER PRIMARY KEY,
    ticket INTEGER NOT NULL REFERENCES tickets (id),
    text   TEXT NOT NULL,
    key    TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE refunds (
    id           INTEGER PRIMARY KEY,
    ticket       INTEGER NOT NULL REFERENCES tickets (id),
    order_number TEXT NOT NULL REFERENCES orders (number),
    amount       TEXT NOT NULL,
    currency     TEXT NOT NULL,
    account      TEXT NOT NULL,
    key          TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE outgoing (
    id        INTEGER PRIMARY KEY,
    ticket    INTEGER NOT NULL REFERENCES tickets (id),
    recipient TEXT NOT NULL,
    subject   TEXT NOT NULL,
    text      TEXT NOT NULL,
    status    TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sending', 'sent')),
    key       TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE history (
    id     INTEGER PRIMARY KEY,
    ticket INTEGER NOT NULL REFERENCES tickets (id),
    what   TEXT NOT NULL
) STRICT;

CREATE TABLE alerts (
    id        INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    message   TEXT NOT NULL,
    key       TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE outages (
    operation TEXT PRIMARY KEY,
    remaining INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
