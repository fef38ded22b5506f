//! Checkpoint encoding: the state of a lane as a safetensors file.
//!
//! | tensor | contents |
//! |---|---|
//! | `update`, `loss_count` (u64), `loss_sum` (f64) | the position |
//! | `curve.update` (u64), `curve.train_loss`, `curve.validation_accuracy`, `curve.test_accuracy` (f64), `curve.has_test` (u8) | the evaluations |
//! | `diagnostics.update` (u64), `diagnostics.layer` (u32), `diagnostics.measure` (u8: indices in the list `measures`), `diagnostics.value` (f64) | the diagnostics |
//! | `steps.…` (u64) | the number of steps of each optimiser |
//! | `lane.NAME.L.weight`, `lane.NAME.L.bias` (f32) | parameters and optimiser state of layer L, each with its shape |
//!
//! The metadata has `form` (the format), the trajectory's `key`, `measures`, and `hash`: BLAKE3 over everything else,
//! in the order of names.

use std::collections::{BTreeMap, HashMap};

use biosweep_common::configuration::{Configuration, Hyperparameters, Shape, StoppingRule, TrialKey};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::model::saved::SavedTensor;
use crate::train::LaneState;

/// The name of the format. Another format has another number.
const FORMAT: &str = "biosweep checkpoint 2";
/// The prefix of the names of a lane's tensors.
const LANE: &str = "lane.";

/// The prefix of the names of numbers of steps.
const STEPS: &str = "steps.";

/// The error of a decoded checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The bytes are damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The checkpoint has the format of another version.
    #[error("it has the format `{0}`, which this version does not read")]
    UnknownFormat(String),
    /// The checkpoint belongs to another trajectory, another dataset or another version of the engine.
    #[error("it is of another trajectory, dataset or engine: its key is {0}")]
    OtherTrajectory(String),
}

/// The key of a trajectory: the key of its trial that never stops.
#[must_use]
pub fn key(shape: &Shape, hyperparameters: Hyperparameters) -> TrialKey {
    let stopping_rule = StoppingRule { max_updates: u64::MAX, early_stop: None };
    Configuration { shape: shape.clone(), hyperparameters, stopping_rule }.key()
}

/// Encodes a state.
#[must_use]
pub fn encode(key: TrialKey, state: &LaneState) -> Vec<u8> {
    let mut tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let mut put = |name: &str, dtype: Dtype, bytes: Vec<u8>| {
        let shape = vec![bytes.len() / (dtype.bitsize() / 8)];
        tensors.insert(name.to_owned(), (dtype, shape, bytes));
    };
    let (curve, diagnostics) = (&state.curve, &state.diagnostics);
    let of_curve =
        |column: fn(&CurvePoint) -> f64| curve.iter().flat_map(|point| column(point).to_le_bytes()).collect();
    put("update", Dtype::U64, state.update.to_le_bytes().to_vec());
    put("loss_count", Dtype::U64, state.loss_count.to_le_bytes().to_vec());
    put("loss_sum", Dtype::F64, state.loss_sum.to_le_bytes().to_vec());
    put("curve.update", Dtype::U64, curve.iter().flat_map(|point| point.update.to_le_bytes()).collect());
    put("curve.train_loss", Dtype::F64, of_curve(|point| point.train_loss));
    put("curve.validation_accuracy", Dtype::F64, of_curve(|point| point.validation_accuracy));
    put("curve.test_accuracy", Dtype::F64, of_curve(|point| point.test_accuracy.unwrap_or(0.0)));
    put("curve.has_test", Dtype::U8, curve.iter().map(|point| u8::from(point.test_accuracy.is_some())).collect());
    put("diagnostics.update", Dtype::U64, diagnostics.iter().flat_map(|point| point.update.to_le_bytes()).collect());
    put("diagnostics.layer", Dtype::U32, diagnostics.iter().flat_map(|point| point.layer.to_le_bytes()).collect());
    put("diagnostics.measure", Dtype::U8, diagnostics.iter().map(|point| point.measure as u8).collect());
    put("diagnostics.value", Dtype::F64, diagnostics.iter().flat_map(|point| point.value.to_le_bytes()).collect());
    for (name, steps) in &state.steps {
        put(&format!("{STEPS}{name}"), Dtype::U64, steps.to_le_bytes().to_vec());
    }
    for (name, SavedTensor { shape, values }) in &state.tensors {
        let bytes = values.iter().flat_map(|number| number.to_le_bytes()).collect();
        tensors.insert(format!("{LANE}{name}"), (Dtype::F32, shape.clone(), bytes));
    }
    let measures = Measure::NAMES.join(" ");
    let metadata = [("form", FORMAT.to_owned()), ("key", key.to_string()), ("measures", measures)];
    let mut metadata: HashMap<String, String> =
        metadata.into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    let view = |dtype: &Dtype, shape: &[usize], bytes| {
        TensorView::new(*dtype, shape.to_vec(), bytes).expect("as many bytes as the shape says")
    };
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| (name.as_str(), view(dtype, shape, bytes)));
    let views: Vec<(&str, TensorView<'_>)> = views.collect();
    metadata.insert("hash".to_owned(), hash(&metadata, &views));
    safetensors::serialize(views, Some(metadata)).expect("tensors as long as they say")
}

/// The hash of everything but the hash, each item with its length before it.
fn hash(metadata: &HashMap<String, String>, tensors: &[(&str, TensorView<'_>)]) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut take = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    let metadata: BTreeMap<_, _> = metadata.iter().filter(|(name, _)| *name != "hash").collect();
    for (name, text) in metadata {
        take(name.as_bytes());
        take(text.as_bytes());
    }
    for (name, tensor) in tensors {
        take(name.as_bytes());
        take(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        take(tensor.data());
    }
    hasher.finalize().to_hex().to_string()
}

/// Decodes the state of the trajectory with this key.
///
/// # Errors
/// The bytes are damaged, have another format, or belong to another trajectory.
pub fn decode(key: TrialKey, bytes: &[u8]) -> Result<LaneState, CheckpointError> {
    let damaged = |why: String| CheckpointError::Damaged(why);
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let text = |name: &str| metadata.get(name).ok_or_else(|| damaged(format!("it has no `{name}`")));
    if text("form")? != FORMAT {
        return Err(CheckpointError::UnknownFormat(text("form")?.clone()));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let all: BTreeMap<String, TensorView<'_>> = tensors.tensors().into_iter().collect();
    let views: Vec<(&str, TensorView<'_>)> = all.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    if hash(&metadata, &views) != *text("hash")? {
        return Err(damaged("its hash is not that of its content".to_owned()));
    }
    if *text("key")? != key.to_string() {
        return Err(CheckpointError::OtherTrajectory(text("key")?.clone()));
    }
    // The hash proves that the content is as written. A mismatch below is an error in this program, but not a reason to
    // end it.
    let measures =
        text("measures")?.split(' ').map(|name| name.parse::<Measure>().map_err(|error| damaged(error.to_string())));
    let measures = measures.collect::<Result<Vec<_>, _>>()?;
    let columns = Columns(&all);
    let one = |name: &str| columns.numbers(name, u64::from_le_bytes)?.first().copied().ok_or_else(|| absent(name));
    let curve = columns.curve()?;
    let diagnostics = columns.diagnostics(&measures)?;
    let steps = all
        .keys()
        .filter_map(|name| name.strip_prefix(STEPS))
        .map(|name| Ok((name.to_owned(), one(&format!("{STEPS}{name}"))?)))
        .collect::<Result<_, CheckpointError>>()?;
    let saved = all.iter().filter_map(|(name, tensor)| Some((name, name.strip_prefix(LANE)?, tensor)));
    let saved = saved.map(|(name, own, tensor)| {
        let (shape, values) = (tensor.shape().to_vec(), columns.numbers(name, f32::from_le_bytes)?);
        Ok((own.to_owned(), SavedTensor { shape, values }))
    });
    Ok(LaneState {
        update: one("update")?,
        loss_count: one("loss_count")?,
        loss_sum: columns
            .numbers("loss_sum", f64::from_le_bytes)?
            .first()
            .copied()
            .ok_or_else(|| absent("loss_sum"))?,
        curve,
        diagnostics,
        steps,
        tensors: saved.collect::<Result<_, CheckpointError>>()?,
    })
}

fn absent(name: &str) -> CheckpointError {
    CheckpointError::Damaged(format!("it lacks numbers of `{name}`"))
}

struct Columns<'a>(&'a BTreeMap<String, TensorView<'a>>);

impl Columns<'_> {
    fn numbers<T, const N: usize>(&self, name: &str, read: fn([u8; N]) -> T) -> Result<Vec<T>, CheckpointError> {
        let (chunks, rest) = self.0.get(name).ok_or_else(|| absent(name))?.data().as_chunks::<N>();
        if rest.is_empty() { Ok(chunks.iter().map(|&bytes| read(bytes)).collect()) } else { Err(absent(name)) }
    }

    /// The value at an index of a column.
    fn at<T: Copy>(column: &[T], place: usize, name: &str) -> Result<T, CheckpointError> {
        column.get(place).copied().ok_or_else(|| absent(name))
    }

    fn curve(&self) -> Result<Vec<CurvePoint>, CheckpointError> {
        let real = |name: &str| self.numbers(name, f64::from_le_bytes);
        let (losses, validation) = (real("curve.train_loss")?, real("curve.validation_accuracy")?);
        let test = real("curve.test_accuracy")?;
        let has_test = self.numbers("curve.has_test", |[byte]: [u8; 1]| byte)?;
        let updates = self.numbers("curve.update", u64::from_le_bytes)?;
        let point = |(place, update)| {
            let test = Self::at(&test, place, "curve.test_accuracy")?;
            Ok(CurvePoint {
                update,
                train_loss: Self::at(&losses, place, "curve.train_loss")?,
                validation_accuracy: Self::at(&validation, place, "curve.validation_accuracy")?,
                test_accuracy: (Self::at(&has_test, place, "curve.has_test")? == 1).then_some(test),
            })
        };
        updates.into_iter().enumerate().map(point).collect()
    }

    fn diagnostics(&self, measures: &[Measure]) -> Result<Vec<DiagnosticPoint>, CheckpointError> {
        let layers = self.numbers("diagnostics.layer", u32::from_le_bytes)?;
        let places = self.numbers("diagnostics.measure", |[byte]: [u8; 1]| byte)?;
        let values = self.numbers("diagnostics.value", f64::from_le_bytes)?;
        let updates = self.numbers("diagnostics.update", u64::from_le_bytes)?;
        let point = |(place, update)| {
            let measure = Self::at(&places, place, "diagnostics.measure")?;
            Ok(DiagnosticPoint {
                update,
                layer: Self::at(&layers, place, "diagnostics.layer")?,
                measure: Self::at(measures, measure.into(), "measures")?,
                value: Self::at(&values, place, "diagnostics.value")?,
            })
        };
        updates.into_iter().enumerate().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: TrialKey = TrialKey([7; 32]);

    fn state() -> LaneState {
        let point = |update, test_accuracy| CurvePoint {
            update,
            train_loss: 0.1 + 0.2,
            validation_accuracy: 1.0 / 3.0,
            test_accuracy,
        };
        LaneState {
            update: 812,
            loss_sum: 3.5e-300,
            loss_count: 32,
            curve: vec![point(390, Some(0.5)), point(780, None)],
            diagnostics: vec![DiagnosticPoint { update: 390, layer: 2, measure: Measure::DeadUnits, value: 0.25 }],
            steps: BTreeMap::from([("forward".to_owned(), 812)]),
            tensors: BTreeMap::from([
                (
                    "forward.1.weight".to_owned(),
                    SavedTensor { shape: vec![3, 1], values: vec![1.5, -0.0, f32::MIN_POSITIVE / 2.0] },
                ),
                ("forward.mean.1.weight".to_owned(), SavedTensor { shape: vec![0, 4], values: Vec::new() }),
            ]),
        }
    }

    #[test]
    fn a_state_survives_the_way_through_bytes_to_the_bit() {
        let read = decode(KEY, &encode(KEY, &state())).expect("own bytes");
        assert_eq!(read, state());
        assert!(read.tensors["forward.1.weight"].values[1].is_sign_negative());
    }

    #[test]
    fn another_trajectorys_is_told_from_a_damaged_one() {
        let bytes = encode(KEY, &state());
        assert!(matches!(decode(TrialKey([8; 32]), &bytes), Err(CheckpointError::OtherTrajectory(_))));
        assert!(matches!(decode(KEY, &bytes[..bytes.len() - 1]), Err(CheckpointError::Damaged(_))));
        assert!(matches!(decode(KEY, b""), Err(CheckpointError::Damaged(_))));
        let place = bytes.windows(FORMAT.len()).position(|window| window == FORMAT.as_bytes()).expect("its form");
        let mut later = bytes.clone();
        later[place + FORMAT.len() - 1] = b'3';
        assert_eq!(decode(KEY, &later), Err(CheckpointError::UnknownFormat("biosweep checkpoint 3".to_owned())));
    }

    proptest! {
        #[test]
        fn no_changed_byte_goes_unnoticed(place in any::<prop::sample::Index>(), change in 1..=255_u8) {
            let mut bytes = encode(KEY, &state());
            let place = place.index(bytes.len());
            bytes[place] ^= change;
            // A change outside the content, such as a space, may leave the same state. No change gives another state.
            prop_assert!(decode(KEY, &bytes).is_err() || decode(KEY, &bytes) == Ok(state()));
        }

        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(KEY, &bytes).is_err());
        }
    }
}
