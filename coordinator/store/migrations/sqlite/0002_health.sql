-- What was measured of a trajectory's layers, in the form of `store/sql/health.rs`; absent where nothing was.
ALTER TABLE curves ADD COLUMN health BLOB;
