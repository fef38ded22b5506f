-- What a coordinator has to know of setbacks after a restart.

-- Updates that were heard to be done when the attempt ended; not known of those that ended before this column was there.
ALTER TABLE attempts ADD COLUMN updates INTEGER;
CREATE INDEX attempts_lost ON attempts (sweep, trajectory) WHERE outcome = 'worker-lost';

-- The last attempt that had ended when the sweep was last resumed, and when it last began to run, be it by that; and the
-- trajectories that had completed or diverged then.
ALTER TABLE sweeps ADD COLUMN resumed_after INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN began_after   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN ended_before  INTEGER NOT NULL DEFAULT 0;
