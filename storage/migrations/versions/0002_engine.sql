-- What waits, in the order in which it is dispatched. run_at is now "not before": null means at once, so that a million
-- jobs that wait for later stand in an index of their own and cost a dispatch round nothing.
ALTER TABLE jobs ALTER COLUMN run_at DROP NOT NULL, ALTER COLUMN run_at DROP DEFAULT;
ALTER TABLE jobs
    ADD COLUMN cost real NOT NULL DEFAULT 1 CHECK (cost > 0),
    ADD COLUMN losses smallint NOT NULL DEFAULT 0,
    ADD COLUMN rings smallint NOT NULL DEFAULT 0,
    ADD COLUMN on_outage text NOT NULL DEFAULT 'fallback' CHECK (on_outage IN ('fallback', 'wait', 'rules', 'person'));
DROP INDEX jobs_queued;
CREATE INDEX jobs_ready ON jobs (priority DESC, tenant_id, task, deadline, id) WHERE state = 'queued' AND run_at IS NULL;
CREATE INDEX jobs_later ON jobs (run_at) WHERE state = 'queued' AND run_at IS NOT NULL;

-- Fairness between tenants: a virtual time per class, and how far each tenant has been served in it (storage/fairness.py).
ALTER TABLE tenants
    ADD COLUMN weight real NOT NULL DEFAULT 1 CHECK (weight > 0),
    ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0),
    ADD COLUMN input_tokens_per_minute integer CHECK (input_tokens_per_minute > 0),
    ADD COLUMN output_tokens_per_minute integer CHECK (output_tokens_per_minute > 0),
    ADD COLUMN concurrent_calls integer CHECK (concurrent_calls > 0);
CREATE TABLE fair_clocks (
    priority smallint PRIMARY KEY,
    virtual double precision NOT NULL
);
CREATE TABLE fair_shares (
    priority smallint NOT NULL,
    tenant_id text NOT NULL REFERENCES tenants,
    served double precision NOT NULL,
    PRIMARY KEY (priority, tenant_id)
);

-- Duties that one process at a time has: a lease row elects it, and tells when it last took its turn.
CREATE TABLE duties (
    name text PRIMARY KEY,
    holder uuid,
    held_until timestamptz,
    turn_at timestamptz,
    resumed_at timestamptz,
    turns bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0
);
INSERT INTO duties (name) VALUES ('dispatch'), ('sweep');

-- Progress of worker processes, not only their pulse.
ALTER TABLE workers
    ADD COLUMN claims_before bigint NOT NULL DEFAULT 0,
    ADD COLUMN claims_before_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN received_at timestamptz,
    ADD COLUMN deaf_since timestamptz,
    ADD COLUMN memory_bytes bigint;

-- A batch arrives in pieces, each its own transaction, and becomes jobs in one statement when it is whole.
-- While it is open, total counts the lines that have arrived, arrived_at is when some last did, and request_digest is of
-- what they have in common; null means that it is being dropped.
-- The default closes the batches that are there: an UPDATE by an owner who is no superuser would not see their rows.
ALTER TABLE batches ADD COLUMN closed_at timestamptz DEFAULT now(), ADD COLUMN arrived_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE batches ALTER COLUMN closed_at DROP DEFAULT;
CREATE TABLE arrivals (
    batch_id uuid NOT NULL REFERENCES batches,
    line integer NOT NULL,
    tenant_id text NOT NULL,
    job_id uuid NOT NULL,
    reference text,
    cost real NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (batch_id, line)
);
CREATE INDEX batches_open ON batches (created_at) WHERE closed_at IS NULL;

-- An input may go while it has not become a job; afterwards it stays.
CREATE FUNCTION assay_keep_inputs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id) THEN
        RAISE EXCEPTION 'inputs is append-only: the input of a job stays' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER inputs_stay BEFORE DELETE ON inputs FOR EACH ROW EXECUTE FUNCTION assay_keep_inputs();

-- The oldest code that works with these tables: a running worker of an older release goes on during a migration that only
-- adds, and one that would not understand the tables refuses to start.
CREATE TABLE compatibility (
    oldest_revision text NOT NULL
);
INSERT INTO compatibility VALUES ('0002');

ALTER TABLE arrivals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON arrivals USING (tenant_id = assay_tenant()) WITH CHECK (tenant_id = assay_tenant());
ALTER TABLE fair_shares ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY of_system ON fair_shares TO assay_system USING (true) WITH CHECK (true);

GRANT SELECT, INSERT, DELETE ON arrivals TO assay_app;
GRANT UPDATE (total, idempotency_key, request_digest, closed_at, arrived_at) ON batches TO assay_app;
-- What a batch refers to stays: only one without lines and jobs can be deleted.
GRANT DELETE ON batches TO assay_app;
GRANT DELETE ON inputs TO assay_app;
GRANT SELECT ON compatibility TO assay_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON fair_clocks, fair_shares TO assay_system;
GRANT SELECT, INSERT, UPDATE ON duties TO assay_system;
GRANT SELECT (cost, losses, rings, on_outage) ON jobs TO assay_system;
GRANT UPDATE (losses, rings) ON jobs TO assay_system;

-- assay_producer, for Python producers that share the database: they write new jobs in their own transaction, of the tenant
-- that they name, and read back no more than whether a job is there.
GRANT USAGE ON SCHEMA public TO assay_producer;
GRANT INSERT (id, tenant_id, task, state, fallback, deadline, prompt_version, priority, on_outage, cost, idempotency_key,
              request_digest)
    ON jobs TO assay_producer;
GRANT INSERT (job_id, tenant_id, request) ON inputs TO assay_producer;
CREATE POLICY of_producer ON jobs AS RESTRICTIVE FOR INSERT TO assay_producer WITH CHECK (state = 'queued');
GRANT SELECT (id, tenant_id, idempotency_key, request_digest) ON jobs TO assay_producer;
GRANT SELECT (job_id, tenant_id) ON inputs TO assay_producer;
GRANT SELECT (id) ON tenants TO assay_producer;
