-- Everything the helpdesk is asked, one named statement each; parameters only.

-- add_customer: master data
INSERT INTO customers (id, name, email, tier) VALUES (:id, :name, :email, :tier);

-- add_blocked_domain: nothing from there is worked on
INSERT INTO blocked_domains (domain) VALUES (:domain);

-- add_order: what a customer bought
INSERT INTO orders (number, customer, product, ordered, total, currency)
VALUES (:number, :customer, :product, :ordered, :total, :currency);

-- add_payment: how an order was paid
INSERT INTO payments (order_number, status, account) VALUES (:number, :status, :account);

-- add_subscription: what a customer subscribed to
INSERT INTO subscriptions (customer, plan, status, renews, terms) VALUES (:customer, :plan, 'active', :renews, :terms);

-- add_outage: let an operation fail so many times
INSERT OR REPLACE INTO outages (operation, remaining) VALUES (:operation, :times);

-- customer_by_email: whose address this is
SELECT * FROM customers WHERE email = :email;

-- customer_by_id: one customer
SELECT * FROM customers WHERE id = :id;

-- is_blocked: whether a domain is blocked
SELECT 1 AS blocked FROM blocked_domains WHERE domain = :domain;

-- orders: what the customer of a ticket bought, newest first; an order of another customer is not among them
SELECT orders.number, product, ordered, total, currency, payments.status AS payment
FROM tickets JOIN orders ON orders.customer = tickets.customer
JOIN payments ON payments.order_number = orders.number
WHERE tickets.id = :ticket ORDER BY ordered DESC, orders.number;

-- amounts_refunded: what was given back of an order
SELECT amount FROM refunds WHERE order_number = :number;

-- subscription: of the customer of a ticket
SELECT plan, subscriptions.status, renews, terms
FROM tickets JOIN subscriptions ON subscriptions.customer = tickets.customer WHERE tickets.id = :ticket;

-- letters: the thread of a ticket, oldest first
SELECT direction, subject, text FROM letters WHERE ticket = :ticket ORDER BY id;

-- newest_draft: the draft that counts
SELECT text FROM drafts WHERE ticket = :ticket ORDER BY id DESC LIMIT 1;

-- refunds_of_ticket: what was given back because of a ticket
SELECT amount FROM refunds WHERE ticket = :ticket;

-- history: what happened to a ticket
SELECT what FROM history WHERE ticket = :ticket ORDER BY id;

-- ticket: one ticket
SELECT * FROM tickets WHERE id = :ticket;

-- tickets: all tickets
SELECT * FROM tickets ORDER BY id;

-- ticket_by_key: what was opened under an idempotency key
SELECT id FROM tickets WHERE key = :key;

-- add_ticket: open a ticket
INSERT INTO tickets (customer, mail, subject, priority, due, key)
VALUES (:customer, :mail, :subject, :priority, :due, :key) RETURNING id;

-- route_ticket: say what it is about and who works on it
UPDATE tickets SET intent = :intent, sentiment = :sentiment, queue = :queue WHERE id = :ticket;

-- set_status: how a ticket stands
UPDATE tickets SET status = :status WHERE id = :ticket;

-- raise_priority: it must be answered first
UPDATE tickets SET priority = 'high' WHERE id = :ticket AND status = 'open';

-- add_letter: a mail of the thread, once per key
INSERT OR IGNORE INTO letters (ticket, direction, subject, text, key)
VALUES (:ticket, :direction, :subject, :text, :key);

-- add_draft: a reply that nobody has sent, once per key
INSERT OR IGNORE INTO drafts (ticket, text, key) VALUES (:ticket, :text, :key);

-- draft_by_key: what was drafted under an idempotency key
SELECT id FROM drafts WHERE key = :key;

-- refund_by_key: what was refunded under an idempotency key
SELECT id FROM refunds WHERE key = :key;

-- add_refund: give money back to the account from which it came
INSERT INTO refunds (ticket, order_number, amount, currency, account, key)
SELECT :ticket, :number, :amount, :currency, account, :key FROM payments WHERE order_number = :number RETURNING id;

-- refunds: everything that was given back
SELECT order_number, amount, currency, account FROM refunds ORDER BY id;

-- add_outgoing: a mail to the customer of a ticket, once per key; the address is the one that we know
INSERT OR IGNORE INTO outgoing (ticket, recipient, subject, text, key)
SELECT tickets.id, customers.email, :subject, :text, :key
FROM tickets JOIN customers ON customers.id = tickets.customer WHERE tickets.id = :ticket;

-- outgoing_by_key: the mail under an idempotency key
SELECT id, ticket, recipient, subject, text, status FROM outgoing WHERE key = :key;

-- set_outgoing: how far a mail has come
UPDATE outgoing SET status = :status WHERE key = :key;

-- outgoing: all mail that was to leave
SELECT recipient, subject, text, status FROM outgoing ORDER BY id;

-- add_history: a line of a ticket's history
INSERT INTO history (ticket, what) VALUES (:ticket, :what);

-- add_alert: tell somebody of the house, once per key
INSERT OR IGNORE INTO alerts (recipient, message, key) VALUES (:recipient, :message, :key);

-- alerts: what the house was told
SELECT recipient, message FROM alerts ORDER BY id;

-- take_outage: use up one failure; no row when the operation works
UPDATE outages SET remaining = remaining - 1 WHERE operation = :operation AND remaining > 0 RETURNING remaining;
