//! The real scheduler, the worker's real session and the memory store in a seeded world without time, threads or network,
//! in which everything that can go wrong does.
//!
//! | module | contents |
//! |---|---|
//! | `world` | what happens next: messages, crashes, partitions, commits that fail, people who interfere |
//! | `exploration` | every interleaving of a small world |
//! | `process` | a coordinator and a worker, each alive or not |
//!
//! A world is its seed: the same seed is the same history. Streams deliver in order until they break, as gRPC's do; what
//! was on its way then is lost, and what an old stream still delivers comes late. Beyond that, reports are repeated and
//! reordered, as by a client that misbehaves.

mod exploration;
mod process;
mod restarts;
mod world;

use std::collections::BTreeMap;

use world::{Faults, World};

/// Steps that all worlds of one test take together.
const STEPS: u64 = 3_000_000;

/// A number of a test's: another one where this variable says so.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(default)
}

/// Runs a world to its end; how many steps it took.
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
            "{broken}\nafter {} steps of the world of seed {seed}; see it again with\n  \
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
            other => return format!("{key:?} has {other:?}, and without faults {value:?}"),
        }
    }
    "there are results that there are not without faults".to_owned()
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
        world.run().expect("a world that ends well");
        (world.steps(), world.last_steps())
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}
