//! Tests of the scheduler, without time, network or disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::protocol::messages::{
    Grant, Held, Hello, Progress, Report, ToCoordinator, ToWorker, WorkerDescription,
};
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::vocabulary::time::{Tick, WallTime};
use biosweep_common::workers::capability::Capabilities;
use uuid::Uuid;

use crate::event::{Action, Event, Notice, Now};
use crate::record::{LeaseRow, Record, Restored, RestoredSweep, Submission, SweepRow, TrialResult};
use crate::scheduler::{Scheduler, Timeouts};
use crate::tables::out_of_scope::OutOfScope;
use crate::tables::pending::PreparedSpec;
use crate::tables::sweep::Sweep;
use crate::tables::worker::Worker;
use crate::testing::*;

mod commands;
mod extensions;
mod failures;
mod grants;
mod histories;
mod invariants;
mod lives;
mod reuse;
