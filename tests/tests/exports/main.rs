//! Exports, read by the programs that people read them with.

mod latex;
mod parquet;
mod tensorboard;
