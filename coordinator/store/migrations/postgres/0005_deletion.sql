-- Sweeps that are deleted. What this is for stands with the SQLite form.
ALTER TABLE curves DROP CONSTRAINT curves_attempt_fkey;
