//! Named tensors: read from and written to safetensors files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::StepError;

/// A tensor as float64 values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TensorData {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Vec<f64>,
}

/// The tensors of an input file.
#[derive(Debug)]
pub(super) struct InputTensors {
    path: PathBuf,
    tensors: BTreeMap<String, TensorData>,
}

impl InputTensors {
    /// Reads a file of float32, float64 and int64 tensors.
    pub(super) fn read(path: &Path) -> Result<Self, StepError> {
        let unreadable = |why: String| StepError::File { what: "read", path: path.to_owned(), why };
        let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| unreadable(error.to_string()))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let numbers = numbers(&view).ok_or_else(|| StepError::Misshapen {
                path: path.to_owned(),
                name: name.clone(),
                found: format!("of {:?}", view.dtype()),
                wanted: "one of F32, F64 or I64".to_owned(),
            })?;
            tensors.insert(name, TensorData { shape: view.shape().to_vec(), numbers });
        }
        Ok(Self { path: path.to_owned(), tensors })
    }

    fn get(&self, name: &str) -> Result<&TensorData, StepError> {
        let missing = || StepError::Missing { path: self.path.clone(), name: name.to_owned() };
        self.tensors.get(name).ok_or_else(missing)
    }

    pub(super) fn misshapen(&self, name: &str, found: String, wanted: String) -> StepError {
        StepError::Misshapen { path: self.path.clone(), name: name.to_owned(), found, wanted }
    }

    /// A tensor of any shape with at least two dimensions and no empty one.
    pub(super) fn any(&self, name: &str) -> Result<TensorData, StepError> {
        let found = self.get(name)?;
        if found.shape.len() >= 2 && !found.shape.contains(&0) {
            return Ok(found.clone());
        }
        Err(self.misshapen(name, format!("of shape {:?}", found.shape), "two dimensions or more".to_owned()))
    }

    /// A tensor of this shape.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<TensorData, StepError> {
        let found = self.get(name)?;
        if found.shape == shape {
            return Ok(found.clone());
        }
        Err(self.misshapen(name, format!("of shape {:?}", found.shape), format!("shape {shape:?}")))
    }

    /// Labels, each below `classes`.
    pub(super) fn labels(&self, name: &str, length: usize, classes: usize) -> Result<Vec<i64>, StepError> {
        let numbers = self.tensor(name, &[length])?.numbers;
        if let Some(label) = numbers.iter().find(|&&label| !(0.0..classes as f64).contains(&label)) {
            return Err(self.misshapen(name, format!("a label {label}"), format!("a label from 0 to {}", classes - 1)));
        }
        Ok(numbers.into_iter().map(|label| label as i64).collect())
    }
}

fn numbers(view: &TensorView<'_>) -> Option<Vec<f64>> {
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F64 => bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect(),
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect(),
        Dtype::I64 => bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect(),
        _ => return None,
    })
}

/// The tensors of an output file, in double precision.
#[derive(Debug, Default)]
pub(super) struct OutputTensors {
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl OutputTensors {
    /// Adds a tensor under its name and as `expect.NAME`.
    pub(super) fn add(&mut self, name: &str, shape: &[usize], numbers: Vec<f64>) {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(f64::to_le_bytes).collect();
        for name in [name.to_owned(), format!("expect.{name}")] {
            self.tensors.insert(name, (shape.to_vec(), bytes.clone()));
        }
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Result<(), StepError> {
        let unwritable = |why: String| StepError::File { what: "write", path: path.to_owned(), why };
        let mut views = Vec::with_capacity(self.tensors.len());
        for (name, (shape, bytes)) in &self.tensors {
            let view = TensorView::new(Dtype::F64, shape.clone(), bytes).map_err(|error| unwritable(error.to_string()));
            views.push((name.as_str(), view?));
        }
        safetensors::serialize_to_file(views, None, path).map_err(|error| unwritable(error.to_string()))
    }
}
