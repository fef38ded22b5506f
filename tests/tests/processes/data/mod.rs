//! Datasets: downloaded ones and custom data.

mod custom_data;
mod datasets;
