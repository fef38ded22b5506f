-- A sweep that is deleted leaves its row, emptied and in the state 'deleted'. Its leases go, save for those that say who
-- trained a curve that others keep; so curves refer to no lease: to look for those of each lease that goes would take an
-- index that every report pays for.
CREATE TABLE curves_without_leases (
    sweep             INTEGER NOT NULL REFERENCES sweeps,
    trajectory        INTEGER NOT NULL,
    attempt           INTEGER NOT NULL,
    points            BLOB    NOT NULL,
    health            BLOB,
    source_sweep      INTEGER REFERENCES sweeps,
    -- Of a curve whose sweep was deleted: the trajectory itself, which keeps it.
    source_trajectory INTEGER,
    PRIMARY KEY (sweep, trajectory)
) STRICT;
INSERT INTO curves_without_leases (sweep, trajectory, attempt, points, health, source_sweep, source_trajectory)
    SELECT sweep, trajectory, attempt, points, health, source_sweep, source_trajectory FROM curves;
DROP TABLE curves;
ALTER TABLE curves_without_leases RENAME TO curves;
CREATE INDEX curves_reused ON curves (sweep) WHERE source_sweep IS NOT NULL;
