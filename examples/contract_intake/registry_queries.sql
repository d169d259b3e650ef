-- Everything the registry is asked, one named statement each; parameters only.

-- add_contract: enter an offer
INSERT OR IGNORE INTO contracts (reference, title, counterparty, requester, value, valid_until, text, state)
VALUES (:reference, :title, :counterparty, :requester, :value, :valid_until, :text, 'open');

-- contract: one contract
SELECT reference, counterparty, value, text, state FROM contracts WHERE reference = :reference;

-- set_state: say how an open contract ended
UPDATE contracts SET state = :state WHERE reference = :reference AND state = 'open';

-- signature_by_key: what was signed under an idempotency key
SELECT id FROM signatures WHERE key = :key;

-- add_signature: sign
INSERT INTO signatures (reference, text, key) VALUES (:reference, :text, :key) RETURNING id;

-- contracts: how everything stands
SELECT reference, state FROM contracts ORDER BY reference;

-- signatures: what is signed
SELECT reference, text FROM signatures ORDER BY id;
