-- People who sign in with a password, for one or several tenants. Keys (api_keys) stay the machines' way in, and a reviewer's
-- or operator's key opens the pages too.
CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    login text NOT NULL UNIQUE CHECK (login ~ '^[^[:cntrl:][:space:]]{1,100}$'),
    role text NOT NULL CHECK (role IN ('reviewer', 'operator')),
    tenants text[] NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    failed_logins integer NOT NULL DEFAULT 0,
    locked_until timestamptz
);

-- Signed-in browsers. Only a digest of the cookie is kept; a session ends with its key or account.
CREATE TABLE sessions (
    digest text PRIMARY KEY,
    account_id uuid REFERENCES accounts ON DELETE CASCADE,
    key_id uuid REFERENCES api_keys ON DELETE CASCADE,
    csrf text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL,
    CHECK ((account_id IS NULL) <> (key_id IS NULL))
);
CREATE INDEX sessions_by_end ON sessions (ends_at);

-- A producer may watch partial text (a view of a running job through the broker) unless the tenant's class forbids it.
ALTER TABLE tenants ADD COLUMN partial_text boolean NOT NULL DEFAULT true;
ALTER TABLE api_keys ADD COLUMN used_at timestamptz, ADD COLUMN requests_per_minute integer CHECK (requests_per_minute > 0);

GRANT SELECT, INSERT, UPDATE, DELETE ON accounts, sessions TO assay_system;

-- Lists of jobs for producers, newest first, by cursor. Ids made by Assay grow with time.
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, id DESC);
