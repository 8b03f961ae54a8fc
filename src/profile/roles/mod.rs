//! Roles: what becomes of the rights of users and groups when a studio moves to a version that
//! knows other roles.
//!
//! The rule is [`rule.toml`](RoleRule), the code is pure: [`when`] decides whether anything is
//! remapped, [`mapping`] what a system role becomes, [`remap`] what a whole state becomes,
//! [`rows`] what that means for the rows of the table `roles`. The security file's half is
//! [`crate::profile::security`].
//!
//! Until 4.1 `user` was a system role; since 4.2 it is a role in a tenant. Nothing here can take
//! one for the other: [`state::OldState`] has no place for tenant roles, [`state::NewState`] keeps
//! the two apart, and only system roles go through a [`mapping::Mapping`].

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::version::Version;

pub mod choices;
pub mod mapping;
pub mod remap;
pub mod rows;
pub mod state;
pub mod tables;
pub mod when;

#[cfg(test)]
mod golden;

const RULE: &str = include_str!("rule.toml");

/// How roles change at a version, as Cloudify Manager's own migration has it: the documented
/// `user` → `default` and `admin` → `sys_admin`, and the tenant role `user` for every association
/// (migrations 406821843b55 for users and 7aae863786af for groups).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RoleRule {
    /// The first version with the new roles.
    pub boundary: Version,
    /// The role that users and groups get in the tenants that they are associated with.
    pub tenant_role: String,
    /// What each old system role becomes.
    pub system_roles: BTreeMap<String, String>,
    /// The roles that exist since the boundary.
    pub since: NewRoles,
}

/// The roles that exist since the boundary.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRoles {
    /// The roles that a user has as such.
    pub system: Vec<String>,
    /// The roles that a user or a group has in a tenant.
    pub tenant: Vec<String>,
}

impl RoleRule {
    /// Returns the rule of Cloudify Manager.
    pub fn built_in() -> Self {
        Self::parse(RULE).expect("a test reads the built-in rule")
    }

    /// Returns the rule that this TOML states.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |complaint: &str| {
            Error::new(Kind::Usage, format!("cannot use the rule of roles: {complaint}"))
        };
        let rule: Self = toml::from_str(text).map_err(|error| wrong(error.message()))?;
        match rule.contradiction() {
            Some(complaint) => Err(wrong(&complaint)),
            None => Ok(rule),
        }
    }

    /// Returns whether this is a system role since the boundary.
    pub fn is_new_system_role(&self, name: &str) -> bool {
        self.since.system.iter().any(|role| role == name)
    }

    /// Returns whether this name is a tenant role's since the boundary. Letter case is not looked
    /// at, for the key of the table `roles` may not look at it either.
    pub fn is_tenant_role(&self, name: &str) -> bool {
        self.since.tenant.iter().any(|role| role.eq_ignore_ascii_case(name))
    }

    /// Returns what would let a role be remapped twice, or be taken for one of the other kind.
    fn contradiction(&self) -> Option<String> {
        let both = self.since.system.iter().find(|role| self.is_tenant_role(role));
        let twice = self.system_roles.keys().find(|old| self.is_new_system_role(old));
        let nowhere = self.system_roles.values().find(|new| !self.is_new_system_role(new));
        if !self.since.tenant.contains(&self.tenant_role) {
            return Some(format!("`{}` is no tenant role", self.tenant_role));
        }
        both.map(|role| format!("`{role}` is a system role and a tenant role"))
            .or_else(|| twice.map(|old| format!("`{old}` is an old and a new system role")))
            .or_else(|| nowhere.map(|new| format!("`{new}` is no new system role")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rule_is_the_documented_one() {
        let rule = RoleRule::built_in();
        assert_eq!(rule.boundary.to_string(), "4.2");
        assert_eq!(rule.tenant_role, "user");
        assert_eq!(rule.system_roles["user"], "default");
        assert_eq!(rule.system_roles["admin"], "sys_admin");
        assert_eq!(rule.system_roles.len(), 2);
        assert_eq!(rule.since.system, ["sys_admin", "default"]);
        assert_eq!(rule.since.tenant, ["manager", "user", "operations", "viewer"]);
    }

    #[test]
    fn a_rule_that_could_confuse_two_roles_is_refused() {
        for (from, to, complaint) in [
            ("boundary", "border", "unknown field `border`"),
            ("system = [", "sistem = [", "unknown field `sistem`"),
            ("\"4.2\"", "\"four\"", "cannot understand version"),
            ("tenant-role = \"user\"", "tenant-role = \"default\"", "`default` is no tenant role"),
            ("\"manager\"", "\"default\"", "`default` is a system role and a tenant role"),
            ("admin = ", "default = ", "`default` is an old and a new system role"),
            ("admin = \"sys_admin\"", "admin = \"root\"", "`root` is no new system role"),
        ] {
            let error = RoleRule::parse(&RULE.replace(from, to)).expect_err(complaint);
            assert!(error.to_string().contains(complaint), "{error}");
        }
    }
}
