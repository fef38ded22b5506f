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
//! | [`decoder`] | the decoder of one layer |

mod decoder;
pub(super) mod direct_errors;
pub(super) mod gradient;
pub(super) mod layer_errors;
pub(super) mod local_errors;
pub(super) mod sign_feedback;
pub(super) mod targets;
