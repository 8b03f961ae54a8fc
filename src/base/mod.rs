//! What every layer stands on: errors, digests, memory, progress, pace, stages, the programs that are run.

pub mod error;
pub mod digest;
pub mod fault;
mod lines;
pub mod lock;
pub mod masked;
pub mod monitor;
pub mod pace;
pub mod process;
pub mod rooms;
pub mod stages;
