//! What batches, frames, queries and the store in memory promise.

mod frames;
mod lines;
mod memory;
mod queries;
