//! `biosweep-worker`: one process, one device, one bundle at a time.
fn main() {}
