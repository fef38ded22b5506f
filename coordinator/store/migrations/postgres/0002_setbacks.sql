-- What a coordinator has to know of setbacks after a restart. What each column is for stands with the SQLite form.

ALTER TABLE attempts ADD COLUMN updates BIGINT;
CREATE INDEX attempts_lost ON attempts (sweep, trajectory) WHERE outcome = 'worker-lost';

ALTER TABLE sweeps ADD COLUMN resumed_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN began_after   BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN ended_before  BIGINT NOT NULL DEFAULT 0;
