-- Tokens, without their secrets. Times are milliseconds since 1970; NULL means never, or any number.
CREATE TABLE tokens (
    id            BYTEA   NOT NULL PRIMARY KEY CHECK (length(id) = 8),
    secret_digest BYTEA   NOT NULL CHECK (length(secret_digest) = 32),
    role          TEXT    NOT NULL,
    label         TEXT    NOT NULL,
    creator       TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    expires_at    BIGINT,
    uses_left     BIGINT CHECK (uses_left >= 0),
    revoked_at    BIGINT
);

-- Workers that have a certificate, each bound to the public key of its first enrolment.
CREATE TABLE enrolled_workers (
    worker      BYTEA   NOT NULL PRIMARY KEY CHECK (length(worker) = 16),
    key         BYTEA   NOT NULL CHECK (length(key) = 32),
    token       BYTEA   NOT NULL REFERENCES tokens,
    enrolled_at BIGINT  NOT NULL,
    revoked_at  BIGINT
);

CREATE INDEX enrolled_workers_by_token ON enrolled_workers (token);
