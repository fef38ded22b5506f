-- Why a sweep stands still, retries, quarantine, and a count of commits.

ALTER TABLE sweeps ADD COLUMN reason TEXT;

-- Whether a retry has been granted since: a forgiven failure no longer counts against the retries.
ALTER TABLE attempts ADD COLUMN forgiven INTEGER NOT NULL DEFAULT 0;
CREATE INDEX attempts_failed ON attempts (sweep, trajectory) WHERE outcome = 'failed';

-- A late report that is said again is the same evidence.
DELETE FROM late_reports WHERE entry NOT IN (SELECT min(entry) FROM late_reports GROUP BY attempt, trajectory, worker);
CREATE UNIQUE INDEX late_reports_once ON late_reports (attempt, trajectory, worker);

-- Workers that get nothing until they are released.
CREATE TABLE quarantined (
    worker BLOB    PRIMARY KEY CHECK (length(worker) = 16),
    name   TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    since  INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- How many transactions were committed: what tells, after a connection broke in the middle of one, whether it was.
CREATE TABLE commits (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO commits (one, last) VALUES (1, 0);
