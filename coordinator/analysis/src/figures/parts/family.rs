//! Families of networks: those that share a panel.

use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::{ActivationFunction, ParametersAs, PcSolver};

use super::chart::Heading;
use crate::aggregate::Place;

/// What places of one panel share. The order is that of panels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Family<'a> {
    pub(crate) dataset: &'a DatasetRef,
    /// Whether the layers are convolutions.
    pub(crate) is_convolutional: bool,
    pub(crate) activation: ActivationFunction,
    pub(crate) parameters_as: Option<ParametersAs>,
    /// The solver of predictive coding, if it is not the usual one: that is in the panel of the other rules.
    pub(crate) solver: Option<PcSolver>,
}

pub(crate) fn of(place: &Place) -> Family<'_> {
    let Place { dataset, network, activation, parameters_as, .. } = place;
    Family {
        dataset,
        is_convolutional: network.is_convolutional(),
        activation: *activation,
        parameters_as: *parameters_as,
        solver: place.learner().unusual_solver(),
    }
}

/// The heading of a panel of this family: what distinguishes it from the others.
pub(crate) fn heading<'a>(family: Family<'_>, families: impl Iterator<Item = Family<'a>> + Clone) -> Heading {
    let Family { dataset, is_convolutional, activation, parameters_as, solver } = family;
    let has_datasets = families.clone().any(|other| other.dataset != dataset);
    let has_both = families.clone().any(|other| other.is_convolutional != is_convolutional);
    let kind = if has_both && is_convolutional { ", convolutional" } else { "" };
    let size = parameters_as.map_or_else(String::new, |other| format!(", as large as {other}"));
    let solver = solver.map_or_else(String::new, |solver| format!(", solver {solver}"));
    Heading { dataset: has_datasets.then(|| dataset.label()), text: format!("{activation}{kind}{size}{solver}") }
}
