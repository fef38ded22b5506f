//! Tried from outside.
