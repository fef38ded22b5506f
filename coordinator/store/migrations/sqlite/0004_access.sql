-- Tokens, without their secrets. Times are milliseconds since 1970; NULL means never, or any number.
CREATE TABLE tokens (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 8),
    secret_digest BLOB    NOT NULL CHECK (length(secret_digest) = 32),
    role          TEXT    NOT NULL,
    label         TEXT    NOT NULL,
    creator       TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    uses_left     INTEGER CHECK (uses_left >= 0),
    revoked_at    INTEGER
) STRICT;

-- Workers that have a certificate, each bound to the public key of its first enrolment.
CREATE TABLE enrolled_workers (
    worker      BLOB    NOT NULL PRIMARY KEY CHECK (length(worker) = 16),
    key         BLOB    NOT NULL CHECK (length(key) = 32),
    token       BLOB    NOT NULL REFERENCES tokens,
    enrolled_at INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT;

CREATE INDEX enrolled_workers_by_token ON enrolled_workers (token);
