//! The accounts that a database is used by: saved beside its definitions, restored when asked.
//!
//! What is stored is fields, never statements: each `CREATE USER` and `GRANT` of a restore is built
//! here from names that are quoted and words that are checked, so that an archive cannot bring its
//! own SQL. A password's hash stands in the schema blob and nowhere else.
//!
//! Only rights on the database are restored. Who brings a snapshot does not decide who rules the
//! server: rights on all of it, on other databases that a pattern matches, and roles that have any,
//! are withheld and told.
//!
//! An account that exists already keeps its password, its limits and its rights on the server; only
//! what it lacks on the database is added. The account in use and those of the server itself are
//! left alone, and no account is created that a login of ours could be taken for.

use serde::Deserialize;
use serde::Serialize;

use crate::source::mariadb::grants;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::quote;

pub mod plan;
pub mod restore;
mod properties;
pub(super) mod read;
pub(super) mod note;
mod check;
mod reach;
mod roles;
mod decide;
mod additions;
mod step;
mod statements;

use properties::Properties;

/// Accounts that come with every server, and are its own.
const OF_THE_SERVER: &[&str] = &[
    "root",
    "mysql",
    "mariadb.sys",
    "mysql.sys",
    "mysql.session",
    "mysql.infoschema",
    "debian-sys-maint",
];

/// The accounts that reach one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Accounts {
    /// Users, roles and `PUBLIC`, by name.
    accounts: Vec<Account>,
    /// Accounts of the server that reach the database too: their names and roles alone.
    of_the_server: Vec<Account>,
}

/// A user, a role, or everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    name: Grantee,
    /// How a user logs in, and what limits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    properties: Option<Properties>,
    /// When the password was changed last, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_changed: Option<i64>,
    /// The role that a user has from its login on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_role: Option<String>,
    /// The roles that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Membership>,
    /// Its rights on the whole server, and on the saved database and what is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    grants: Vec<Grant>,
}

/// A role that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Membership {
    role: String,
    /// Whether it may be passed on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_admin: bool,
}

/// Who can be granted something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Grantee {
    /// A role.
    Role(String),
    /// A user who comes from a host.
    User { user: String, host: String },
    /// Everybody.
    Public,
}

impl Grantee {
    /// Returns the grantee of a row of `mysql.global_priv`.
    pub(super) fn stored(user: String, host: String, is_role: bool) -> Self {
        match (is_role, user.as_str()) {
            (true, "PUBLIC") => Self::Public,
            (true, _) => Self::Role(user),
            (false, _) => Self::User { user, host },
        }
    }

    /// Returns who is quoted so, as in a line of `SHOW GRANTS`.
    fn parse(quoted: &str) -> Option<Self> {
        if quoted == "PUBLIC" {
            return Some(Self::Public);
        }
        match grants::split_outside(quoted, "@") {
            Some((user, host)) => {
                Some(Self::User { user: grants::unquoted(user)?, host: grants::unquoted(host)? })
            }
            None => grants::unquoted(quoted).map(Self::Role),
        }
    }

    /// Returns the name as SQL.
    pub(super) fn quoted(&self) -> String {
        match self {
            Self::Role(role) => quote::identifier(role),
            Self::User { user, host } => {
                format!("{}@{}", quote::identifier(user), quote::identifier(host))
            }
            Self::Public => "PUBLIC".to_owned(),
        }
    }

    /// Returns whether both are the same to a server, which ignores the case of hosts.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::User { user, host }, Self::User { user: name, host: from }) => {
                user == name && host.to_lowercase() == from.to_lowercase()
            }
            _ => self == other,
        }
    }

    fn is_of_the_server(&self) -> bool {
        matches!(self, Self::User { user, .. } if OF_THE_SERVER.contains(&user.as_str()))
    }
}

impl Account {
    /// Returns the membership in a role.
    fn membership(&self, role: &str) -> Option<&Membership> {
        self.roles.iter().find(|membership| membership.role == role)
    }
}

impl Accounts {
    /// Returns how many users and roles there are, for the catalog.
    pub(super) fn counts(&self) -> serde_json::Value {
        let users = self.accounts.iter().filter(|account| account.properties.is_some()).count();
        let roles = self.accounts.iter().filter(|account| account.is_role()).count();
        serde_json::json!({ "users": users, "roles": roles })
    }
}

impl Account {
    const fn is_role(&self) -> bool {
        matches!(self.name, Grantee::Role(_))
    }
}
