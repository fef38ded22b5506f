-- The first form of the store. Times are milliseconds since 1970; names of states, outcomes and statuses are those
-- people read. A sweep is known by a small number in every table but its own, so that a key costs a few bytes.

CREATE TABLE sweeps (
    sweep        INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    name         TEXT    NOT NULL,
    spec_text    TEXT    NOT NULL,
    spec_format  TEXT    NOT NULL,
    digest       TEXT    NOT NULL,
    trials       INTEGER NOT NULL,
    trajectories INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    state_at     INTEGER NOT NULL,
    -- Counts of results by status: counted as results are written, since counting them later would read them all.
    completed    INTEGER NOT NULL DEFAULT 0,
    diverged     INTEGER NOT NULL DEFAULT 0,
    failed       INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Workers' names, each kept once.
CREATE TABLE names (
    name INTEGER PRIMARY KEY,
    text TEXT    NOT NULL UNIQUE
) STRICT;

-- Runs of trajectories under one fencing number.
CREATE TABLE leases (
    attempt    INTEGER PRIMARY KEY,
    sweep      INTEGER NOT NULL REFERENCES sweeps,
    first      INTEGER NOT NULL,
    count      INTEGER NOT NULL CHECK (count > 0),
    worker     BLOB    NOT NULL CHECK (length(worker) = 16),
    name       INTEGER NOT NULL REFERENCES names,
    granted_at INTEGER NOT NULL,
    -- Trajectories not yet ended under this attempt.
    open       INTEGER NOT NULL CHECK (open BETWEEN 0 AND count)
) STRICT;
CREATE INDEX leases_open ON leases (sweep, attempt) WHERE open > 0;

-- Ended attempts, in the order in which they were recorded.
CREATE TABLE attempts (
    entry      INTEGER PRIMARY KEY,
    attempt    INTEGER NOT NULL REFERENCES leases,
    sweep      INTEGER NOT NULL REFERENCES sweeps,
    trajectory INTEGER NOT NULL,
    outcome    TEXT    NOT NULL,
    cause      TEXT,
    ended_at   INTEGER NOT NULL,
    UNIQUE (attempt, trajectory)
) STRICT;
-- What went wrong: few rows, read for people and at every start.
CREATE INDEX attempts_setbacks ON attempts (sweep, entry) WHERE outcome <> 'completed';

-- Trajectories that are done for good, each with its curve in the form of `store/sql/curve.rs`.
CREATE TABLE curves (
    sweep      INTEGER NOT NULL REFERENCES sweeps,
    trajectory INTEGER NOT NULL,
    attempt    INTEGER NOT NULL REFERENCES leases,
    points     BLOB    NOT NULL,
    PRIMARY KEY (sweep, trajectory)
) STRICT;

-- The same trajectories as runs, merged where they touch: what a start reads in place of a million rows.
CREATE TABLE done_runs (
    sweep INTEGER NOT NULL REFERENCES sweeps,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (sweep, first)
) WITHOUT ROWID, STRICT;

-- The one accepted result of each trial.
CREATE TABLE results (
    sweep               INTEGER NOT NULL REFERENCES sweeps,
    trial               INTEGER NOT NULL,
    key                 BLOB    NOT NULL CHECK (length(key) = 32),
    status              TEXT    NOT NULL,
    updates             INTEGER NOT NULL,
    attempts            INTEGER NOT NULL,
    name                INTEGER NOT NULL REFERENCES names,
    seconds             REAL,
    -- The score: all four, or (where the trial has none) no best_update.
    validation_accuracy REAL,
    test_accuracy       REAL,
    best_update         INTEGER,
    score_updates       INTEGER,
    PRIMARY KEY (sweep, trial)
) WITHOUT ROWID, STRICT;

-- Reports under attempts that were no longer leased: evidence, never counted.
CREATE TABLE late_reports (
    entry      INTEGER PRIMARY KEY,
    sweep      INTEGER NOT NULL REFERENCES sweeps,
    trajectory INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    worker     BLOB    NOT NULL CHECK (length(worker) = 16),
    outcome    TEXT    NOT NULL,
    points     BLOB    NOT NULL,
    came_at    INTEGER NOT NULL
) STRICT;
