-- Everything the HR system is asked, one named statement each; parameters only.

-- add_site: master data
INSERT INTO sites (name, zone) VALUES (:name, :zone);

-- add_holiday: a day on which a site does not work
INSERT INTO holidays (site, day, name) VALUES (:site, :day, :name);

-- add_blackout: days on which nobody of a site should be away
INSERT INTO blackouts (site, first, last, why) VALUES (:site, :first, :last, :why);

-- add_person: an employee and the queue of those who decide about their leave
INSERT INTO people (name, site, decided_in) VALUES (:name, :site, :decided_in);

-- add_entitlement: days of annual leave in a year
INSERT INTO entitlements (person, year, days) VALUES (:person, :year, :days);

-- person: one employee
SELECT name, site, decided_in FROM people WHERE name = :name;

-- zone: where the clocks of an employee's site stand
SELECT zone FROM sites JOIN people ON people.site = sites.name WHERE people.name = :person;

-- holidays: of an employee's site, between two days
SELECT day FROM holidays JOIN people ON people.site = holidays.site
WHERE people.name = :person AND day BETWEEN :first AND :last;

-- blackouts: of an employee's site, that touch the days from first to last
SELECT why FROM blackouts JOIN people ON people.site = blackouts.site
WHERE people.name = :person AND blackouts.first <= :last AND blackouts.last >= :first ORDER BY blackouts.first;

-- left: days of a year's annual leave that are not booked
SELECT
    coalesce((SELECT days FROM entitlements WHERE person = :person AND year = :year), 0)
    - coalesce((SELECT sum(days) FROM bookings WHERE person = :person AND kind = 'annual' AND NOT cancelled
                AND CAST(substr(first, 1, 4) AS INTEGER) = :year), 0) AS days;

-- booked: leave of a person that touches the days from first to last
SELECT kind, first, last FROM bookings
WHERE person = :person AND NOT cancelled AND bookings.first <= :last AND bookings.last >= :first ORDER BY bookings.first;

-- booking_by_key: what was booked under an idempotency key
SELECT id FROM bookings WHERE key = :key;

-- add_booking: book leave
INSERT INTO bookings (person, kind, first, last, days, key) VALUES (:person, :kind, :first, :last, :days, :key)
RETURNING id;

-- cancel_booking: give the days back; a second time changes nothing
UPDATE bookings SET cancelled = 1 WHERE id = :id;

-- bookings: all leave that stands
SELECT person, kind, first, last, days FROM bookings WHERE NOT cancelled ORDER BY id;

-- all_bookings: how many rows there ever were
SELECT count(*) AS rows FROM bookings;

-- add_message: tell somebody something, once per key
INSERT OR IGNORE INTO messages (recipient, subject, body, key) VALUES (:recipient, :subject, :body, :key);

-- messages: what was told
SELECT recipient, subject, body FROM messages ORDER BY id;
