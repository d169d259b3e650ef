-- Every statement that measures. One pass over the events of a span fills temporary tables; the readings group those.
-- Moments are whole microseconds since 1970, so that differences are exact. `:since` and `:until` are such moments,
-- `:from` and `:to` the same as text, `:first` and `:last` positions that enclose them, `:workflow` NULL for all.
-- docs/metrics.md defines each number.

-- metrics_begin: one view of the store for all that follows, whatever a worker commits meanwhile
BEGIN;

-- metrics_end: let that view go
COMMIT;

-- metrics_moment: when the first readable event at or after a position was recorded
SELECT position, json_extract(body, '$.at') AS at FROM events
WHERE position >= ? AND json_valid(body) ORDER BY position LIMIT 1;

-- metrics_facts_drop: a reading before this one is forgotten
DROP TABLE IF EXISTS temp.facts;

-- metrics_items_drop: a reading before this one is forgotten
DROP TABLE IF EXISTS temp.items;

-- metrics_durations_drop: a reading before this one is forgotten
DROP TABLE IF EXISTS temp.durations;

-- metrics_facts_table: what went wrong, and what was asked of people
CREATE TEMP TABLE facts (
    position INTEGER PRIMARY KEY, run TEXT, role TEXT, kind TEXT, at INTEGER, command TEXT, site TEXT, action TEXT, queue TEXT,
    due INTEGER, ending TEXT, reason TEXT, by TEXT
);

-- metrics_items_table: one row for each time that something came into a queue
CREATE TEMP TABLE items (
    run TEXT, command TEXT, kind TEXT, queue TEXT, action TEXT, opened INTEGER, due INTEGER, claimed INTEGER, ended INTEGER,
    ending TEXT, reason TEXT, by TEXT, escalated INTEGER, again INTEGER
);

-- metrics_durations_table: every duration that was measured
CREATE TEMP TABLE durations (measure TEXT, name TEXT, value INTEGER);

-- metrics_facts: the span itself; with `:carry`, what the runs of the span did before it
INSERT INTO temp.facts
SELECT position, run, role, kind, CAST(strftime('%s', at) AS INTEGER) * 1000000 + CAST(substr(at, 21, 6) AS INTEGER),
    command, site, action, queue,
    CAST(strftime('%s', due) AS INTEGER) * 1000000 + CAST(substr(due, 21, 6) AS INTEGER), ending, reason, by
FROM (
    SELECT position, run,
        CASE WHEN kind IN ('approval_requested', 'task_opened', 'call_queued', 'call_unknown', 'attention_raised') THEN 'open'
             WHEN kind = 'item_claimed' THEN 'claim'
             WHEN kind IN ('item_answered', 'item_escalated') THEN 'move'
             WHEN kind IN ('attempt_failed', 'call_failed', 'call_denied') THEN 'fail' ELSE 'end' END AS role,
        CASE kind WHEN 'approval_requested' THEN 'approval' WHEN 'task_opened' THEN 'task' WHEN 'call_unknown' THEN 'unknown'
             WHEN 'attention_raised' THEN 'attention'
             WHEN 'call_queued' THEN CASE json_extract(body, '$.fault.type')
                  WHEN 'breaker' THEN 'diverted' WHEN 'switch' THEN 'switched' ELSE 'queued' END
             ELSE kind END AS kind,
        json_extract(body, '$.at') AS at,
        coalesce(json_extract(body, '$.command'), 'attention') AS command,
        json_extract(body, '$.site') AS site,
        json_extract(body, '$.action') AS action,
        CASE kind WHEN 'attention_raised' THEN 'operators' ELSE json_extract(body, '$.queue') END AS queue,
        json_extract(body, '$.due') AS due,
        CASE kind WHEN 'approval_decided' THEN json_extract(body, '$.verdict') WHEN 'task_completed' THEN 'completed'
             WHEN 'call_retried' THEN 'retried' WHEN 'attention_cleared' THEN 'retried'
             WHEN 'call_settled' THEN json_extract(body, '$.outcome') END AS ending,
        coalesce(json_extract(body, '$.code'), json_extract(body, '$.reason')) AS reason,
        coalesce(json_extract(body, '$.by'), '') AS by
    FROM events
    WHERE position >= :first AND position < :last AND run <> 'system' AND kind IN (
        'attempt_failed', 'call_failed', 'call_denied', 'call_queued', 'call_retried', 'call_unknown', 'call_settled',
        'approval_requested', 'approval_decided', 'task_opened', 'task_completed', 'item_claimed', 'item_answered',
        'item_escalated', 'attention_raised', 'attention_cleared')
      AND (:workflow IS NULL OR run IN (SELECT id FROM runs WHERE workflow = :workflow))
      AND (:carry = 0 OR run IN (SELECT run FROM temp.facts UNION SELECT id FROM runs
                                 WHERE started_at < :from AND updated_at >= :from))
      AND json_valid(body)
)
WHERE at < :to;

-- metrics_items: each opening with its first claim, its latest due time and its end; `again` when an earlier one of that step had ended before it
INSERT INTO temp.items
WITH rounds AS (
    SELECT *, count(CASE role WHEN 'open' THEN 1 END) OVER (PARTITION BY run, command ORDER BY position) AS round
    FROM temp.facts WHERE role <> 'fail'
), paired AS (
    SELECT run, command, max(CASE role WHEN 'open' THEN kind END) AS kind, max(CASE role WHEN 'open' THEN queue END) AS queue,
        max(CASE role WHEN 'open' THEN action END) AS action, max(CASE role WHEN 'open' THEN site END) AS site,
        min(CASE role WHEN 'open' THEN position END) AS begun, min(CASE role WHEN 'open' THEN at END) AS opened,
        CAST(substr(max(CASE WHEN due IS NOT NULL THEN printf('%020d%020d', position, due) END), 21) AS INTEGER) AS due,
        min(CASE role WHEN 'claim' THEN at END) AS claimed,
        min(CASE role WHEN 'end' THEN position END) AS over, min(CASE role WHEN 'end' THEN at END) AS ended,
        max(CASE role WHEN 'end' THEN ending END) AS ending, max(CASE role WHEN 'end' THEN reason END) AS reason,
        max(CASE role WHEN 'end' THEN by END) AS by,
        count(CASE WHEN kind = 'item_escalated' AND at >= :since THEN 1 END) AS escalated
    FROM rounds WHERE round > 0 GROUP BY run, command, round
)
SELECT run, command, kind, queue, action, opened, due, claimed, ended, ending, reason, by, escalated,
    kind IN ('approval', 'task') AND coalesce(min(over) OVER (PARTITION BY run, kind, site) < begun, 0)
FROM paired;

-- metrics_call_durations: how long calls took that returned; NULL for what a probe found out
INSERT INTO temp.durations
SELECT 'call', json_extract(body, '$.action'), json_extract(body, '$.micros') FROM events
WHERE position >= :first AND position < :last AND kind = 'call_returned'
  AND (:workflow IS NULL OR run IN (SELECT id FROM runs WHERE workflow = :workflow))
  AND json_valid(body) AND json_extract(body, '$.at') >= :from AND json_extract(body, '$.at') < :to;

-- metrics_item_durations: how long items lay until somebody took them, and until a person ended them
INSERT INTO temp.durations
SELECT 'claim', queue, claimed - opened FROM temp.items WHERE claimed >= :since
UNION ALL
SELECT 'handling', queue, ended - opened FROM temp.items WHERE ended >= :since AND by <> ''
UNION ALL
SELECT 'approval', queue, ended - opened FROM temp.items WHERE ended >= :since AND by <> '' AND kind = 'approval';

-- metrics_run_durations: how long finished runs took from start to end
INSERT INTO temp.durations
SELECT 'run', workflow,
    CAST(strftime('%s', updated_at) AS INTEGER) * 1000000 + CAST(substr(updated_at, 21, 6) AS INTEGER)
    - CAST(strftime('%s', started_at) AS INTEGER) * 1000000 - CAST(substr(started_at, 21, 6) AS INTEGER)
FROM runs WHERE status = 'finished' AND updated_at >= :from AND updated_at < :to
  AND (:workflow IS NULL OR workflow = :workflow);

-- metrics_spreads: count, sum and percentiles by nearest rank: the smallest value that p percent do not exceed
WITH ranked AS (
    SELECT measure, name, value, row_number() OVER (PARTITION BY measure, name ORDER BY value) AS rank,
        count(*) OVER (PARTITION BY measure, name) AS size
    FROM temp.durations WHERE value IS NOT NULL
)
SELECT measure, name, size AS count, sum(value) / 1e6 AS sum,
    max(CASE WHEN rank = (size * 50 + 99) / 100 THEN value END) / 1e6 AS p50,
    max(CASE WHEN rank = (size * 90 + 99) / 100 THEN value END) / 1e6 AS p90,
    max(CASE WHEN rank = (size * 99 + 99) / 100 THEN value END) / 1e6 AS p99,
    max(value) / 1e6 AS max
FROM ranked GROUP BY measure, name ORDER BY measure, name;

-- metrics_buckets: how many durations lie between two bounds of a histogram, by the upper one; NULL is above all
SELECT measure, name, CASE
    WHEN value <= 5000 THEN 0.005 WHEN value <= 25000 THEN 0.025 WHEN value <= 100000 THEN 0.1
    WHEN value <= 500000 THEN 0.5 WHEN value <= 1000000 THEN 1 WHEN value <= 5000000 THEN 5
    WHEN value <= 30000000 THEN 30 WHEN value <= 60000000 THEN 60 WHEN value <= 300000000 THEN 300
    WHEN value <= 900000000 THEN 900 WHEN value <= 3600000000 THEN 3600 WHEN value <= 14400000000 THEN 14400
    WHEN value <= 86400000000 THEN 86400 WHEN value <= 259200000000 THEN 259200
    WHEN value <= 604800000000 THEN 604800 WHEN value <= 2592000000000 THEN 2592000 END AS bound, count(*) AS count
FROM temp.durations WHERE value IS NOT NULL GROUP BY measure, name, bound;

-- metrics_workflows: runs started and ended in the span, those that are open now, and those that needed no person
SELECT workflow,
    count(CASE WHEN started_at >= :from AND started_at < :to THEN 1 END) AS started,
    count(CASE WHEN status = 'finished' AND updated_at >= :from AND updated_at < :to THEN 1 END) AS finished,
    count(CASE WHEN status = 'failed' AND updated_at >= :from AND updated_at < :to THEN 1 END) AS failed,
    count(CASE WHEN status = 'cancelled' AND updated_at >= :from AND updated_at < :to THEN 1 END) AS cancelled,
    count(CASE WHEN status = 'running' THEN 1 END) AS running, count(CASE WHEN status = 'waiting' THEN 1 END) AS waiting,
    count(CASE WHEN status = 'attention' THEN 1 END) AS attention,
    count(CASE WHEN status = 'finished' AND updated_at >= :from AND updated_at < :to AND id NOT IN (
        SELECT run FROM temp.items WHERE kind IN ('approval', 'task', 'unknown', 'attention') OR by <> '') THEN 1 END)
        AS straight_through
FROM runs WHERE :workflow IS NULL OR workflow = :workflow GROUP BY workflow ORDER BY workflow;

-- metrics_days: the same per day (UTC) and workflow
SELECT day, workflow, sum(kind = 'started') AS started, sum(kind = 'finished') AS finished, sum(kind = 'failed') AS failed,
    sum(kind = 'cancelled') AS cancelled
FROM (
    SELECT substr(started_at, 1, 10) AS day, workflow, 'started' AS kind FROM runs
    WHERE started_at >= :from AND started_at < :to
    UNION ALL
    SELECT substr(updated_at, 1, 10), workflow, status FROM runs
    WHERE updated_at >= :from AND updated_at < :to AND status IN ('finished', 'failed', 'cancelled')
)
WHERE :workflow IS NULL OR workflow = :workflow GROUP BY day, workflow ORDER BY day DESC, workflow;

-- metrics_actions: attempts of each action by how they ended, and what was stopped before it was made
SELECT action, sum(kind = 'returned') AS returned,
    sum(kind IN ('attempt_failed', 'call_failed', 'queued', 'unknown')) AS failed, sum(kind = 'attempt_failed') AS retries,
    sum(kind = 'queued') AS queued, sum(kind = 'unknown') AS unknown, sum(kind = 'diverted') AS diverted,
    sum(kind = 'switched') AS switched, sum(kind = 'call_denied') AS denied
FROM (
    SELECT name AS action, 'returned' AS kind FROM temp.durations WHERE measure = 'call'
    UNION ALL
    SELECT action, kind FROM temp.facts WHERE at >= :since AND action IS NOT NULL AND kind <> 'approval'
)
GROUP BY action ORDER BY action;

-- metrics_breakers: how often the breaker of each action opened
SELECT json_extract(body, '$.subject') AS action, count(*) AS opened FROM events
WHERE run = 'system' AND kind = 'system_recorded' AND json_valid(body) AND json_extract(body, '$.what') = 'breaker'
  AND json_extract(body, '$.detail.opened') AND json_extract(body, '$.at') >= :from AND json_extract(body, '$.at') < :to
GROUP BY action;

-- metrics_queues: what came into each queue and how it left, by kind
SELECT queue, kind, sum(opened >= :since) AS opened, coalesce(sum(ended >= :since), 0) AS ended,
    coalesce(sum(ended >= :since AND by <> ''), 0) AS by_people,
    coalesce(sum(ended >= :since AND due IS NOT NULL), 0) AS with_due,
    coalesce(sum(ended >= :since AND ended <= due AND ending <> 'expired'), 0) AS on_time,
    sum(opened >= :since AND again) AS again, sum(escalated) AS escalated
FROM temp.items GROUP BY queue, kind ORDER BY queue, kind;

-- metrics_waiting: what lies in each queue now
SELECT queue, kind, count(*) AS open, count(claimed_by) AS claimed, sum(due_at IS NOT NULL AND due_at < :now) AS overdue
FROM waits WHERE queue <> '' AND (:workflow IS NULL OR run IN (SELECT id FROM runs WHERE workflow = :workflow))
GROUP BY queue, kind ORDER BY queue, kind;

-- metrics_verdicts: what was decided in each queue
SELECT queue, sum(ending = 'approved') AS approved, sum(ending = 'rejected') AS rejected, sum(ending = 'expired') AS expired
FROM temp.items WHERE kind = 'approval' AND ended >= :since GROUP BY queue ORDER BY queue;

-- metrics_reasons: why people rejected, the most frequent first
SELECT queue, reason, count(*) AS count FROM temp.items
WHERE kind = 'approval' AND ending = 'rejected' AND ended >= :since
GROUP BY queue, reason ORDER BY queue, count(*) DESC, reason;

-- metrics_stuck: runs that nothing will move by itself, and that lie in nobody's queue or in an operator's
SELECT * FROM (
    SELECT id AS run, workflow, updated_at AS since, 'attention' AS why, coalesce(summary, '') AS summary FROM runs
    WHERE status = 'attention' AND (:workflow IS NULL OR workflow = :workflow)
    UNION ALL
    SELECT id, workflow, last, 'silent', '' FROM (
        SELECT id, workflow, coalesce((SELECT CASE WHEN json_valid(body) THEN json_extract(body, '$.at') END FROM events
            WHERE run = id ORDER BY seq DESC LIMIT 1), updated_at) AS last
        FROM runs WHERE status = 'running' AND (:workflow IS NULL OR workflow = :workflow))
    WHERE last < :silent
    UNION ALL
    SELECT id, workflow, updated_at, 'adrift', coalesce((SELECT group_concat(kind || ' ' || title, ', ') FROM waits
        WHERE waits.run = runs.id), 'nothing') FROM runs
    WHERE status = 'waiting' AND (:workflow IS NULL OR workflow = :workflow) AND NOT EXISTS (
        SELECT 1 FROM waits WHERE waits.run = runs.id AND (queue <> '' OR wake_at IS NOT NULL OR due_at IS NOT NULL
            OR (kind = 'child' AND EXISTS (SELECT 1 FROM runs AS child WHERE child.id = waits.subject
                AND child.status NOT IN ('finished', 'failed', 'cancelled')))))
) ORDER BY since, run;
