//! Programs and packages that a test needs and that are not part of every machine.
//!
//! | module | contents |
//! |---|---|
//! | [`clock`] | another time for a program |
//! | [`kubernetes`] | what checks a Helm chart, services and a package |
//! | [`prometheus`] | Prometheus |
//! | [`wheels`] | a Python environment with the wheels of this project |

pub mod clock;
pub mod kubernetes;
pub mod prometheus;
pub mod wheels;
