//! Families of networks: those that share a panel.

use biosweep_common::vocabulary::ActivationFunction;
use biosweep_common::vocabulary::dataset::DatasetRef;

use super::chart::Heading;
use crate::aggregate::Place;

/// The dataset, whether the layers are convolutions, and the activation function.
pub(crate) type Family<'a> = (&'a DatasetRef, bool, ActivationFunction);

pub(crate) fn of(place: &Place) -> Family<'_> {
    (&place.dataset, place.network.is_convolutional(), place.activation)
}

/// The heading of a panel of this family: what distinguishes it from the others.
pub(crate) fn heading<'a>(
    (dataset, is_convolutional, activation): Family<'_>,
    families: impl Iterator<Item = Family<'a>> + Clone,
) -> Heading {
    let has_datasets = families.clone().any(|(other, ..)| other != dataset);
    let has_both = families.clone().any(|(_, other, _)| other != is_convolutional);
    let kind = if has_both && is_convolutional { ", convolutional" } else { "" };
    Heading { dataset: has_datasets.then(|| dataset.label()), text: format!("{activation}{kind}") }
}
