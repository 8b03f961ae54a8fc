//! What a system role becomes: by the rule, by `--map-role`, or as `--keep-unknown-roles` says.
//!
//! All names are looked up in one table at once, so no order of steps can carry a role through two
//! of them; and what a role becomes is never itself remapped, so doing it twice does it once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::roles::RoleRule;
use crate::profile::roles::state::Holder;

/// One `--map-role OLD=NEW`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleOverride {
    /// The system role of the snapshot.
    pub old: String,
    /// The system role of the target.
    pub new: String,
}

impl FromStr for RoleOverride {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((old, new)) if !old.is_empty() && !new.is_empty() => {
                Ok(Self { old: old.to_owned(), new: new.to_owned() })
            }
            _ => Err(Error::new(Kind::Usage, format!("cannot understand --map-role {text:?}"))
                .hint("it takes OLD=NEW, such as --map-role deployer=default")),
        }
    }
}

/// What happens to a role that nobody has a rule for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownRole {
    /// It refuses the restore.
    #[default]
    Refuse,
    /// It stays as it is: `--keep-unknown-roles`.
    Keep,
}

/// What system roles become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    rule: RoleRule,
    names: BTreeMap<String, String>,
    unknown: UnknownRole,
}

impl Mapping {
    /// Returns the mapping of the rule, in which the user's own words come first.
    pub fn new(rule: RoleRule, overrides: &[RoleOverride], unknown: UnknownRole) -> Result<Self> {
        let mut own: BTreeMap<String, String> = BTreeMap::new();
        for RoleOverride { old, new } in overrides {
            check(&rule, old, new)?;
            let earlier = own.insert(old.clone(), new.clone());
            if earlier.is_some_and(|earlier| earlier != *new) {
                return Err(refused(old, new, "two --map-role say different things of it"));
            }
        }
        let kept = rule.since.system.iter().map(|role| (role.clone(), role.clone()));
        let mut names: BTreeMap<_, _> = rule.system_roles.clone().into_iter().chain(kept).collect();
        names.append(&mut own);
        Ok(Self { rule, names, unknown })
    }

    /// Returns what this system role becomes; `None` where that is not known.
    pub fn system_role<'a>(&'a self, old: &'a str) -> Option<&'a str> {
        match (self.names.get(old), self.unknown) {
            (Some(new), _) => Some(new),
            (None, UnknownRole::Keep) => Some(old),
            (None, UnknownRole::Refuse) => None,
        }
    }

    /// Returns what this system role becomes in the database, where system roles and tenant roles
    /// share the table `roles` and its unique names: an unknown role that is called like a tenant
    /// role cannot be kept there, for its holders would come to hold that one.
    pub fn stored_system_role<'a>(&'a self, old: &'a str) -> Option<&'a str> {
        self.system_role(old).filter(|new| !self.rule.is_tenant_role(new))
    }

    /// Returns the rule that this mapping follows.
    pub const fn rule(&self) -> &RoleRule {
        &self.rule
    }
}

/// Refuses a `--map-role` that would make a role something that it cannot be.
fn check(rule: &RoleRule, old: &str, new: &str) -> Result<()> {
    let why = if rule.is_new_system_role(old) {
        format!("{old:?} is a role of {} and above", rule.boundary)
    } else if rule.is_new_system_role(new) {
        return Ok(());
    } else if rule.is_tenant_role(new) {
        format!("{new:?} is a tenant role, not a system role")
    } else {
        format!("no system role is called {new:?}")
    };
    let hint = format!("an old role can become {}", rule.since.system.join(" or "));
    Err(refused(old, new, &why).hint(hint))
}

fn refused(old: &str, new: &str, why: &str) -> Error {
    Error::new(Kind::Usage, format!("cannot make role {old:?} {new:?}: {why}"))
}

/// The roles that a restore is refused for, and who has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownRoles(pub BTreeMap<String, BTreeSet<Holder>>);

impl UnknownRoles {
    /// Adds a role and somebody who has it.
    pub fn add(&mut self, role: &str, holder: &Holder) {
        self.0.entry(role.to_owned()).or_default().insert(holder.clone());
    }

    /// Adds what another place has: one refusal names them all.
    pub fn append(&mut self, other: Self) {
        for (role, holders) in other.0 {
            self.0.entry(role).or_default().extend(holders);
        }
    }

    /// Returns whether there is no such role.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails where there is any such role.
    pub fn check(self) -> Result<()> {
        if self.is_empty() { Ok(()) } else { Err(self.into()) }
    }
}

impl From<UnknownRoles> for Error {
    fn from(UnknownRoles(roles): UnknownRoles) -> Self {
        let joined = |holders: &BTreeSet<Holder>| {
            holders.iter().map(Holder::to_string).collect::<Vec<_>>().join(", ")
        };
        let each = roles.iter().map(|(role, holders)| format!("{role:?} ({})", joined(holders)));
        let listed = each.collect::<Vec<_>>().join(", ");
        let example = roles.keys().next().map_or("OLD", String::as_str);
        Self::new(Kind::Refused, format!("cannot remap roles that are not known: {listed}")).hint(
            format!(
                "say what they become with --map-role '{}=…', or keep those with --keep-unknown-roles \
                 that are not called like a tenant role",
                example.escape_debug()
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(overrides: &[&str], unknown: UnknownRole) -> Result<Mapping> {
        let overrides: Vec<_> = overrides.iter().map(|text| text.parse().unwrap()).collect();
        Mapping::new(RoleRule::built_in(), &overrides, unknown)
    }

    #[test]
    fn the_two_old_roles_become_the_two_new_ones_which_stay() {
        let mapping = mapping(&[], UnknownRole::Refuse).unwrap();
        for (old, new) in [
            ("user", "default"),
            ("admin", "sys_admin"),
            ("default", "default"),
            ("sys_admin", "sys_admin"),
        ] {
            assert_eq!(mapping.system_role(old), Some(new));
        }
        for unknown in ["administrator", "deployer", "viewer", "Admin", ""] {
            assert_eq!(mapping.system_role(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn an_unknown_role_is_mapped_or_kept_as_the_user_says() {
        let mapping = mapping(&["deployer=default", "user=sys_admin"], UnknownRole::Keep).unwrap();
        assert_eq!(mapping.system_role("deployer"), Some("default"));
        assert_eq!(mapping.system_role("user"), Some("sys_admin"));
        assert_eq!(mapping.system_role("custom"), Some("custom"));
    }

    #[test]
    fn a_role_called_like_a_tenant_role_is_not_kept_in_the_database() {
        let mapping = mapping(&[], UnknownRole::Keep).unwrap();
        assert_eq!(mapping.system_role("viewer"), Some("viewer"));
        assert_eq!(mapping.stored_system_role("viewer"), None);
        assert_eq!(mapping.stored_system_role("Manager"), None);
        assert_eq!(mapping.stored_system_role("user"), Some("default"));
        assert_eq!(mapping.stored_system_role("custom"), Some("custom"));
    }

    #[test]
    fn an_override_that_no_role_can_follow_is_refused() {
        for (overrides, complaint) in [
            (vec!["deployer=user"], "is a tenant role"),
            (vec!["deployer=root"], "no system role is called"),
            (vec!["sys_admin=default"], "is a role of 4.2 and above"),
            (vec!["x=default", "x=sys_admin"], "two --map-role"),
        ] {
            let error = mapping(&overrides, UnknownRole::Keep).expect_err(complaint);
            assert!(error.to_string().contains(complaint), "{error}");
            assert_eq!(error.kind(), Kind::Usage);
        }
        assert!(mapping(&["x=default", "x=default"], UnknownRole::Refuse).is_ok());
    }

    #[test]
    fn an_override_is_two_names() {
        assert!("deployer=default".parse::<RoleOverride>().is_ok());
        for text in ["", "deployer", "=default", "deployer="] {
            assert_eq!(text.parse::<RoleOverride>().expect_err(text).kind(), Kind::Usage);
        }
    }

    #[test]
    fn the_refusal_names_every_role_and_everybody_who_has_it() {
        let mut unknown = UnknownRoles::default();
        unknown.add("viewer", &Holder::User("bob".to_owned()));
        let mut of_the_file = UnknownRoles::default();
        of_the_file.add("deployer", &Holder::Group("ops".to_owned()));
        of_the_file.add("viewer", &Holder::User("al\nice".to_owned()));
        unknown.append(of_the_file);
        let error = unknown.check().unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert_eq!(
            error.to_string(),
            "cannot remap roles that are not known: \"deployer\" (group \"ops\"), \
             \"viewer\" (user \"al\\nice\", user \"bob\")"
        );
        assert!(error.advice().unwrap().contains("--map-role 'deployer=…'"));
        assert!(UnknownRoles::default().check().is_ok());
    }
}
