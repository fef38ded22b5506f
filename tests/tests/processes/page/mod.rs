//! The live page: in a real Chromium, and over plain HTTP.

mod commands;
mod http;
mod live;
mod looks;
mod names;
mod scriptless;
mod secured;
mod site;
mod table;
mod worker;
