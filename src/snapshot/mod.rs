//! The verbs: what can be done with a repository and its snapshots.

pub mod list;
pub mod verify;
pub mod delete;
pub mod prune;
pub mod archive;
