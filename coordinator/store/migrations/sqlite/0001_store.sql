-- The store. Times are milliseconds since 1970. States, outcomes and statuses are stored by their names for users. Tables refer to
-- a sweep by a small number, so that a key costs a few bytes.

-- A deleted sweep keeps its row, without its texts, in the state 'deleted': reused results of other sweeps refer to it.
CREATE TABLE sweeps (
    sweep         INTEGER PRIMARY KEY,
    id            BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    name          TEXT    NOT NULL,
    spec_text     TEXT    NOT NULL,
    spec_format   TEXT    NOT NULL,
    -- The spec in TOML with every default. Trials are read from it.
    spec_resolved TEXT    NOT NULL,
    digest        TEXT    NOT NULL,
    trials        INTEGER NOT NULL,
    trajectories  INTEGER NOT NULL,
    submitted_at  INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    state_at      INTEGER NOT NULL,
    -- The reason of the state, such as why the sweep is paused.
    reason        TEXT,
    -- Counts of results by status, updated with every result: counting them later would read all rows.
    completed     INTEGER NOT NULL DEFAULT 0,
    diverged      INTEGER NOT NULL DEFAULT 0,
    failed        INTEGER NOT NULL DEFAULT 0,
    reused        INTEGER NOT NULL DEFAULT 0,
    -- The last entry of `attempts` when the sweep was last resumed, and when it last began to run. A resume is also such a beginning.
    resumed_after INTEGER NOT NULL DEFAULT 0,
    began_after   INTEGER NOT NULL DEFAULT 0,
    -- Number of trajectories that had completed or diverged when the sweep last began to run.
    ended_before  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Spec texts that were added to sweeps after their submission, in order.
CREATE TABLE extensions (
    entry       INTEGER PRIMARY KEY,
    sweep       INTEGER NOT NULL REFERENCES sweeps,
    text        TEXT    NOT NULL,
    format      TEXT    NOT NULL,
    resolved    TEXT    NOT NULL,
    extended_at INTEGER NOT NULL
) STRICT;

-- Names of workers with their numeric environments, each stored once.
CREATE TABLE trainers (
    trainer     INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL,
    -- The numeric environment as JSON; empty if it is unknown.
    environment TEXT    NOT NULL,
    UNIQUE (name, environment)
) STRICT;

-- Runs of trajectories under one fencing number.
CREATE TABLE leases (
    attempt    INTEGER PRIMARY KEY,
    sweep      INTEGER NOT NULL REFERENCES sweeps,
    first      INTEGER NOT NULL,
    count      INTEGER NOT NULL CHECK (count > 0),
    worker     BLOB    NOT NULL CHECK (length(worker) = 16),
    trainer    INTEGER NOT NULL REFERENCES trainers,
    granted_at INTEGER NOT NULL,
    -- Trajectories that have not ended under this attempt.
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
    -- Updates done when the attempt ended, as last reported.
    updates    INTEGER,
    -- 1 after a retry was granted: the failure no longer counts.
    forgiven   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (attempt, trajectory)
) STRICT;
-- Few rows, read for users and at every start.
CREATE INDEX attempts_incomplete ON attempts (sweep, entry) WHERE outcome <> 'completed';
CREATE INDEX attempts_failed ON attempts (sweep, trajectory) WHERE outcome = 'failed';
CREATE INDEX attempts_lost ON attempts (sweep, trajectory) WHERE outcome = 'worker-lost';

-- Trajectories that have ended for good. A curve has no foreign key to its lease: the deletion of leases would need an index on
-- it, and every report would pay for that index.
CREATE TABLE curves (
    sweep             INTEGER NOT NULL REFERENCES sweeps,
    trajectory        INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    -- The encoding is that of `sql/curve.rs`; empty for a reused curve.
    points            BLOB    NOT NULL,
    -- The encoding is that of `sql/diagnostics.rs`; NULL where nothing was measured.
    diagnostics       BLOB,
    -- The trajectory that the curve is reused from; the trajectory itself if it keeps the curve of a deleted sweep.
    source_sweep      INTEGER REFERENCES sweeps,
    source_trajectory INTEGER,
    PRIMARY KEY (sweep, trajectory)
) STRICT;
CREATE INDEX curves_reused ON curves (sweep) WHERE source_sweep IS NOT NULL;

-- The same trajectories as runs, merged where they touch: a start reads these rows and not a million others.
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
    trainer             INTEGER NOT NULL REFERENCES trainers,
    seconds             REAL,
    -- The score: all four columns, or none. A trial without a score has no best_update.
    validation_accuracy REAL,
    test_accuracy       REAL,
    best_update         INTEGER,
    score_updates       INTEGER,
    -- The trial that the result is reused from.
    source_sweep        INTEGER REFERENCES sweeps,
    source_trial        INTEGER,
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
-- A repeated late report is the same evidence.
CREATE UNIQUE INDEX late_reports_once ON late_reports (attempt, trajectory, worker);

-- Workers that get no work until they are released.
CREATE TABLE quarantined (
    worker BLOB    PRIMARY KEY CHECK (length(worker) = 16),
    name   TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    since  INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- The number of committed transactions. After a connection has broken during a commit, it shows whether that commit was written.
CREATE TABLE commits (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO commits (one, last) VALUES (1, 0);

-- The id of this store. Workers report to the coordinator of the store that their lease came from.
CREATE TABLE identity (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id  BLOB    NOT NULL CHECK (length(id) = 16)
) STRICT;
INSERT INTO identity (one, id) VALUES (1, randomblob(16));
