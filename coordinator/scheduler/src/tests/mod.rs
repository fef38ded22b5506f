//! The scheduler's claims, each tried in a world without time, network or disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::protocol::messages::{
    Grant, Held, Hello, Progress, Report, ToCoordinator, ToWorker, WorkerDescription,
};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::time::{Tick, WallTime};
use uuid::Uuid;

use super::event::{Action, Event, Notice, Now};
use super::record::{LeaseRow, Record, Restored, RestoredSweep, Submission, SweepRow, TrialResult};
use super::scheduler::{Scheduler, Timeouts};
use super::scope::OutOfScope;
use super::sweep::Sweep;
use super::testing::*;
use super::worker::Worker;

mod commands;
mod extensions;
mod failures;
mod grants;
mod histories;
mod invariants;
mod lives;
mod reuse;
