-- The store in PostgreSQL, in a schema of its own. The SQLite file of the same name explains each table and column.

CREATE TABLE sweeps (
    sweep         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id            BYTEA  NOT NULL UNIQUE CHECK (length(id) = 16),
    name          TEXT   NOT NULL,
    spec_text     TEXT   NOT NULL,
    spec_format   TEXT   NOT NULL,
    -- The spec in TOML with every default. Trials are read from it.
    spec_resolved TEXT   NOT NULL,
    digest        TEXT   NOT NULL,
    trials        BIGINT NOT NULL,
    trajectories  BIGINT NOT NULL,
    submitted_at  BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    state_at      BIGINT NOT NULL,
    reason        TEXT,
    completed     BIGINT NOT NULL DEFAULT 0,
    diverged      BIGINT NOT NULL DEFAULT 0,
    failed        BIGINT NOT NULL DEFAULT 0,
    reused        BIGINT NOT NULL DEFAULT 0,
    resumed_after BIGINT NOT NULL DEFAULT 0,
    began_after   BIGINT NOT NULL DEFAULT 0,
    ended_before  BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE extensions (
    entry       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sweep       BIGINT NOT NULL REFERENCES sweeps,
    text        TEXT   NOT NULL,
    format      TEXT   NOT NULL,
    resolved    TEXT   NOT NULL,
    extended_at BIGINT NOT NULL
);

CREATE TABLE trainers (
    trainer     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        TEXT NOT NULL,
    environment TEXT NOT NULL,
    UNIQUE (name, environment)
);

CREATE TABLE leases (
    attempt    BIGINT PRIMARY KEY,
    sweep      BIGINT NOT NULL REFERENCES sweeps,
    first      BIGINT NOT NULL,
    count      BIGINT NOT NULL CHECK (count > 0),
    worker     BYTEA  NOT NULL CHECK (length(worker) = 16),
    trainer    BIGINT NOT NULL REFERENCES trainers,
    granted_at BIGINT NOT NULL,
    open       BIGINT NOT NULL CHECK (open BETWEEN 0 AND count)
);
CREATE INDEX leases_open ON leases (sweep, attempt) WHERE open > 0;

CREATE TABLE attempts (
    entry      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    attempt    BIGINT NOT NULL REFERENCES leases,
    sweep      BIGINT NOT NULL REFERENCES sweeps,
    trajectory BIGINT NOT NULL,
    outcome    TEXT   NOT NULL,
    cause      TEXT,
    ended_at   BIGINT NOT NULL,
    updates    BIGINT,
    forgiven   BIGINT NOT NULL DEFAULT 0,
    UNIQUE (attempt, trajectory)
);
CREATE INDEX attempts_incomplete ON attempts (sweep, entry) WHERE outcome <> 'completed';
CREATE INDEX attempts_failed ON attempts (sweep, trajectory) WHERE outcome = 'failed';
CREATE INDEX attempts_lost ON attempts (sweep, trajectory) WHERE outcome = 'worker-lost';

CREATE TABLE curves (
    sweep             BIGINT NOT NULL REFERENCES sweeps,
    trajectory        BIGINT NOT NULL,
    attempt           BIGINT NOT NULL,
    points            BYTEA  NOT NULL,
    diagnostics       BYTEA,
    source_sweep      BIGINT REFERENCES sweeps,
    source_trajectory BIGINT,
    PRIMARY KEY (sweep, trajectory)
);
CREATE INDEX curves_reused ON curves (sweep) WHERE source_sweep IS NOT NULL;

CREATE TABLE done_runs (
    sweep BIGINT NOT NULL REFERENCES sweeps,
    first BIGINT NOT NULL,
    count BIGINT NOT NULL CHECK (count > 0),
    PRIMARY KEY (sweep, first)
);

CREATE TABLE results (
    sweep               BIGINT NOT NULL REFERENCES sweeps,
    trial               BIGINT NOT NULL,
    key                 BYTEA  NOT NULL CHECK (length(key) = 32),
    status              TEXT   NOT NULL,
    updates             BIGINT NOT NULL,
    attempts            BIGINT NOT NULL,
    trainer             BIGINT NOT NULL REFERENCES trainers,
    seconds             DOUBLE PRECISION,
    validation_accuracy DOUBLE PRECISION,
    test_accuracy       DOUBLE PRECISION,
    best_update         BIGINT,
    score_updates       BIGINT,
    source_sweep        BIGINT REFERENCES sweeps,
    source_trial        BIGINT,
    PRIMARY KEY (sweep, trial)
);

CREATE TABLE late_reports (
    entry      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sweep      BIGINT NOT NULL REFERENCES sweeps,
    trajectory BIGINT NOT NULL,
    attempt    BIGINT NOT NULL,
    worker     BYTEA  NOT NULL CHECK (length(worker) = 16),
    outcome    TEXT   NOT NULL,
    points     BYTEA  NOT NULL,
    came_at    BIGINT NOT NULL
);
CREATE UNIQUE INDEX late_reports_once ON late_reports (attempt, trajectory, worker);

CREATE TABLE quarantined (
    worker BYTEA  PRIMARY KEY CHECK (length(worker) = 16),
    name   TEXT   NOT NULL,
    reason TEXT   NOT NULL,
    since  BIGINT NOT NULL
);

CREATE TABLE commits (
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    last BIGINT NOT NULL
);
INSERT INTO commits (one, last) VALUES (1, 0);

CREATE TABLE identity (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    id  BYTEA  NOT NULL CHECK (length(id) = 16)
);
INSERT INTO identity (one, id) VALUES (1, uuid_send(gen_random_uuid()));
