//! The machinery of learning rules: operations that several rules share, on δ, errors, targets and decoders.
//!
//! | module | contents |
//! |---|---|
//! | [`gradient`] | the gradients of one layer, and their way to the optimiser |
//! | [`layer_errors`] | errors that travel from layer to layer |
//! | [`direct_errors`] | errors that travel from the output to every hidden layer, and the learning of their feedback |
//! | [`local_errors`] | errors of classifiers of each hidden layer |
//! | [`sign_feedback`] | feedback weights with the signs of the forward weights |
//! | [`targets`] | targets that decoders propagate |
//! | [`differences`] | what targets differ in from the activations, and δ that follows |
//! | [`decoder`] | the decoder of one layer |
//! | [`difference_decoder`] | decoders that learn the transposed derivatives of their layers, and their targets |
//! | [`output_decoders`] | decoders from the output to every hidden layer, and their targets |
//! | [`inference`] | states of predictive coding |

mod decoder;
pub(super) mod difference_decoder;
mod differences;
pub(super) mod direct_errors;
pub(super) mod gradient;
pub(super) mod inference;
pub(super) mod layer_errors;
pub(super) mod local_errors;
pub(super) mod output_decoders;
pub(super) mod sign_feedback;
pub(super) mod targets;
