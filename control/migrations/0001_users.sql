-- Who may sign in, and as whom: people with passwords, and programs with tokens.

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    account TEXT,
    email TEXT,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    password_at BIGINT NOT NULL,
    disabled_at BIGINT
);

-- A session is an opaque token in a cookie; here is its digest. It ends at expires_at, or when it is revoked.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    token_digest BLOB NOT NULL UNIQUE,
    user_id INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    client TEXT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX sessions_by_user ON sessions (user_id);

-- Programs' keys to the API. A name can be given again after its token was revoked: that is how a key is changed.
CREATE TABLE api_tokens (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    account TEXT,
    token_digest BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX api_tokens_in_force ON api_tokens (name) WHERE revoked_at IS NULL;

-- Who changed what, when and why; never altered.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
