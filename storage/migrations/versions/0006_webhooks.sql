-- Webhooks: where a tenant wants to be told that something has ended, and what is to be told.
-- The secret signs what we send, so it cannot be kept as a digest; whoever reads this table reads the documents too, and what
-- is signed holds none. Only the tenant's own transactions see it.
CREATE TABLE webhooks (
    id uuid PRIMARY KEY,
    tenant_id text NOT NULL REFERENCES tenants,
    url text NOT NULL,
    events text[] NOT NULL CHECK (events <@ ARRAY['job.finished', 'batch.finished', 'alert.fired'] AND cardinality(events) > 0),
    secret text NOT NULL,
    previous_secret text,
    previous_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    failing_since timestamptz,
    resume_at timestamptz,
    disabled_at timestamptz,
    disabled_reason text
);
CREATE INDEX webhooks_by_tenant ON webhooks (tenant_id, id);

-- One notice to one endpoint. While it is pending, next_at is when it is tried; whoever tries it moves next_at on first.
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id text NOT NULL,
    webhook_id uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event text NOT NULL,
    data json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    tries smallint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    status smallint,
    detail text,
    CHECK ((state = 'pending') = (settled_at IS NULL))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, created_at DESC, id);
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at) WHERE settled_at IS NOT NULL;

-- Written with the job's end, in its transaction, so that none is forgotten and none is told that did not happen: whichever
-- statement ends it. Statements that do not set finished_at do not meet the trigger at all.
CREATE FUNCTION assay_tell_job_finished() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (tenant_id, webhook_id, event, data)
    SELECT NEW.tenant_id, w.id, 'job.finished',
           json_build_object('job_id', NEW.id, 'batch_id', NEW.batch_id, 'line', NEW.line, 'task', NEW.task, 'state', NEW.state,
                             'answered_by', NEW.answered_by, 'failure_reason', NEW.failure_reason)
    FROM webhooks w
    WHERE w.tenant_id = NEW.tenant_id AND w.disabled_at IS NULL AND 'job.finished' = ANY (w.events);
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_finished_told AFTER UPDATE OF finished_at ON jobs
    FOR EACH ROW WHEN (NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL) EXECUTE FUNCTION assay_tell_job_finished();

-- A batch has finished when its last job has: looked for from time to time, where anybody wants to know.
ALTER TABLE batches ADD COLUMN untold boolean NOT NULL DEFAULT false, ADD COLUMN look_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE batches ALTER COLUMN untold SET DEFAULT true;
CREATE INDEX batches_untold ON batches (look_at) WHERE untold AND closed_at IS NOT NULL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['webhooks', 'webhook_deliveries'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY of_tenant ON %I USING (tenant_id = assay_tenant())'
                       ' WITH CHECK (tenant_id = assay_tenant())', name);
        EXECUTE format('CREATE POLICY of_system ON %I TO assay_system USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks, webhook_deliveries TO assay_app;
GRANT UPDATE (untold, look_at) ON batches TO assay_app, assay_system;
GRANT SELECT (id, tenant_id, events, resume_at, disabled_at) ON webhooks TO assay_system;
GRANT SELECT (id, tenant_id, webhook_id, created_at, state, tries, next_at, settled_at) ON webhook_deliveries TO assay_system;
GRANT INSERT (tenant_id, webhook_id, event, data) ON webhook_deliveries TO assay_system;
GRANT UPDATE (tries, next_at) ON webhook_deliveries TO assay_system;
GRANT DELETE ON webhook_deliveries TO assay_system;
