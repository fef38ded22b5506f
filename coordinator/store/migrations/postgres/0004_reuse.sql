-- Results found before and taken over. What each column is for stands with the SQLite form.

ALTER TABLE results ADD COLUMN source_sweep BIGINT REFERENCES sweeps;
ALTER TABLE results ADD COLUMN source_trial BIGINT;
ALTER TABLE curves ADD COLUMN source_sweep BIGINT REFERENCES sweeps;
ALTER TABLE curves ADD COLUMN source_trajectory BIGINT;
CREATE INDEX curves_reused ON curves (sweep) WHERE source_sweep IS NOT NULL;
ALTER TABLE sweeps ADD COLUMN reused BIGINT NOT NULL DEFAULT 0;

CREATE TABLE extensions (
    entry       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sweep       BIGINT NOT NULL REFERENCES sweeps,
    text        TEXT   NOT NULL,
    format      TEXT   NOT NULL,
    extended_at BIGINT NOT NULL
);
