//! Files that commands write.
//!
//! | module | contents |
//! |---|---|
//! | [`folder`] | the folder with the files of a run: results, learning curves, figures, report |
//! | [`new_file`] | a file that appears whole or not at all |

pub(crate) mod folder;
pub(crate) mod new_file;
