-- A key for each person whose values are sealed, so that all of them can be made unreadable at once.

CREATE TABLE person_keys (
    id      TEXT PRIMARY KEY,               -- random: what tokens and the journal call the person by
    person  TEXT,                           -- keyed digest of the person's name; null once erased
    wrapped BLOB                            -- the person's key under the installation's, AES-256-GCM, nonce first; null once erased
) STRICT, WITHOUT ROWID;
CREATE INDEX person_keys_by_person ON person_keys (person) WHERE person IS NOT NULL;
