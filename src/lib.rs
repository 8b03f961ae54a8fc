//! `snap`: saves and restores an appliance.

pub mod base;
pub mod repository;
pub mod source;
pub mod snapshot;
