//! Exports, read by the programs that people read them with.

mod latex;
mod mlflow;
mod parquet;
mod tensorboard;
