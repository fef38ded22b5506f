-- Results found before and taken over: from which trial, and whose curve theirs is. Such a curve has no points of its own.
ALTER TABLE results ADD COLUMN source_sweep INTEGER REFERENCES sweeps;
ALTER TABLE results ADD COLUMN source_trial INTEGER;
ALTER TABLE curves ADD COLUMN source_sweep INTEGER REFERENCES sweeps;
ALTER TABLE curves ADD COLUMN source_trajectory INTEGER;
CREATE INDEX curves_reused ON curves (sweep) WHERE source_sweep IS NOT NULL;
ALTER TABLE sweeps ADD COLUMN reused INTEGER NOT NULL DEFAULT 0;

-- What was added to sweeps after their submission: spec texts, in order.
CREATE TABLE extensions (
    entry       INTEGER PRIMARY KEY,
    sweep       INTEGER NOT NULL REFERENCES sweeps,
    text        TEXT    NOT NULL,
    format      TEXT    NOT NULL,
    extended_at INTEGER NOT NULL
) STRICT;
