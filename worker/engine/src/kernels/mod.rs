//! Kernels: every operation on memory. Code outside this module holds handles and calls operations by name.
//!
//! | module | operation | equation |
//! |---|---|---|
//! | [`linear`] | `forward` | z = Σ input · W |
//! | | `error_to_input` | error = δ · Wᵀ |
//! | | `identity` | output = input |
//! | | `weight_gradient` | ΔW = inputᵀ · δ |
//! | | `bias_gradient` | Δb = Σ δ |
//! | [`activation_function`] | `add_bias`, `add_bias_and_activate` | z + b, σ(z + b) |
//! | | `activation_backward` | scale · error ⊙ σ'(z) |
//! | | `activation_difference` | σ(z + Δ) − σ(z) |
//! | [`loss`] | `cross_entropy` | mean loss; δ = (softmax(z) − onehot(y)) / batch |
//! | | `softmax`, `softmax_in_place` | softmax(z) |
//! | | `one_hot`, `scaled` | value · onehot(y), factor · δ |
//! | | `correct` | the number of labels with the largest logit |
//! | [`pool_and_unfold`] | `unfold` | im2col of images |
//! | | `pool_and_unfold` | means over squares, with the neighbours of each |
//! | | `pool_and_unfold_adjoint` | the adjoint of that |
//! | [`rows`] | `copy`, `copy_channels` | output = input; one copy for each source concatenates |
//! | | `upsample_add` | output += scale · upsample(input) |
//! | | `add_noise` | h + std · noise |
//! | | `subtract_from`, `squared_error` | a − h, Σ (a − h)² |
//! | | `clear_padding` | padding = 0 |
//! | [`weights`] | `scale`, `assign` | factor · w, w = v |
//! | | `sign_with_size`, `sign_with_sizes` | size · sign(W), abs(R) ⊙ sign(W) |
//! | [`update`] | `sgd`, `sgd_with_momentum`, `adam`, `flush_moments`, `rmsprop` | w ← w − step |
//! | [`transfer`] | `fill`, `draw_normal`, `load_batch` | constants, N(0, std²), images and labels |
//! | | `copy_from_host`, `scatter_from_host` | values = host |
//! | | `copy_to_host`, `gather_to_host`, `copy_rows_to_host` | host = values |
//!
//! The operands are in [`buffer`] (memory) and [`handles`] (what names a part of it); [`scalar`] has float32 and float64.
//!
//! Some operations are loops over slices and some are calls of libtorch. Only these modules see slices. An operation ends
//! its slices before it calls libtorch on the same memory, and lends none to its caller.
//!
//! There is one set of operations, so they are functions and not a trait. A second set, such as libtorch alone for a GPU
//! or for lanes in one batch, is another module with the functions of this table on the same handles. Of the buffer it
//! needs [`Buffer::zeros`](buffer::Buffer::zeros) on another device, and the tensor views that the handles have already. The
//! callers then take the set as a parameter, as they take the scalar type now.

pub mod activation_function;
pub mod buffer;
pub mod handles;
pub mod linear;
pub mod loss;
pub mod pool_and_unfold;
pub mod rows;
pub mod scalar;
pub mod transfer;
pub mod update;
pub mod weights;
