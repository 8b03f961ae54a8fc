//! One change of a server's accounts: the statements that make it, and what takes it back.

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Result;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::accounts::additions::Addition;
use crate::source::mariadb::accounts::properties::Properties;
use crate::source::mariadb::accounts::statements;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::quote;

/// One change of a server's accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    CreateRole(String),
    CreateUser {
        name: Grantee,
        properties: Properties,
    },
    /// To an account that is new.
    Grant {
        to: Grantee,
        grant: Grant,
    },
    /// To an account that was there.
    Add {
        to: Grantee,
        addition: Addition,
    },
    /// `is_undone` where neither role nor member is new: those go as a whole.
    Join {
        member: Grantee,
        role: String,
        is_admin: bool,
        is_undone: bool,
    },
    SetDefaultRole {
        user: Grantee,
        role: String,
    },
    /// Whoever creates a role has it: a new one is left in other hands where it has them.
    Leave {
        role: String,
    },
    /// The same, but for its administration alone.
    LeaveAdministration {
        role: String,
    },
}

/// What takes a step back: names, and no password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Undoing {
    DropRole(String),
    DropUser(Grantee),
    Revoke { from: Grantee, addition: Box<Addition> },
    Leave { member: Grantee, role: String },
}

impl Step {
    /// Returns what the step is, as `cannot {do} {thing}`.
    pub(super) fn doing(&self) -> String {
        match self {
            Self::CreateRole(role) => format!("cannot create role {}", quote::identifier(role)),
            Self::CreateUser { name, .. } => format!("cannot create account {}", name.quoted()),
            Self::Grant { to, grant } | Self::Add { to, addition: Addition { grant, .. } } => {
                let scope = statements::scope(&grant.scope);
                format!("cannot grant {} rights on {scope}", to.quoted())
            }
            Self::Join { member, role, .. } => {
                format!("cannot give role {role:?} to {}", member.quoted())
            }
            Self::SetDefaultRole { user, .. } => {
                format!("cannot set the default role of {}", user.quoted())
            }
            Self::Leave { role } | Self::LeaveAdministration { role } => {
                format!("cannot hand over role {}", quote::identifier(role))
            }
        }
    }

    /// Returns its statements: the first makes what the others change.
    pub(super) fn statements(&self) -> Result<Vec<String>> {
        Ok(vec![match self {
            Self::CreateUser { name, properties } => return properties.create(&name.quoted()),
            Self::CreateRole(role) => format!("CREATE ROLE {}", quote::identifier(role)),
            Self::Grant { to, grant } | Self::Add { to, addition: Addition { grant, .. } } => {
                statements::grant(grant, to)
            }
            Self::Join { member, role, is_admin, .. } => statements::join(role, member, *is_admin),
            Self::SetDefaultRole { user, role } => statements::default_role(role, user),
            Self::Leave { role } => {
                format!("REVOKE {} FROM CURRENT_USER()", quote::identifier(role))
            }
            Self::LeaveAdministration { role } => {
                let role = quote::identifier(role);
                format!("REVOKE ADMIN OPTION FOR {role} FROM CURRENT_USER()")
            }
        }])
    }

    /// Returns who is not what they were after the step, where that can be proven.
    pub(super) fn changes(&self) -> Option<Grantee> {
        match self {
            Self::CreateRole(role) => Some(Grantee::Role(role.clone())),
            Self::CreateUser { name, .. } | Self::Add { to: name, .. } => Some(name.clone()),
            Self::Join { member, is_undone: true, .. } => Some(member.clone()),
            _ => None,
        }
    }

    /// Returns whether the step gives something to this account.
    pub(super) fn is_for(&self, name: &Grantee) -> bool {
        match self {
            Self::Grant { to, .. } | Self::Add { to, .. } => to.is(name),
            Self::Join { member, .. } => member.is(name),
            Self::SetDefaultRole { user, .. } => user.is(name),
            _ => false,
        }
    }

    /// Returns the properties of a user that it creates.
    pub(super) fn properties(&self) -> Option<&Properties> {
        match self {
            Self::CreateUser { properties, .. } => Some(properties),
            _ => None,
        }
    }

    /// Returns whether a text gives a password's hash away.
    pub(super) fn is_told_by(&self, text: &str) -> bool {
        matches!(self, Self::CreateUser { properties, .. } if properties.is_told_by(text))
    }

    /// Returns what takes the step back; what belongs to a new account goes with it.
    pub(super) fn undoing(&self) -> Option<Undoing> {
        match self {
            Self::CreateRole(role) => Some(Undoing::DropRole(role.clone())),
            Self::CreateUser { name, .. } => Some(Undoing::DropUser(name.clone())),
            Self::Add { to, addition } => {
                Some(Undoing::Revoke { from: to.clone(), addition: Box::new(addition.clone()) })
            }
            Self::Join { member, role, is_undone: true, .. } => {
                Some(Undoing::Leave { member: member.clone(), role: role.clone() })
            }
            Self::Join { .. }
            | Self::Grant { .. }
            | Self::SetDefaultRole { .. }
            | Self::Leave { .. }
            | Self::LeaveAdministration { .. } => None,
        }
    }
}

impl Undoing {
    /// Returns its statements.
    pub(super) fn statements(&self) -> Vec<String> {
        match self {
            Self::DropRole(role) => {
                vec![format!("DROP ROLE IF EXISTS {}", quote::identifier(role))]
            }
            Self::DropUser(name) => vec![format!("DROP USER IF EXISTS {}", name.quoted())],
            Self::Revoke { from, addition } => {
                let Addition { grant, before } = addition.as_ref();
                // `ALL` took in what was there before.
                let again = before.iter().map(|before| statements::grant(before, from));
                statements::revoke(grant, from).into_iter().chain(again).collect()
            }
            Self::Leave { member, role } => {
                vec![format!("REVOKE {} FROM {}", quote::identifier(role), member.quoted())]
            }
        }
    }
}
