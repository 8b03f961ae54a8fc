//! The tables in which Cloudify Manager holds users, groups, tenants and their roles.
//!
//! What roles mean is not known here: [`shape`] tells whether a database has such tables, and of which
//! age.

pub mod shape;
