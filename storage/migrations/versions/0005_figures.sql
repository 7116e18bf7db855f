-- Operators' figures: counts per minute, ten minutes and hour, and since ever (grain 0), by tenant, task, prompt version and
-- model (slice 0), the same over all tenants (1), and by tenant and task alone (2): so that a week of many tenants is read
-- in milliseconds. A label that a slice does not keep apart is '*'. One worker makes them every few seconds from what has happened lately (storage/tallies.py); nothing that runs a job
-- writes them. Null is zero, and takes no room.
CREATE TABLE tallies (
    grain integer NOT NULL CHECK (grain IN (0, 60, 600, 3600)),
    slice smallint NOT NULL CHECK (slice IN (0, 1, 2)),
    at timestamptz NOT NULL,
    tenant_id text NOT NULL,
    task text NOT NULL,
    prompt_version text NOT NULL,
    model text NOT NULL,
    submitted bigint,
    answered_by_model bigint, answered_by_cache bigint, answered_by_rules bigint, answered_by_person bigint,
    sent_to_review bigint, failed bigint, turned_down bigint, cancelled bigint,
    attempts_accepted bigint, attempts_rejected bigint, attempts_failed bigint, attempts_unknown bigint,
    for_first bigint, for_retry bigint, for_repair bigint, for_larger bigint, for_escalation bigint,
    reason_rate_limited bigint, reason_overloaded bigint, reason_timeout bigint, reason_unreachable bigint,
    reason_refused bigint, reason_truncated bigint, reason_context_too_long bigint, reason_schema_violation bigint,
    reason_ungrounded bigint, reason_low_confidence bigint, reason_not_applicable bigint, reason_budget_exhausted bigint,
    reason_policy_denied bigint, reason_bad_request bigint, reason_misconfigured bigint, reason_cancelled bigint,
    reason_quarantined bigint,
    input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cache_write_tokens bigint,
    spend_usd numeric, unpriced bigint,
    waited_1 bigint, waited_2 bigint, waited_5 bigint, waited_10 bigint, waited_20 bigint, waited_30 bigint,
    waited_60 bigint, waited_120 bigint, waited_300 bigint, waited_600 bigint, waited_1800 bigint, waited_3600 bigint,
    waited_7200 bigint, waited_21600 bigint, waited_86400 bigint, waited_longer bigint,
    waited_seconds double precision,
    PRIMARY KEY (grain, slice, at, tenant_id, task, prompt_version, model)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- Up to when everything is counted. A first start counts what the last week holds.
CREATE TABLE tally_progress (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    counted_until timestamptz NOT NULL
);
INSERT INTO tally_progress (counted_until) VALUES (date_trunc('minute', now() - interval '7 days'));
INSERT INTO duties (name) VALUES ('tally'), ('alerts');

-- By these the last minutes are found, and lists of jobs are read. Each is written once in a job's life, when it ends; one
-- by when it was made is kept for single jobs only: those of a batch were made when it was closed.
CREATE INDEX jobs_by_finish ON jobs (finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_single ON jobs (created_at, id) WHERE batch_id IS NULL;
CREATE INDEX batches_by_close ON batches (closed_at, id) WHERE closed_at IS NOT NULL;
CREATE INDEX attempts_by_settling ON attempts (settled_at, job_id, number) WHERE settled_at IS NOT NULL;
CREATE INDEX reviews_by_creation ON reviews (created_at, job_id);

-- An alert: a rule that fires, or has fired, for one set of labels. `jobs` are ids only.
CREATE TABLE alerts (
    id uuid PRIMARY KEY,
    rule text NOT NULL,
    figure text NOT NULL,
    labels jsonb NOT NULL,
    comparison text NOT NULL,
    threshold double precision NOT NULL,
    window_seconds double precision NOT NULL,
    value double precision NOT NULL,
    basis double precision NOT NULL,
    jobs uuid[] NOT NULL,
    fired_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    delivered_at timestamptz
);
CREATE UNIQUE INDEX alerts_firing ON alerts (rule, labels) WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_time ON alerts (fired_at);
CREATE INDEX alerts_undelivered ON alerts (fired_at) WHERE delivered_at IS NULL;

ALTER TABLE tallies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_system ON tallies TO assay_system USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON tallies, alerts TO assay_system;
GRANT SELECT, UPDATE ON tally_progress TO assay_system;
-- A line's number says nothing of a document; lists of a batch's jobs are in its order.
GRANT SELECT (line) ON jobs TO assay_system;
