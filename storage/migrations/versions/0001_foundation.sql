-- Tenancy. The tenant of a transaction is set with set_config('assay.tenant', ..., true): it ends with the transaction.
CREATE FUNCTION assay_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('assay.tenant', true), '');

CREATE TABLE tenants (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('producer', 'reviewer', 'operator')),
    digest text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

CREATE TABLE batches (
    id uuid PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    task text NOT NULL,
    total integer NOT NULL CHECK (total >= 0),
    idempotency_key text,
    request_digest text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX batches_idempotency ON batches (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX batches_by_tenant ON batches (tenant_id, id);

-- The hot table: narrow, without a single text of a document. What dispatch and sweep read is found through indexes
-- over live states only, so a finished job costs them nothing, however many there are.
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    batch_id uuid REFERENCES batches,
    line integer,
    reference text,
    task text NOT NULL,
    state text NOT NULL CHECK (state IN
        ('queued', 'published', 'running', 'in_review', 'answered', 'failed', 'cancelled')),
    fallback text NOT NULL CHECK (fallback IN ('rules-then-person', 'rules', 'person', 'fail')),
    prompt_version text,
    native boolean NOT NULL DEFAULT false,
    priority smallint NOT NULL DEFAULT 0,
    tries smallint NOT NULL DEFAULT 0,
    waits smallint NOT NULL DEFAULT 0,
    fence integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    worker_id uuid,
    run_at timestamptz NOT NULL DEFAULT now(),
    deadline timestamptz,
    published_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    answered_by text CHECK (answered_by IN ('model', 'cache', 'rules', 'person')),
    failure_reason text,
    failure_detail text,
    idempotency_key text,
    request_digest text,
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state = 'answered') = (answered_by IS NOT NULL))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX jobs_queued ON jobs (priority DESC, run_at, id) WHERE state = 'queued';
CREATE INDEX jobs_published ON jobs (published_at) WHERE state = 'published';
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_by_batch ON jobs (batch_id, line) WHERE batch_id IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON jobs (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Texts and history, partitioned by job id. Ids made by Assay are UUIDv7, so a partition is a month and goes as one
-- file when its retention ends. Ids made by Celery producers are random and lie in the default partition.
CREATE TABLE inputs (
    job_id uuid PRIMARY KEY,
    tenant_id text NOT NULL,
    request json NOT NULL
) PARTITION BY RANGE (job_id);

-- json, not jsonb, for what was sent and received: verbatim, cheap to write, and able to hold an escaped NUL.
CREATE TABLE attempts (
    job_id uuid NOT NULL,
    number smallint NOT NULL,
    tenant_id text NOT NULL,
    fence integer NOT NULL,
    actor text NOT NULL,
    purpose text NOT NULL,
    prompt_version text NOT NULL,
    prompt_digest text NOT NULL,
    tier text NOT NULL,
    model text NOT NULL,
    request json NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'accepted', 'rejected', 'failed', 'unknown')),
    settled_at timestamptz,
    seconds double precision,
    answered_model text,
    request_id text,
    http_status smallint,
    stop_reason text,
    response json,
    input_tokens integer,
    output_tokens integer,
    cache_read_tokens integer,
    cache_write_tokens integer,
    cost_usd numeric(14, 8),
    failure_reason text,
    failure_detail text,
    PRIMARY KEY (job_id, number),
    CHECK ((outcome = 'open') = (settled_at IS NULL))
) PARTITION BY RANGE (job_id);
CREATE INDEX attempts_open ON attempts (opened_at) WHERE outcome = 'open';

CREATE TABLE answers (
    job_id uuid PRIMARY KEY,
    tenant_id text NOT NULL,
    answered_by text NOT NULL CHECK (answered_by IN ('model', 'cache', 'rules', 'person')),
    output json NOT NULL,
    attempt_number smallint,
    reviewer text,
    created_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (job_id);

-- What happened to a job besides its attempts: waits, recoveries, stand-ins, decisions.
CREATE TABLE events (
    job_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tenant_id text NOT NULL,
    kind text NOT NULL,
    actor text NOT NULL,
    detail text
) PARTITION BY RANGE (job_id);
CREATE INDEX events_by_job ON events (job_id, at);

CREATE TABLE reviews (
    job_id uuid PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    task text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    suggestion json,
    created_at timestamptz NOT NULL DEFAULT now(),
    fence integer NOT NULL DEFAULT 0,
    reviewer text,
    lease_until timestamptz,
    decision text CHECK (decision IN ('accept', 'edit', 'not_applicable', 'reject', 'withdrawn')),
    decided_by text,
    decided_at timestamptz,
    note text,
    CHECK ((decision IS NULL) = (decided_at IS NULL))
);
CREATE INDEX reviews_waiting ON reviews (tenant_id, created_at) WHERE decision IS NULL;

-- One row per worker process: who is there, with how much room, and when it was last seen.
CREATE TABLE workers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    slots integer NOT NULL,
    busy integer NOT NULL DEFAULT 0,
    claims bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz
);

-- Partitions: each month from now on, and a default that catches the rest.
CREATE FUNCTION assay_month_id(month timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT
    RETURN (lpad(to_hex((extract(epoch FROM month) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;

-- SECURITY DEFINER: making a partition takes the owner's rights, which no worker has.
CREATE FUNCTION assay_make_partitions(months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    parent text;
    month timestamptz;
    child text;
    made integer := 0;
BEGIN
    FOREACH parent IN ARRAY ARRAY['inputs', 'attempts', 'answers', 'events'] LOOP
        FOR month IN SELECT generate_series(
            date_trunc('month', now(), 'UTC'), date_trunc('month', now(), 'UTC') + make_interval(months => months_ahead),
            interval '1 month', 'UTC')
        LOOP
            child := parent || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
            CONTINUE WHEN to_regclass('public.' || child) IS NOT NULL;
            EXECUTE format('CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)', child, parent,
                public.assay_month_id(month), public.assay_month_id(month + interval '1 month'));
            EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', child);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

CREATE TABLE inputs_default PARTITION OF inputs DEFAULT;
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;
CREATE TABLE answers_default PARTITION OF answers DEFAULT;
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- Append-only: a settled attempt, an answer and an event never change. The WHEN clause keeps the happy path free of a
-- function call.
CREATE FUNCTION assay_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % of a settled row is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER attempts_settle_once BEFORE UPDATE ON attempts
    FOR EACH ROW WHEN (OLD.outcome <> 'open') EXECUTE FUNCTION assay_refuse_change();
CREATE TRIGGER attempts_stay BEFORE DELETE ON attempts FOR EACH ROW EXECUTE FUNCTION assay_refuse_change();
CREATE TRIGGER answers_stay BEFORE UPDATE OR DELETE ON answers FOR EACH ROW EXECUTE FUNCTION assay_refuse_change();
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION assay_refuse_change();

-- Before row-level security, which binds an owner who is no superuser, as on managed servers.
INSERT INTO tenants (id, name) VALUES ('default', 'Default tenant');

-- Row-level security: forced, so that it binds the owner too.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['api_keys', 'batches', 'jobs', 'inputs', 'attempts', 'answers', 'events', 'reviews',
                                'inputs_default', 'attempts_default', 'answers_default', 'events_default'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        CONTINUE WHEN name LIKE '%\_default';
        EXECUTE format('CREATE POLICY of_tenant ON %I USING (tenant_id = assay_tenant())'
                       ' WITH CHECK (tenant_id = assay_tenant())', name);
    END LOOP;
END $$;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON tenants USING (id = assay_tenant()) WITH CHECK (id = assay_tenant());

-- assay_app, the role of every process: its rows only, no history rewritten, nothing owned, nothing bypassed.
GRANT USAGE ON SCHEMA public TO assay_app, assay_system;
GRANT SELECT ON tenants, api_keys TO assay_app;
GRANT SELECT, INSERT ON batches, jobs, inputs, answers, events, attempts, reviews TO assay_app;
GRANT UPDATE ON jobs, reviews TO assay_app;
GRANT UPDATE (total, request_digest) ON batches TO assay_app;
GRANT UPDATE (outcome, settled_at, seconds, answered_model, request_id, http_status, stop_reason, response, input_tokens,
              output_tokens, cache_read_tokens, cache_write_tokens, cost_usd, failure_reason, failure_detail)
    ON attempts TO assay_app;

-- assay_system, taken on for one transaction by dispatch, sweep, heartbeat and operators' figures: sees all tenants, but
-- only the columns that schedule, count and cost. No column that it may read holds a document, a prompt or an answer.
GRANT SELECT, INSERT, UPDATE ON tenants, api_keys, workers TO assay_system;
GRANT DELETE ON workers TO assay_system;
GRANT SELECT ON batches TO assay_system;
GRANT SELECT (id, tenant_id, batch_id, task, state, native, priority, tries, waits, fence, lease_until, worker_id, run_at,
              deadline, published_at, started_at, finished_at, created_at, answered_by, failure_reason)
    ON jobs TO assay_system;
GRANT UPDATE (state, tries, fence, lease_until, worker_id, run_at, published_at) ON jobs TO assay_system;
GRANT SELECT (job_id, number, tenant_id, fence, actor, purpose, prompt_version, tier, model, opened_at, outcome, settled_at,
              seconds, answered_model, http_status, stop_reason, input_tokens, output_tokens, cache_read_tokens,
              cache_write_tokens, cost_usd, failure_reason)
    ON attempts TO assay_system;
GRANT UPDATE (outcome, settled_at, failure_reason, failure_detail) ON attempts TO assay_system;
GRANT INSERT ON events TO assay_system;
GRANT SELECT (job_id, at, tenant_id, kind, actor) ON events TO assay_system;
GRANT SELECT (job_id, tenant_id, task, reason, created_at, lease_until, decision, decided_at) ON reviews TO assay_system;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['tenants', 'api_keys', 'batches', 'jobs', 'attempts', 'events', 'reviews'] LOOP
        EXECUTE format('CREATE POLICY of_system ON %I TO assay_system USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION assay_make_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION assay_make_partitions(integer) TO assay_system;

SELECT assay_make_partitions(3);
