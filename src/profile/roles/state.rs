//! Who holds which roles, in the shape of each age.
//!
//! The tables are those of Cloudify Manager: `users`, `groups`, `tenants`, `roles`, the links
//! `users_roles`, `groups_roles`, `users_tenants`, `groups_tenants`. Ids of roles differ from one
//! manager to the next, so a state knows names alone.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

/// Somebody who can hold roles.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// A user, by the name to log in with.
    User(String),
    /// A group, by its name.
    Group(String),
    /// A column of a table, each row of which names a role: `table.column`.
    Column(String),
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(formatter, "user {name:?}"),
            Self::Group(name) => write!(formatter, "group {name:?}"),
            Self::Column(name) => write!(formatter, "column {name}"),
        }
    }
}

/// The roles of a studio up to 4.1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldState {
    /// The tenants, by name.
    pub tenants: BTreeSet<String>,
    /// All users and groups, those without any right too.
    pub holders: BTreeMap<Holder, OldRights>,
}

/// What a user or a group may do up to 4.1. The link tables have no primary key there, so the
/// same link may stand in them twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldRights {
    /// The system roles.
    pub system: Vec<String>,
    /// The tenants that the holder is associated with.
    pub tenants: Vec<String>,
}

/// The roles of a studio since 4.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewState {
    /// The tenants, by name.
    pub tenants: BTreeSet<String>,
    /// All users and groups, those without any right too.
    pub holders: BTreeMap<Holder, NewRights>,
}

/// What a user or a group may do since 4.2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRights {
    /// The system roles.
    pub system: BTreeSet<String>,
    /// The one role in each tenant: tenant, role.
    pub tenants: BTreeMap<String, String>,
}

/// The roles of a studio of either age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleState {
    /// Up to 4.1.
    UpTo41(OldState),
    /// Since 4.2.
    From42(NewState),
}
