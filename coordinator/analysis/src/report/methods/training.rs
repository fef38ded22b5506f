//! Optimisation and stopping in sentences.

use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::Optimizer;

use super::{Source, data, generic};
use crate::report::words;

pub(super) fn sentences(source: &Source<'_>) -> Vec<String> {
    let design = source.design;
    let text = |setting| design.text(setting);
    let mut sentences = Vec::new();
    if let Some(optimizers) = optimizers(source) {
        let batches = text(Setting::BatchSize).map_or_else(String::new, |size| format!(" on batches of {size} images"));
        sentences.push(format!("Weights are trained by {optimizers}{batches}."));
    }
    sentences.extend(text(Setting::LearningRate).map(|rate| format!("The learning rate is {rate}.")));
    sentences.extend(text(Setting::WeightDecay).map(|decay| format!("The weight decay (L2) is {decay}.")));
    sentences.extend(
        text(Setting::Momentum).filter(|momentum| momentum != "0").map(|one| format!("The momentum is {one}.")),
    );
    sentences.extend(match text(Setting::Nesterov).as_deref() {
        Some("true") => Some("The momentum is Nesterov's (1983).".to_owned()),
        Some("false") => None,
        _ => generic(design, Setting::Nesterov),
    });
    if let Some(updates) = text(Setting::MaxUpdates) {
        sentences.push(format!("Training ends after {updates} updates{}.", epochs(source)));
    }
    sentences.push(match (text(Setting::EarlyStopStart), text(Setting::EarlyStopPatience)) {
        (Some(start), Some(patience)) => format!(
            "Early stopping: training may end earlier from update {start} on, when the validation accuracy has not improved \
             for {patience} evaluations."
        ),
        _ => "There is no early stopping.".to_owned(),
    });
    if let Some(every) = text(Setting::EvalEvery) {
        sentences.push(format!("Networks are evaluated every {every} updates and at the end."));
    }
    sentences.push(
        "The result of a trial is its test accuracy at the evaluation with its best validation accuracy.".to_owned(),
    );
    sentences
}

fn optimizers(source: &Source<'_>) -> Option<String> {
    let parse = |value: &Value| match value {
        Value::Name(name) => name.parse().ok().map(optimizer),
        _ => None,
    };
    let all: Vec<String> = source.design.values(Setting::Optimizer).into_iter().filter_map(parse).collect();
    match all.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        // The text names the blocks of each.
        all => Some(format!("{}: {}", source.design.text(Setting::Optimizer)?, all.join("; "))),
    }
}

fn optimizer(optimizer: Optimizer) -> String {
    match optimizer {
        Optimizer::Sgd => "stochastic gradient descent (sgd)",
        Optimizer::Adam => "Adam (Kingma and Ba 2015) with β = (0.9, 0.999) and ε = 1e-8",
        Optimizer::Adamw => {
            "AdamW, with decoupled weight decay (Loshchilov and Hutter 2019), with β = (0.9, 0.999) and ε = 1e-8"
        }
        Optimizer::Rmsprop => "RMSprop (Tieleman and Hinton 2012) with α = 0.99 and ε = 1e-8",
    }
    .to_owned()
}

/// The updates in epochs, if all trials have the same.
fn epochs(source: &Source<'_>) -> String {
    let single = |setting| match source.design.single(setting) {
        Some(&Value::Integer(number)) => Some(number),
        _ => None,
    };
    let counts = (single(Setting::MaxUpdates), single(Setting::BatchSize), data::only_size(source));
    let (Some(updates), Some(batch), Some(size)) = counts else { return String::new() };
    let epochs = updates as f64 * batch as f64 / f64::from(size.train_images.max(1));
    if epochs < 0.95 {
        return format!(" (about {epochs:.2} epochs)");
    }
    format!(" (about {})", words::counted(epochs.round() as u64, "epoch"))
}
