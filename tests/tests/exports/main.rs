//! Exports, read by the programs that people read them with.

mod parquet;
mod tensorboard;
