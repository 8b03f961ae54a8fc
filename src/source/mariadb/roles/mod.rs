//! The tables in which Cloudify Manager holds users, groups, tenants and their roles, and columns that
//! hold names of roles.
//!
//! What roles mean is not known here. [`shape`] tells whether a database has such tables, and of which
//! age; [`rows`] is what stands in them, read from the chunks of a snapshot or from staging; [`staged`]
//! makes those of staging other ones; [`mod@column`] is the same for one column.

pub mod column;
mod decode;
mod fitness;
pub mod rows;
pub mod shape;
pub mod staged;

pub use crate::source::mariadb::roles::fitness::demand_fit;
