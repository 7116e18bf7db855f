-- The review desk (docs/decisions/0014). What a review is worth is worked out once, when its job comes to a person, so that
-- one index has the queue in order: the nearest deadline, then the rank, then age. Without a deadline it is due at the end of the
-- year 9999, and not at 'infinity', which clients cannot read.
ALTER TABLE reviews
    ADD COLUMN due_at timestamptz NOT NULL DEFAULT '9999-12-31 00:00+00',
    ADD COLUMN priority smallint NOT NULL DEFAULT 0,
    ADD COLUMN attempts smallint NOT NULL DEFAULT 0,
    ADD COLUMN rank smallint NOT NULL DEFAULT 0,
    ADD COLUMN cluster text,
    -- A decision that can still be taken back. It is no decision yet: the job is in review until effective_at.
    ADD COLUMN pending text CHECK (pending IN ('accept', 'edit', 'not_applicable', 'reject')),
    ADD COLUMN pending_output json,
    ADD COLUMN pending_at timestamptz,
    ADD COLUMN effective_at timestamptz,
    ADD CHECK ((pending IS NULL) = (effective_at IS NULL) AND (pending IS NULL) = (pending_at IS NULL));

-- Per tenant and task: which share of the model's answers a second person looks at, and what an error costs (0 to 9).
CREATE TABLE review_rates (
    tenant_id text NOT NULL REFERENCES tenants,
    task text NOT NULL,
    rate double precision NOT NULL DEFAULT 0 CHECK (rate BETWEEN 0 AND 1),
    stakes smallint NOT NULL DEFAULT 0 CHECK (stakes BETWEEN 0 AND 9),
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, task)
);

-- Stakes first (the job's class, then what the tenant says of the task), then how little the machine knows of it: no
-- suggestion; a text that somebody must look at (30) or that defeated a model (20) before one that no model saw; calls made.
-- Smaller comes first.
CREATE FUNCTION assay_review_rank(priority smallint, stakes smallint, reason text, suggested boolean, attempts integer)
RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((1 - priority) * 1000 + (9 - stakes) * 100 + 99
            - CASE WHEN suggested THEN 0 ELSE 50 END
            - CASE WHEN reason IN ('quarantined', 'policy_denied', 'refused') THEN 30
                   WHEN reason IN ('ungrounded', 'schema_violation', 'low_confidence', 'not_applicable', 'truncated',
                                   'context_too_long') THEN 20
                   ELSE 0 END
            - least(attempts, 9))::smallint;

-- A trigger, and not the statement that hands a job over: workers of the release before go on while this is applied.
CREATE FUNCTION assay_prepare_review() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    job record;
    at_stake smallint;
BEGIN
    SELECT jobs.deadline, jobs.priority INTO job FROM jobs WHERE jobs.id = NEW.job_id;
    SELECT stakes INTO at_stake FROM review_rates WHERE tenant_id = NEW.tenant_id AND task = NEW.task;
    NEW.due_at := least(job.deadline, '9999-12-31 00:00+00');
    NEW.priority := coalesce(job.priority, 0);
    NEW.attempts := (SELECT count(*) FROM attempts WHERE attempts.job_id = NEW.job_id);
    NEW.rank := assay_review_rank(NEW.priority, coalesce(at_stake, 0::smallint), NEW.reason, NEW.suggestion IS NOT NULL,
                                  NEW.attempts);
    NEW.cluster := encode(sha256(convert_to(NEW.suggestion::text, 'UTF8')), 'hex');
    IF TG_OP = 'UPDATE' AND OLD.decision IS NOT NULL AND NEW.decision IS NULL THEN  -- it opens anew, after a retry
        NEW.created_at := now();
        NEW.note := NULL;
        NEW.pending := NULL;
        NEW.pending_output := NULL;
        NEW.pending_at := NULL;
        NEW.effective_at := NULL;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER reviews_prepare BEFORE INSERT OR UPDATE OF suggestion ON reviews
    FOR EACH ROW EXECUTE FUNCTION assay_prepare_review();

-- What waits already gets its place too. The owner is bound by row-level security like everybody (FORCE): that is lifted for
-- reviews, which are locked already, and jobs and attempts are read as one tenant after the other, so that no worker waits.
ALTER TABLE reviews NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    tenant text;
BEGIN
    FOR tenant IN SELECT DISTINCT tenant_id FROM reviews WHERE decision IS NULL LOOP
        PERFORM set_config('assay.tenant', tenant, true);
        UPDATE reviews SET suggestion = suggestion WHERE tenant_id = tenant AND decision IS NULL;
    END LOOP;
    PERFORM set_config('assay.tenant', '', true);
END $$;
ALTER TABLE reviews FORCE ROW LEVEL SECURITY;

-- Task and reason stand behind the order, so that a filter is decided in the index.
DROP INDEX reviews_waiting;
CREATE INDEX reviews_by_value ON reviews (tenant_id, due_at, rank, created_at, job_id, task, reason)
    WHERE decision IS NULL AND effective_at IS NULL;
CREATE INDEX reviews_by_cluster ON reviews (tenant_id, task, reason, cluster, job_id)
    INCLUDE (created_at, due_at, lease_until) WHERE decision IS NULL AND effective_at IS NULL;
CREATE INDEX reviews_held ON reviews (tenant_id, lease_until)
    WHERE decision IS NULL AND effective_at IS NULL AND lease_until IS NOT NULL;
CREATE INDEX reviews_pending ON reviews (effective_at) WHERE decision IS NULL AND effective_at IS NOT NULL;

-- From here on tables refer to jobs, which keeps writers of jobs waiting until the end of this migration: nothing long may follow.
-- Who does not want to be given which review again for a while.
CREATE TABLE review_skips (
    job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    tenant_id text NOT NULL,
    reviewer text NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (job_id, reviewer)
);
CREATE INDEX review_skips_by_reviewer ON review_skips (tenant_id, reviewer, until);

-- A random sample of the model's answers, looked at by a second person who does not see them, and by a third who sees both
-- where the two differ. The job's answer stays what it is: this is a measurement.
CREATE TABLE second_reviews (
    job_id uuid PRIMARY KEY REFERENCES jobs ON DELETE CASCADE,
    tenant_id text NOT NULL REFERENCES tenants,
    task text NOT NULL,
    stage text NOT NULL DEFAULT 'second' CHECK (stage IN ('second', 'third', 'settled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    fence integer NOT NULL DEFAULT 0,
    reviewer text,
    lease_until timestamptz,
    decision text CHECK (decision IN ('edit', 'not_applicable', 'reject')),
    output json,
    decided_by text,
    decided_at timestamptz,
    note text,
    agrees boolean,
    fields integer,
    equal_fields integer,
    differing json,
    verdict text CHECK (verdict IN ('model', 'second', 'both', 'neither')),
    judged_by text,
    judged_at timestamptz,
    judged_note text,
    CHECK ((stage = 'second') = (decision IS NULL) AND (decision IS NULL) = (agrees IS NULL)),
    CHECK ((verdict IS NULL) = (stage <> 'settled' OR agrees)),
    CHECK (verdict IS NULL OR judged_by <> decided_by)
);
CREATE INDEX second_reviews_waiting ON second_reviews (tenant_id, created_at, job_id, task, stage) WHERE stage <> 'settled';
CREATE INDEX second_reviews_by_task ON second_reviews (tenant_id, task, stage) INCLUDE (agrees, fields, equal_fields, verdict);

-- Up to which finished job the sample has been drawn, in the order in which they finish.
CREATE TABLE review_sampling (
    sampled_to timestamptz NOT NULL,
    sampled_id uuid NOT NULL
);
INSERT INTO review_sampling VALUES (now(), 'ffffffff-ffff-ffff-ffff-ffffffffffff');

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['review_rates', 'review_skips', 'second_reviews'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY of_tenant ON %I USING (tenant_id = assay_tenant())'
                       ' WITH CHECK (tenant_id = assay_tenant())', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['review_rates', 'second_reviews'] LOOP
        EXECUTE format('CREATE POLICY of_system ON %I TO assay_system USING (true) WITH CHECK (true)', name);
    END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE ON review_rates, second_reviews TO assay_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON review_skips TO assay_app;
GRANT SELECT ON review_rates TO assay_system;
GRANT SELECT, UPDATE ON review_sampling TO assay_system;
GRANT INSERT (job_id, tenant_id, task) ON second_reviews TO assay_system;
GRANT SELECT (job_id, tenant_id, task, stage, created_at, lease_until, agrees, fields, equal_fields, verdict, decided_at,
              judged_at)
    ON second_reviews TO assay_system;
GRANT SELECT (due_at, rank, effective_at) ON reviews TO assay_system;
