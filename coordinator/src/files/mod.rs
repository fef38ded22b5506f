//! Files that commands write, and archives that they read.
//!
//! | module | contents |
//! |---|---|
//! | [`archive`] | a sweep with everything that a store has of it |
//! | [`folder`] | the folder with the files of a run: results, learning curves, figures, report |
//! | [`new_file`] | a file that appears whole or not at all |

pub(crate) mod archive;
pub(crate) mod folder;
pub(crate) mod new_file;
