-- Everything the ERP is asked, one named statement each; parameters only.

-- add_vendor: master data
INSERT OR IGNORE INTO vendors (id, name, vat, iban, status, cost_centre, country, currency)
VALUES (:id, :name, :vat, :iban, :status, :cost_centre, :country, :currency);

-- add_vendor_name: a name under which the vendor is known
INSERT OR IGNORE INTO vendor_names (name_key, vendor_id) VALUES (:name_key, :vendor_id);

-- add_order: the head of a purchase order
INSERT OR IGNORE INTO orders (number_key, number, vendor_id, currency) VALUES (:number_key, :number, :vendor_id, :currency);

-- add_order_line: a line of a purchase order
INSERT OR IGNORE INTO order_lines (order_key, line, item, description, quantity, price, cost_centre)
VALUES (:order_key, :line, :item, :description, :quantity, :price, :cost_centre);

-- add_receipt: goods received on an order line
INSERT INTO receipts (order_key, line, quantity) VALUES (:order_key, :line, :quantity);

-- add_cost_centre: which cost centre pays for lines with this word
INSERT OR IGNORE INTO cost_centres (word, cost_centre) VALUES (:word, :cost_centre);

-- add_rate: what one unit of a currency is worth in euro
INSERT OR IGNORE INTO rates (currency, euro) VALUES (:currency, :euro);

-- add_fault: make an operation fail
INSERT INTO faults (operation, subject, kind, remaining, message) VALUES (:operation, :subject, :kind, :remaining, :message);

-- vendor_by_vat: the vendor with this tax number
SELECT * FROM vendors WHERE vat = :vat AND vat <> '';

-- vendor_by_iban: the vendor with this account
SELECT * FROM vendors WHERE iban = :iban AND iban <> '';

-- vendor_by_name: the vendor known under this name
SELECT vendors.* FROM vendor_names JOIN vendors ON vendors.id = vendor_names.vendor_id WHERE name_key = :name_key;

-- vendor_by_id: one vendor
SELECT * FROM vendors WHERE id = :id;

-- order_of_vendor: an order, if it is this vendor's
SELECT * FROM orders WHERE number_key = :number_key AND vendor_id = :vendor_id;

-- orders_of_vendor: all orders of a vendor
SELECT * FROM orders WHERE vendor_id = :vendor_id ORDER BY number_key;

-- invoices_of_vendor: what the books hold of a vendor, newest first
SELECT number, issued, total, currency, order_key AS po_number, status
FROM invoices WHERE vendor_id = :vendor_id ORDER BY issued DESC, id DESC;

-- all_vendors: the master data
SELECT * FROM vendors ORDER BY id;

-- order_lines: the lines of an order
SELECT * FROM order_lines WHERE order_key = :order_key ORDER BY line;

-- received: quantities received on an order, by receipt
SELECT line, quantity FROM receipts WHERE order_key = :order_key;

-- invoiced: quantities invoiced on an order by posted invoices
SELECT invoice_lines.order_line AS line, invoice_lines.quantity
FROM invoices JOIN invoice_lines ON invoice_lines.invoice_id = invoices.id
WHERE invoices.order_key = :order_key AND invoices.status = 'posted' AND invoice_lines.order_line IS NOT NULL;

-- cost_centres: the mapping of words to cost centres
SELECT word, cost_centre FROM cost_centres ORDER BY word;

-- rate: what a currency is worth in euro
SELECT euro FROM rates WHERE currency = :currency;

-- invoice_by_key: the invoice that was created under this idempotency key
SELECT * FROM invoices WHERE idempotency_key = :key;

-- invoice_by_id: one invoice
SELECT * FROM invoices WHERE id = :id;

-- invoice_by_number: the posted invoice that holds this number
SELECT * FROM invoices
WHERE vendor_id = :vendor_id AND number_key = :number_key AND separate = :separate AND status = 'posted';

-- add_invoice: post an invoice
INSERT INTO invoices (vendor_id, number, number_key, separate, issued, currency, total, order_key, document, idempotency_key)
VALUES (:vendor_id, :number, :number_key, :separate, :issued, :currency, :total, :order_key, :document, :key);

-- add_invoice_line: a line of a posted invoice
INSERT INTO invoice_lines (invoice_id, line, description, amount, quantity, order_line, cost_centre)
VALUES (:invoice_id, :line, :description, :amount, :quantity, :order_line, :cost_centre);

-- cancel_invoice: take a posting back; the row stays
UPDATE invoices SET status = 'cancelled' WHERE id = :id;

-- payment_by_key: the payment that was made under this idempotency key
SELECT * FROM payments WHERE idempotency_key = :key;

-- payment_of_invoice: the payment of an invoice
SELECT * FROM payments WHERE invoice_id = :invoice_id;

-- add_payment: pay an invoice
INSERT INTO payments (invoice_id, amount, currency, idempotency_key) VALUES (:invoice_id, :amount, :currency, :key);

-- add_alert: a message to people, once per key
INSERT OR IGNORE INTO alerts (recipient, subject, message, idempotency_key) VALUES (:recipient, :subject, :message, :key);

-- alert_by_key: the message that was sent under this idempotency key
SELECT id FROM alerts WHERE idempotency_key = :key;

-- alerts: every message, oldest first
SELECT * FROM alerts ORDER BY id;

-- posted: every posted invoice, oldest first
SELECT * FROM invoices WHERE status = 'posted' ORDER BY id;

-- held_twice: vendors' numbers, documents and payments that the books hold more than once; must be empty
SELECT 'number' AS what, vendor_id || ' ' || number_key AS name, count(*) AS times
FROM invoices WHERE status = 'posted' AND separate = '' GROUP BY vendor_id, number_key HAVING count(*) > 1
UNION ALL
SELECT 'document', document, count(*) FROM invoices WHERE status = 'posted' AND document <> '' GROUP BY document HAVING count(*) > 1
UNION ALL
SELECT 'payment', CAST(invoice_id AS TEXT), count(*) FROM payments GROUP BY invoice_id HAVING count(*) > 1;

-- entry_of: the latest entry of a document in the register of arrivals
SELECT * FROM arrivals WHERE digest = :digest ORDER BY entry DESC LIMIT 1;

-- entry_at: who has a place in the register
SELECT * FROM arrivals WHERE arrival = :arrival AND turn = 0;

-- last_arrival: the last place that is taken
SELECT coalesce(max(arrival), 0) AS arrival FROM arrivals;

-- next_turn: the next free turn at the end of the register
SELECT coalesce(max(turn), 0) + 1 AS turn FROM arrivals WHERE arrival = :arrival;

-- add_entry: take a place in the register
INSERT INTO arrivals (arrival, turn, digest, name, vendor_id, number_key)
VALUES (:arrival, :turn, :digest, :name, :vendor_id, :number_key);

-- first_gap: the first place below a limit that nobody has taken yet
WITH RECURSIVE places (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < :limit)
SELECT place FROM places
WHERE place <= :limit AND NOT EXISTS (SELECT 1 FROM arrivals WHERE arrivals.arrival = places.place AND arrivals.turn = 0)
LIMIT 1;

-- seen_before: earlier entries with the same vendor and number
SELECT name FROM arrivals
WHERE vendor_id = :vendor_id AND number_key = :number_key AND digest <> :digest
  AND (arrival < :arrival OR (arrival = :arrival AND turn < :turn))
ORDER BY arrival, turn;

-- in_books: posted invoices with the same vendor and number from before the register; what came through it, `seen_before` finds
SELECT * FROM invoices
WHERE vendor_id = :vendor_id AND number_key = :number_key AND status = 'posted' AND document <> :digest
  AND document NOT IN (SELECT digest FROM arrivals WHERE vendor_id = :vendor_id AND number_key = :number_key)
ORDER BY id;

-- refuse: count how often a claim had to wait
INSERT INTO refusals (digest, count) VALUES (:digest, 1) ON CONFLICT (digest) DO UPDATE SET count = count + 1 RETURNING count;

-- next_fault: the fault that strikes this operation on this subject
SELECT * FROM faults
WHERE operation = :operation AND (subject = '' OR subject = :subject) AND remaining <> 0 ORDER BY id LIMIT 1;

-- use_fault: it has struck once
UPDATE faults SET remaining = remaining - 1 WHERE id = :id AND remaining > 0;

-- clear_faults: the outage is over
DELETE FROM faults;
