//! A repository: an OCI image layout that holds snapshots.

pub mod catalog;
