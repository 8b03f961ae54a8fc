//! What every layer stands on: errors, digests, progress, interrupts.

pub mod error;
pub mod digest;
pub mod fault;
pub mod lock;
pub mod monitor;
