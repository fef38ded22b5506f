//! The commands: their answers, and which coordinator and home they reach.

mod command_line;
mod exports;
mod homes;
mod manual;
mod notes;
