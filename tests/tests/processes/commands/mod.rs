//! The commands: their answers, which coordinator and home they reach, and what `doctor` finds.

mod command_line;
mod doctor;
mod exports;
mod homes;
mod manual;
mod notes;
