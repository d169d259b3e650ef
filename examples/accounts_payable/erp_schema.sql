-- The ERP of the example: a small ledger for purchasing and payables in one SQLite file.
--
-- Vendors have orders, orders have lines and receipts; an invoice is posted once per vendor and number; a payment settles one
-- invoice. Every write carries the caller's idempotency key, and the key is unique: a second call with it finds the first one's row.
-- `arrivals` is the register of incoming invoices: who came when, and which vendor and number it was read as.
-- `faults` makes the ERP fail on purpose, for the demo and for tests. Amounts are decimal text, never binary floats.

CREATE TABLE vendors (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    vat         TEXT NOT NULL DEFAULT '',
    iban        TEXT NOT NULL DEFAULT '',
    status      TEXT NOT NULL CHECK (status IN ('active', 'blocked')),
    cost_centre TEXT NOT NULL,
    country     TEXT NOT NULL,
    currency    TEXT NOT NULL
) STRICT;

CREATE TABLE vendor_names (
    name_key  TEXT PRIMARY KEY,
    vendor_id TEXT NOT NULL REFERENCES vendors (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    number_key TEXT PRIMARY KEY,
    number     TEXT NOT NULL,
    vendor_id  TEXT NOT NULL REFERENCES vendors (id),
    currency   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE order_lines (
    order_key   TEXT NOT NULL REFERENCES orders (number_key),
    line        INTEGER NOT NULL,
    item        TEXT NOT NULL,
    description TEXT NOT NULL,
    quantity    TEXT NOT NULL,
    price       TEXT NOT NULL,
    cost_centre TEXT NOT NULL,
    PRIMARY KEY (order_key, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    id        INTEGER PRIMARY KEY,
    order_key TEXT NOT NULL,
    line      INTEGER NOT NULL,
    quantity  TEXT NOT NULL,
    FOREIGN KEY (order_key, line) REFERENCES order_lines (order_key, line)
) STRICT;

CREATE TABLE invoices (
    id              INTEGER PRIMARY KEY,
    vendor_id       TEXT NOT NULL REFERENCES vendors (id),
    number          TEXT NOT NULL,
    number_key      TEXT NOT NULL,
    separate        TEXT NOT NULL DEFAULT '',  -- the document's digest, when a person said that the number is taken by another invoice
    issued          TEXT NOT NULL,
    currency        TEXT NOT NULL,
    total           TEXT NOT NULL,
    order_key       TEXT NOT NULL DEFAULT '',
    document        TEXT NOT NULL DEFAULT '',
    status          TEXT NOT NULL DEFAULT 'posted' CHECK (status IN ('posted', 'cancelled')),
    idempotency_key TEXT NOT NULL UNIQUE
) STRICT;

CREATE UNIQUE INDEX invoice_numbers ON invoices (vendor_id, number_key, separate) WHERE status = 'posted';

CREATE TABLE invoice_lines (
    invoice_id  INTEGER NOT NULL REFERENCES invoices (id),
    line        INTEGER NOT NULL,
    description TEXT NOT NULL,
    amount      TEXT NOT NULL,
    quantity    TEXT NOT NULL,
    order_line  INTEGER,
    cost_centre TEXT NOT NULL,
    PRIMARY KEY (invoice_id, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
    id              INTEGER PRIMARY KEY,
    invoice_id      INTEGER NOT NULL UNIQUE REFERENCES invoices (id),
    amount          TEXT NOT NULL,
    currency        TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE alerts (
    id              INTEGER PRIMARY KEY,
    recipient       TEXT NOT NULL,
    subject         TEXT NOT NULL,
    message         TEXT NOT NULL,
    idempotency_key TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE cost_centres (
    word        TEXT PRIMARY KEY,
    cost_centre TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rates (
    currency TEXT PRIMARY KEY,
    euro     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE arrivals (
    entry      INTEGER PRIMARY KEY,
    arrival    INTEGER NOT NULL,
    turn       INTEGER NOT NULL,  -- 0: read by machine on arrival; later turns were added at the end by people's corrections
    digest     TEXT NOT NULL,     -- empty: passed over, because its reading did not end in time
    name       TEXT NOT NULL,
    vendor_id  TEXT,
    number_key TEXT NOT NULL DEFAULT '',
    UNIQUE (arrival, turn)
) STRICT;

CREATE INDEX arrivals_by_digest ON arrivals (digest);
CREATE INDEX arrivals_by_number ON arrivals (vendor_id, number_key);

CREATE TABLE refusals (
    digest TEXT PRIMARY KEY,
    count  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE faults (
    id        INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    subject   TEXT NOT NULL,  -- a vendor's id or an invoice's number; empty for every one
    kind      TEXT NOT NULL CHECK (kind IN ('raise', 'hang', 'late', 'rubbish', 'half')),
    remaining INTEGER NOT NULL,  -- how often it will still fail; -1 for ever
    message   TEXT NOT NULL
) STRICT;
