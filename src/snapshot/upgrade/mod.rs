//! `upgrade`: runs an upgrade between a snapshot and a check, and goes back where it fails.

pub mod path;
