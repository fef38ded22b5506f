//! The cost of the page: of its first answers, of a filter and an order, and of open pages while trials are dispatched.

use std::time::Duration;

use biosweep_host::clock::Clock;
use biosweep_server::host::HostError;
use serde::Serialize;
use ureq::Agent;

use super::dispatch::run_watched;
use super::filled::add;
use super::served::{Served, new_home, not_read};
use super::worker::Manner;
use super::{BenchError, spec_of};
use crate::client::ClientError;

/// Number of trials of each of the other sweeps.
const OTHERS: u64 = 1_000;
/// Number of pairs of runs with and without open pages, and trials of each run relative to those of the large sweep.
const PAIRS: usize = 5;
const RUN: u64 = 5;
/// The workers of these runs.
const WORKERS: u32 = 2;
const MANNER: Manner = Manner { lanes: 256, slots: 1, trains: Duration::ZERO };

/// The cost of the page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Paged {
    /// Number of trials of the large sweep.
    pub(crate) trials: u64,
    /// Number of sweeps.
    pub(crate) sweeps: u64,
    /// The answers, in the order of requests.
    pub(crate) answers: Vec<Answer>,
    /// The memory of the coordinator before and after these requests, in MiB.
    pub(crate) before_mib: f64,
    /// The same afterwards.
    pub(crate) after_mib: f64,
    /// Number of pages that were open in half of the runs.
    pub(crate) pages: u32,
    /// Trials per second with open pages, divided by trials per second without, for each pair of runs.
    pub(crate) dispatch_ratios: Vec<f64>,
}

/// One answer of the page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Answer {
    /// What was asked for.
    pub(crate) what: &'static str,
    /// Milliseconds from the request to the last byte.
    pub(crate) ms: f64,
    /// Size in KiB.
    pub(crate) kib: f64,
}

/// Fills a store with sweeps, and measures the page of its coordinator.
pub(crate) async fn page(trials: u64, sweeps: u64, pages: u32) -> Result<Paged, BenchError> {
    let home = new_home()?;
    let failed = |error| ClientError::from(HostError::from(error));
    let store = biosweep_store::open(&home, None).await.map_err(failed)?;
    let mut attempts = 0;
    for _ in 1..sweeps {
        add(store.as_ref(), spec_of(OTHERS), OTHERS, 1, attempts).await.map_err(failed)?;
        attempts += OTHERS;
    }
    let (spec, trials) = spec_with_axes(trials);
    // One trial is left, so that the sweep goes on.
    add(store.as_ref(), spec, trials - 1, 1, attempts).await.map_err(failed)?;
    store.close().await;
    // The store is locked as long as this value lives.
    drop(store);

    let served = Served::start_in(home).await?;
    let before = served.memory()?;
    let mut client = served.client().await?;
    let newest = client.list().await?.into_iter().next_back().ok_or(BenchError::Unfinished)?;
    let sweep = format!("/sweeps/{}", newest.id);
    let answers = vec![
        get(served.url(), "all sweeps", "/".to_owned()).await?,
        get(served.url(), "the sweep, read from the store", sweep.clone()).await?,
        get(served.url(), "the sweep again", sweep.clone()).await?,
        get(served.url(), "sorted", format!("{sweep}?sort=-test")).await?,
        get(served.url(), "filtered", format!("{sweep}?where=rule=fa,depth=3")).await?,
        get(served.url(), "filtered and sorted", format!("{sweep}?where=network=dn&sort=-validation")).await?,
        get(served.url(), "learning curves", format!("{sweep}/curves/curves.svg")).await?,
        get(served.url(), "a heat map", format!("{sweep}/axes")).await?,
        get(served.url(), "a slice", format!("{sweep}/axes/slice.svg")).await?,
    ];
    let after = served.memory()?;
    client.close().await?;
    served.stop().await?;

    let mut dispatch_ratios = Vec::new();
    for _ in 0..PAIRS {
        let alone = run_watched(RUN * trials, WORKERS, MANNER, 0).await?;
        let watched = run_watched(RUN * trials, WORKERS, MANNER, pages).await?;
        dispatch_ratios.push(alone.working_seconds / watched.working_seconds);
    }
    let (before_mib, after_mib) = (before.now_mib, after.now_mib);
    Ok(Paged { trials, sweeps, answers, before_mib, after_mib, pages, dispatch_ratios })
}

/// A sweep with about this many trials, in configurations of four replicates; and their number.
fn spec_with_axes(trials: u64) -> (String, u64) {
    let rates = (trials / 160).max(1);
    let listed: Vec<String> = (1..=rates).map(|rate| format!("{rate}e-6")).collect();
    let spec = format!(
        "name = \"large\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n[grid]\n\
         rule = [\"bp\", \"fa\"]\nnetwork = [\"nn\", \"dn\"]\ndepth = {{ from = 1, count = 10 }}\n\
         learning_rate = [{}]\nfold = {{ from = 0, count = 4 }}\n",
        listed.join(", ")
    );
    (spec, 160 * rates)
}

async fn get(url: &str, what: &'static str, path: String) -> Result<Answer, BenchError> {
    let address = format!("{url}{path}");
    let answered = tokio::task::spawn_blocking(move || {
        let clock = Clock::start();
        let bytes =
            Agent::new_with_defaults().get(&address).call().and_then(|mut answer| answer.body_mut().read_to_vec());
        bytes.map(|bytes| (clock.seconds(), bytes.len()))
    });
    let (seconds, bytes) =
        answered.await.expect("a request does not panic").map_err(|source| not_read(path, source))?;
    Ok(Answer { what, ms: seconds * 1e3, kib: bytes as f64 / 1024.0 })
}
