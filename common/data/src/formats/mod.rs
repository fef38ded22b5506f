//! The files of named datasets, and their formats.
//!
//! | module | contents |
//! |---|---|
//! | `mnist` | MNIST and datasets in its format, from four files |
//! | `cifar_10` | CIFAR-10, from six binary files |
//! | `idx` | the file format of MNIST |
//! | [`gzip`] | gzip files with several members or padding |

pub(crate) mod cifar_10;
pub mod gzip;
pub(crate) mod idx;
pub(crate) mod mnist;
