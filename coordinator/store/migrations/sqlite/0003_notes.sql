-- The note that a user wrote to a sweep: why it was run, what was seen. NULL without one.
ALTER TABLE sweeps ADD COLUMN note TEXT;
