//! Networks in sentences.

use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Network;

use super::generic;
use crate::report::design::Design;

/// The settings that have a sentence made of their meaning.
const OTHERS: [Setting; 3] = [Setting::SkipDensity, Setting::SkipDecay, Setting::SkipSeed];

pub(super) fn sentences(design: &Design) -> Vec<String> {
    let parse = |value: &Value| match value {
        Value::Name(name) => name.parse().ok(),
        _ => None,
    };
    let networks: Vec<Network> = design.values(Setting::Network).into_iter().filter_map(parse).collect();
    let mut sentences: Vec<String> = networks.iter().copied().map(connections).collect();
    let text = |setting| design.text(setting);
    let depth = text(Setting::Depth).map(|depth| format!("The number of hidden layers is {depth}."));
    let activation =
        text(Setting::Activation).map(|name| format!("The activation function of hidden layers is {name}."));
    let hidden = text(Setting::Hidden).map(|units| format!("A fully connected hidden layer has {units} units."));
    let channels = text(Setting::ChannelMultiplier)
        .map(|factor| format!("Convolutional layer l has l times {factor} channels, with filters of 3×3."));
    let halved = text(Setting::DownsampleAfter)
        .map(|layers| format!("The resolution is halved after these convolutional layers: {layers}."));
    let resized = text(Setting::ParametersAs).map(|other| {
        format!(
            "Where parameters_as is {other}, a hidden layer has as many units as bring the number of forward parameters nearest \
             to that of {other} with these units."
        )
    });
    sentences.extend([depth, activation, hidden, resized, channels, halved].into_iter().flatten());
    sentences.extend(match text(Setting::SkipInput).as_deref() {
        Some("true") => Some("Each layer of dn also reads the input.".to_owned()),
        Some("false") => None,
        _ => generic(design, Setting::SkipInput),
    });
    sentences.extend(OTHERS.into_iter().filter_map(|setting| generic(design, setting)));
    sentences
}

fn connections(network: Network) -> String {
    let (kind, sources) = match network {
        Network::Nn => ("fully connected", "the layer before it"),
        Network::Dn => ("fully connected", "all hidden layers before it"),
        Network::Lognormal => ("fully connected", "the layer before it and a random choice of earlier hidden layers"),
        Network::Convnet => ("convolutional", "the layer before it"),
        Network::DenseConvnet => ("convolutional", "all hidden layers before it"),
        Network::Readout => ("fully connected", "the layer before it, but the output reads all hidden layers"),
        Network::Residual => {
            ("fully connected", "the layer before it, and each hidden layer above the first adds the layer before it")
        }
    };
    format!("The network {} is {kind}; each layer reads {sources}.", network.name())
}
