//! The execution options of a sweep.

use std::fmt;
use std::fmt::Write as _;

use super::document::node::{Key, Kind, Node};
use super::document::notation::how_to_write;
use super::document::written::{list, quoted};
use super::error::{ErrorList, unknown};
use crate::workers::capability::{MEMORY_GB_MAX, Requirement};
use crate::workers::flags;

/// The execution options: how a sweep runs, not what it trains.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionOptions {
    /// Maximum number of attempts after the first for a trajectory that fails.
    pub retries_max: u32,
    /// Seconds between two checkpoints of a trajectory.
    pub checkpoint_every_s: f64,
    /// Whether trials that differ only in their stopping rule are trained once.
    pub share: bool,
    /// Which results that the store already has are reused.
    pub reuse: Reuse,
    /// Sweeps of a higher priority are granted first.
    pub priority: i32,
    /// Its share of the workers among running sweeps of its priority.
    pub weight: u32,
    /// The requirement for its workers.
    pub require: Requirement,
}

impl Default for ExecutionOptions {
    fn default() -> Self {
        Self {
            retries_max: 2,
            checkpoint_every_s: 60.0,
            share: true,
            reuse: Reuse::Always,
            priority: 0,
            weight: 1,
            require: Requirement::default(),
        }
    }
}

/// Which stored results a sweep reuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// All results of its trials. In a spec: true.
    Always,
    /// Results that one of its own workers would repeat to the last bit. In a spec: "same-cpu-class".
    SameCpuClass,
    /// None. In a spec: false.
    Never,
}

/// The value of `reuse` for [`Reuse::SameCpuClass`].
const SAME_CPU_CLASS: &str = "same-cpu-class";

impl fmt::Display for Reuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "true",
            Self::SameCpuClass => SAME_CPU_CLASS,
            Self::Never => "false",
        })
    }
}

pub(super) const CHECKPOINT_EVERY_S: &str = "checkpoint_every_s";
/// The keys of execution options, except `checkpoint_every_s`, which may also be under `train`.
pub(super) const KEYS: [&str; 6] = ["retries", "share", "reuse", "priority", "weight", "require"];

const CHECKPOINT_EVERY_S_MAX: f64 = 1e6;
/// Maximum weight; the minimum is 1.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// Maximum priority; the minimum is its negative.
pub const PRIORITY_MAX: i32 = 1_000_000;
const REQUIRE_KEYS: [&str; 3] = ["device", "memory_gb", "labels"];
const DEVICE_KINDS: [&str; 2] = ["cpu", "cuda"];

/// Reads the entries at the top; `checkpoint_every_s` was found there or under `train`.
pub(super) fn read(
    entries: &[(Key, Node)],
    checkpoint_every_s: Option<(&Node, String)>,
    errors: &mut ErrorList<'_>,
) -> ExecutionOptions {
    let mut execution = ExecutionOptions::default();
    if let Some((node, place)) = checkpoint_every_s {
        let help = "it takes a number of seconds above 0, at most a million";
        let seconds = |kind: &Kind| number(kind).filter(|seconds| *seconds > 0.0 && *seconds <= CHECKPOINT_EVERY_S_MAX);
        if let Some(seconds) = valid(seconds, CHECKPOINT_EVERY_S, node, &place, help, errors) {
            execution.checkpoint_every_s = seconds;
        }
    }
    for (key, node) in entries.iter().filter(|(key, _)| KEYS.contains(&key.name.as_str())) {
        entry(&key.name, node, &mut execution, errors);
    }
    execution
}

fn entry(key: &str, node: &Node, execution: &mut ExecutionOptions, errors: &mut ErrorList<'_>) {
    match key {
        "retries" => {
            let retries = |kind: &Kind| whole(kind).and_then(|number| u32::try_from(number).ok());
            let read = valid(retries, key, node, key, "it takes a whole number, 0 or above", errors);
            execution.retries_max = read.unwrap_or(execution.retries_max);
        }
        "share" => execution.share = valid(truth, key, node, key, "it is true or false", errors).unwrap_or(true),
        "reuse" => {
            let help = format!("it is true, false or \"{SAME_CPU_CLASS}\"");
            execution.reuse = valid(reuse, key, node, key, &help, errors).unwrap_or(Reuse::Always);
        }
        "priority" => {
            let among = |number: &i32| (-PRIORITY_MAX..=PRIORITY_MAX).contains(number);
            let priority = |kind: &Kind| whole(kind).and_then(|number| i32::try_from(number).ok()).filter(among);
            let help = format!("it takes a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}");
            execution.priority = valid(priority, key, node, key, &help, errors).unwrap_or_default();
        }
        "weight" => {
            let among = |number: &u32| (1..=WEIGHT_MAX).contains(number);
            let weight = |kind: &Kind| whole(kind).and_then(|number| u32::try_from(number).ok()).filter(among);
            let help = format!("it takes a whole number from 1 to {WEIGHT_MAX}");
            execution.weight = valid(weight, key, node, key, &help, errors).unwrap_or(1);
        }
        _ => require(node, &mut execution.require, errors),
    }
}

fn label(node: &Node, place: &str, errors: &mut ErrorList<'_>) -> Option<String> {
    let label = text(&node.kind).and_then(|text| flags::name(&text).ok());
    if label.is_none() {
        let message = format!("a label cannot be {}", node.kind.describe());
        errors.add(&node.span, place, message, "use a label that workers were started with, such as \"a100\"");
    }
    label
}

fn require(node: &Node, require: &mut Requirement, errors: &mut ErrorList<'_>) {
    const HELP: &str = "write for example { device = \"cuda\", memory_gb = 16, labels = [\"a100\"] }";
    let Kind::Table(entries) = &node.kind else {
        return refuse("require", node, "require", HELP, errors);
    };
    for (key, node) in entries {
        let place = format!("require.{}", key.name);
        match key.name.as_str() {
            name @ "device" => {
                let device = |kind: &Kind| text(kind).filter(|device| DEVICE_KINDS.contains(&device.as_str()));
                let help = format!("it takes one of {}", DEVICE_KINDS.join(", "));
                require.device = valid(device, name, node, &place, &help, errors);
            }
            name @ "memory_gb" => {
                let among = |gigabytes: &f64| *gigabytes > 0.0 && *gigabytes <= MEMORY_GB_MAX;
                let gigabytes = |kind: &Kind| number(kind).filter(among);
                let help = "it takes a number of gigabytes (10⁹ bytes) above 0, at most a million";
                let gigabytes = valid(gigabytes, name, node, &place, help, errors);
                require.memory_bytes = gigabytes.map_or(0, bytes_of);
            }
            name @ "labels" => {
                let help = "it is a list of labels that workers were started with, such as [\"a100\"]";
                match &node.kind {
                    Kind::List(items) => {
                        require.labels = items.iter().filter_map(|item| label(item, &place, errors)).collect();
                    }
                    _ => refuse(name, node, &place, help, errors),
                }
            }
            _ => unknown(key, &place, "requirement", REQUIRE_KEYS, errors),
        }
    }
}

pub(super) fn text(kind: &Kind) -> Option<String> {
    match kind {
        Kind::Text(text) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn number(kind: &Kind) -> Option<f64> {
    match kind {
        Kind::Integer(number) => Some(*number as f64),
        Kind::Real(number) => Some(*number),
        _ => None,
    }
}

fn whole(kind: &Kind) -> Option<i128> {
    match kind {
        Kind::Integer(number) => Some(*number),
        _ => None,
    }
}

fn truth(kind: &Kind) -> Option<bool> {
    match kind {
        Kind::Boolean(truth) => Some(*truth),
        _ => None,
    }
}

fn reuse(kind: &Kind) -> Option<Reuse> {
    match kind {
        Kind::Boolean(true) => Some(Reuse::Always),
        Kind::Boolean(false) => Some(Reuse::Never),
        Kind::Text(text) if text == SAME_CPU_CLASS => Some(Reuse::SameCpuClass),
        _ => None,
    }
}

/// Writes every option as TOML, so that [`read`] finds the same options.
pub(super) fn write(execution: &ExecutionOptions, text: &mut String) {
    let ExecutionOptions { retries_max, checkpoint_every_s, share, reuse, priority, weight, require } = execution;
    let reuse = match reuse {
        Reuse::SameCpuClass => quoted(SAME_CPU_CLASS),
        Reuse::Always | Reuse::Never => reuse.to_string(),
    };
    let _fits = write!(
        text,
        "retries = {retries_max}\n{CHECKPOINT_EVERY_S} = {checkpoint_every_s:?}\nshare = {share}\nreuse = {reuse}\n\
         priority = {priority}\nweight = {weight}\n"
    );
    let device = require.device.as_ref().map(|device| format!("device = {}", quoted(device)));
    let memory = (require.memory_bytes > 0).then(|| format!("memory_gb = {:?}", gigabytes(require.memory_bytes)));
    let labels = list(require.labels.iter().map(|label| quoted(label)));
    let labels = (!require.labels.is_empty()).then(|| format!("labels = {labels}"));
    let required: Vec<String> = [device, memory, labels].into_iter().flatten().collect();
    if !required.is_empty() {
        let _fits = writeln!(text, "require = {{ {} }}", required.join(", "));
    }
}

/// A number of gigabytes that is read as this number of bytes.
fn gigabytes(bytes: u64) -> f64 {
    let nearest = bytes as f64 / 1e9;
    // The reader rounds up.
    if bytes_of(nearest) > bytes { nearest.next_down() } else { nearest }
}

fn bytes_of(gigabytes: f64) -> u64 {
    (gigabytes * 1e9).ceil() as u64
}

/// The result of `read` for a node; if there is none, adds an error.
pub(super) fn valid<T>(
    read: impl Fn(&Kind) -> Option<T>,
    name: &str,
    node: &Node,
    place: &str,
    help: &str,
    errors: &mut ErrorList<'_>,
) -> Option<T> {
    let value = read(&node.kind);
    if value.is_none() {
        let written = how_to_write(&node.kind, |kind| read(kind).is_some());
        refuse(name, node, place, written.as_deref().unwrap_or(help), errors);
    }
    value
}

fn refuse(name: &str, node: &Node, place: &str, help: &str, errors: &mut ErrorList<'_>) {
    errors.add(&node.span, place, format!("`{name}` cannot be {}", node.kind.describe()), help);
}

#[cfg(test)]
mod tests {
    use super::Reuse;
    use crate::spec::{ExecutionOptions, Format, SweepSpec};

    fn parse(lines: &str) -> Result<SweepSpec, String> {
        let text = format!(
            "{lines}\nname = \"t\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n\
             max_updates = [1, 2]\n"
        );
        SweepSpec::parse(&text, Format::Toml, "t").map_err(|errors| errors.to_string())
    }

    #[test]
    fn execution_options_are_read_and_have_defaults() {
        assert_eq!(parse("").map(|spec| spec.execution), Ok(ExecutionOptions::default()));
        let spec = parse(
            "share = false\nreuse = false\npriority = -3\nweight = 7\nretries = 0\ncheckpoint_every_s = 1.5\n\
             require = { device = \"cuda\", memory_gb = 0.5, labels = [\"b\", \"a\"] }",
        );
        let spec = spec.expect("valid");
        let ExecutionOptions { retries_max, checkpoint_every_s, share, reuse, priority, weight, require } =
            spec.execution;
        assert_eq!(
            (retries_max, checkpoint_every_s, share, reuse, priority, weight),
            (0, 1.5, false, Reuse::Never, -3, 7)
        );
        assert_eq!(require.to_string(), "device cuda, 0.5 GB of memory, label a, label b");
        assert_eq!(spec.grid.trajectories(), 2, "each trial is a trajectory");
    }

    #[test]
    fn without_sharing_the_number_of_stopping_rules_is_not_limited() {
        let text = "name = \"t\"\nshare = false\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\n\
                    depth = 1\nmax_updates = { from = 1, to = 10_001 }\n";
        let grid = SweepSpec::parse(text, Format::Toml, "t").expect("valid").grid;
        assert_eq!((grid.trials(), grid.trajectories()), (10_001, 10_001));
    }

    #[test]
    fn an_error_in_an_execution_option_says_what_it_takes() {
        for (lines, expected) in [
            ("share = 1", "t:1:9: share: `share` cannot be the whole number 1; it is true or false"),
            ("reuse = \"no\"", "t:1:9: reuse: `reuse` cannot be the text \"no\"; write false"),
            ("retries = \"3\"", "t:1:11: retries: `retries` cannot be the text \"3\"; write 3"),
            (
                "weight = \"0\"",
                "t:1:10: weight: `weight` cannot be the text \"0\"; it takes a whole number from 1 to 1000000",
            ),
            (
                "weight = 0",
                "t:1:10: weight: `weight` cannot be the whole number 0; it takes a whole number from 1 to 1000000",
            ),
            (
                "priority = 0.5",
                "t:1:12: priority: `priority` cannot be the number 0.5; it takes a whole number from -1000000 to 1000000",
            ),
            (
                "require = \"cuda\"",
                "t:1:11: require: `require` cannot be the text \"cuda\"; write for example { device = \"cuda\", \
                 memory_gb = 16, labels = [\"a100\"] }",
            ),
            (
                "require = { device = \"cuda:0\" }",
                "t:1:22: require.device: `device` cannot be the text \"cuda:0\"; it takes one of cpu, cuda",
            ),
            (
                "require = { memory_gb = -1 }",
                "t:1:25: require.memory_gb: `memory_gb` cannot be the whole number -1; it takes a number of gigabytes \
                 (10⁹ bytes) above 0, at most a million",
            ),
            (
                "require = { labels = [1] }",
                "t:1:23: require.labels: a label cannot be the whole number 1; use a label that workers were started with, \
                 such as \"a100\"",
            ),
            (
                "require = { labels = [\" \"] }",
                "t:1:23: require.labels: a label cannot be the text \" \"; use a label that workers were started with, \
                 such as \"a100\"",
            ),
            (
                "require = { gpu = 1 }",
                "t:1:13: require.gpu: unknown requirement `gpu`; known here: device, memory_gb, labels",
            ),
        ] {
            assert_eq!(parse(lines).map(|spec| spec.execution), Err(expected.to_owned()), "{lines}");
        }
    }

    #[test]
    fn options_that_do_not_affect_results_do_not_change_the_digest() {
        let digest = |lines: &str| parse(lines).map(|spec| spec.digest()).expect("valid");
        let plain = digest("");
        assert_eq!(plain, digest("priority = 1\nweight = 2\nrequire = { device = \"cpu\" }\ncheckpoint_every_s = 1"));
        assert_ne!(plain, digest("share = false"));
        let others = ["reuse = false", "reuse = \"same-cpu-class\""].map(digest);
        assert!(plain != others[0] && plain != others[1] && others[0] != others[1]);
        assert_eq!(plain, digest("reuse = true"));
    }
}
