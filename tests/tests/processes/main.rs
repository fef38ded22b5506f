//! Tests with the real programs as processes. They are one test program, so that those that wait run beside those that compute.
//!
//! | module | contents |
//! |---|---|
//! | `access` | who may do what |
//! | `commands` | the commands |
//! | `data` | datasets |
//! | `exports` | exports, read by the programs that people read them with |
//! | `machine` | what surrounds the programs |
//! | `page` | the live page |
//! | `peers` | peers of every kind |
//! | `runs` | runs without and with faults |
//! | `slurm` | workers on a Slurm cluster |
//! | `sweeps` | sweeps and their stored results |

mod access;
mod commands;
mod data;
mod exports;
mod machine;
mod page;
mod peers;
mod runs;
mod slurm;
mod sweeps;
