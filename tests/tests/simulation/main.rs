//! A seeded simulation with faults. It runs the real batcher and scheduler, the worker's real session and the memory store
//! without real time, threads or network.
//!
//! | module | contents |
//! |---|---|
//! | `world` | the queue of simulated events: messages, crashes, takeovers, partitions, failed commits, commands of users |
//! | `exploration` | all interleavings of a small world |
//! | `process` | the processes of a coordinator and a worker |
//!
//! A world is determined by its seed: the same seed gives the same history. Like gRPC streams, streams deliver messages in order
//! until they break. Messages in flight are then lost or arrive late. In addition, reports are repeated and reordered, as a faulty
//! client might do.

mod exploration;
mod process;
mod restarts;
mod world;

use std::collections::BTreeMap;

use world::{Faults, World};

/// The total number of steps of all worlds of one test.
const STEPS: u64 = 1_000_000;

/// A number from an environment variable, or its default.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Runs a world to its end and compares its results with a world without faults; returns the number of steps.
fn run(seed: u64) -> u64 {
    let mut world = World::new(seed, Faults::all(seed));
    let outcome = world.run().and_then(|()| {
        let mut calm = World::new(seed, Faults::none());
        calm.run()?;
        let (found, expected) = (world.results(), calm.results());
        if found == expected { Ok(()) } else { Err(difference(&found, &expected)) }
    });
    if let Err(broken) = outcome {
        panic!(
            "{broken}\nafter {} steps of the world of seed {seed}; repeat it with\n  \
             BIOSWEEP_SEED={seed} cargo test --release -p biosweep-tests --test simulation\nits last steps:\n{}",
            world.steps(),
            world.last_steps()
        );
    }
    world.steps()
}

fn difference<K: std::fmt::Debug + Ord, V: std::fmt::Debug + PartialEq>(
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
) -> String {
    for (key, value) in expected {
        match found.get(key) {
            Some(other) if other == value => {}
            other => return format!("{key:?} has {other:?}, but without faults {value:?}"),
        }
    }
    "there are results that do not exist without faults".to_owned()
}

#[test]
fn faults_do_not_change_the_results() {
    let mut steps = 0;
    let first = number("BIOSWEEP_SEED", 1);
    let mut seed = first;
    while steps < number("BIOSWEEP_STEPS", STEPS) {
        steps += run(seed);
        seed += 1;
    }
    println!("{steps} steps in {} worlds", seed - first);
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let history = |seed| {
        let mut world = World::new(seed, Faults::all(seed));
        world.run().expect("the world ends without an error");
        (world.steps(), world.last_steps())
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}
