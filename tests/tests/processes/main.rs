//! Tests with the real programs as processes. They are one test program, so that those that wait run beside those that compute.
//!
//! | module | contents |
//! |---|---|
//! | `access` | who may do what |
//! | `batch` | workers on a batch system |
//! | `commands` | the commands |
//! | `data` | datasets |
//! | `exports` | exports, read by the programs that people read them with |
//! | `machine` | what surrounds the programs |
//! | `page` | the live page |
//! | `peers` | peers of every kind |
//! | `runs` | runs without and with faults |
//! | `sweeps` | sweeps and their stored results |

mod access;
mod batch;
mod commands;
mod data;
mod exports;
mod machine;
mod page;
mod peers;
mod runs;
mod sweeps;
