//! Whether roles are remapped: exactly when they come from a version below the boundary and go to
//! one at or above it.
//!
//! Versions decide where they are known; where they are not, the shape that the roles are stored
//! in does. A state that is in the new shape is never touched, whatever the versions say, so that
//! a second restore finds nothing to do. The question is asked once for each place that holds
//! roles: the database, the columns that a profile names, the security file.

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::roles::RoleRule;
use crate::profile::version::Version;

/// The two ways in which roles have been stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// System roles alone; `users_tenants` and `groups_tenants` have no role.
    #[serde(rename = "up_to_4_1")]
    UpTo41,
    /// A role in each tenant beside the system role.
    #[serde(rename = "from_4_2")]
    From42,
}

impl Shape {
    /// Returns the shape of the database, by whether `users_tenants` has a column `role_id`.
    pub const fn of_database(has_tenant_roles: Option<bool>) -> Option<Self> {
        match has_tenant_roles {
            None => None,
            Some(false) => Some(Self::UpTo41),
            Some(true) => Some(Self::From42),
        }
    }

    /// Returns the shape of a place that has nothing but names of system roles; `None` where it
    /// has no names. One name that is not of the new roles makes it old: taking it for new would
    /// carry the name over unseen.
    pub fn of_names<'a>(rule: &RoleRule, names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut names = names.into_iter().peekable();
        names.peek()?;
        let is_new = names.all(|name| rule.is_new_system_role(name));
        Some(if is_new { Self::From42 } else { Self::UpTo41 })
    }
}

/// What is known of the roles on one side of a restore.
#[derive(Debug, Clone, Copy, Default)]
pub struct Side<'a> {
    /// The product's version: recorded or detected, or given by `--from-version` or `--to-version`.
    pub version: Option<&'a Version>,
    /// The shape of the roles; `None` where there are none.
    pub shape: Option<Shape>,
}

/// What is to be done with the roles of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// They are remapped.
    Remap,
    /// They come back as they were saved.
    Leave(Reason),
}

/// Why roles come back as they were saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The snapshot has no roles here.
    NoRoles,
    /// The roles have the new shape already.
    NewShape,
    /// The roles have the old shape, yet the snapshot says that it is of a version with the new
    /// one. The user should hear of this: the recorded version may be wrong.
    NewVersion,
    /// The target uses the old roles too.
    OldTarget,
    /// Everything is to come back as it was saved.
    AsSaved,
}

/// Returns whether the roles of one place are remapped, or asks for the target's version where
/// the roles are old and nothing tells what the target uses.
pub fn decide(rule: &RoleRule, source: Side<'_>, target: Side<'_>) -> Result<Decision> {
    let is_old = |version: &Version| *version < rule.boundary;
    let source_is_old = source.version.is_none_or(is_old);
    let target_is_old = match (target.version, target.shape) {
        (Some(version), _) => Some(is_old(version)),
        (None, shape) => shape.map(|shape| shape == Shape::UpTo41),
    };
    match (source.shape, source_is_old, target_is_old) {
        (None, ..) => Ok(Decision::Leave(Reason::NoRoles)),
        (Some(Shape::From42), ..) => Ok(Decision::Leave(Reason::NewShape)),
        (Some(Shape::UpTo41), false, _) => Ok(Decision::Leave(Reason::NewVersion)),
        (Some(Shape::UpTo41), true, Some(true)) => Ok(Decision::Leave(Reason::OldTarget)),
        (Some(Shape::UpTo41), true, Some(false)) => Ok(Decision::Remap),
        (Some(Shape::UpTo41), true, None) => Err(unknown_target(rule)),
    }
}

/// Returns whether the target is known to be newer than the snapshot: by their versions, and where
/// one has none, by the shapes of their roles.
pub fn is_newer(source: Side<'_>, target: Side<'_>) -> bool {
    match (source.version, target.version) {
        (Some(source), Some(target)) => target > source,
        _ => (source.shape, target.shape) == (Some(Shape::UpTo41), Some(Shape::From42)),
    }
}

fn unknown_target(rule: &RoleRule) -> Error {
    let boundary = &rule.boundary;
    let text = format!("cannot tell whether the target uses the roles of before {boundary}");
    Error::new(Kind::Usage, text).hint(format!(
        "give its version with --to-version: from {boundary} on, the roles are remapped"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Option<Shape> = Some(Shape::UpTo41);
    const NEW: Option<Shape> = Some(Shape::From42);

    /// Returns the decision for versions and shapes; an empty text is no version.
    fn decided(source: (&str, Option<Shape>), target: (&str, Option<Shape>)) -> Result<Decision> {
        let version = |text: &str| text.parse::<Version>().ok();
        let versions = (version(source.0), version(target.0));
        let source = Side { version: versions.0.as_ref(), shape: source.1 };
        let target = Side { version: versions.1.as_ref(), shape: target.1 };
        decide(&RoleRule::built_in(), source, target)
    }

    #[test]
    fn roles_are_remapped_from_below_the_boundary_to_the_boundary_or_above() {
        for (from, to) in
            [("4.1", "4.2"), ("4.1.1.1", "4.2.0"), ("4.0", "4.10"), ("3.4.2", "7.0.5")]
        {
            assert_eq!(decided((from, OLD), (to, None)).unwrap(), Decision::Remap, "{from} {to}");
        }
    }

    #[test]
    fn nothing_is_remapped_below_or_above_the_boundary() {
        let leave = |source, target| match decided(source, target).unwrap() {
            Decision::Leave(reason) => reason,
            Decision::Remap => panic!("remapped from {source:?} to {target:?}"),
        };
        assert_eq!(leave(("4.0", OLD), ("4.1.9", None)), Reason::OldTarget);
        assert_eq!(leave(("4.10", OLD), ("5.0", None)), Reason::NewVersion);
        assert_eq!(leave(("4.2", NEW), ("7.0", NEW)), Reason::NewShape);
        assert_eq!(leave(("4.1", NEW), ("7.0", NEW)), Reason::NewShape);
        assert_eq!(leave(("4.1", None), ("", None)), Reason::NoRoles);
    }

    #[test]
    fn the_shape_tells_where_the_version_does_not() {
        assert_eq!(decided(("", OLD), ("4.2", None)).unwrap(), Decision::Remap);
        assert_eq!(decided(("", OLD), ("", NEW)).unwrap(), Decision::Remap);
        let left = Decision::Leave(Reason::OldTarget);
        assert_eq!(decided(("4.1", OLD), ("", OLD)).unwrap(), left);
        assert_eq!(decided(("", OLD), ("4.1", NEW)).unwrap(), left);
    }

    #[test]
    fn old_roles_and_an_unknown_target_ask_for_its_version() {
        for source in ["", "4.1"] {
            let error = decided((source, OLD), ("", None)).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.advice().unwrap().contains("--to-version"));
        }
    }

    #[test]
    fn a_target_is_newer_by_its_version_or_else_by_its_shape() {
        let (old, new) = ("4.2".parse().unwrap(), "4.10".parse().unwrap());
        let of = |version| Side { version: Some(version), shape: OLD };
        assert!(is_newer(of(&old), of(&new)));
        assert!(!is_newer(of(&new), of(&old)) && !is_newer(of(&new), of(&new)));
        let by_shape = |shape| Side { version: None, shape };
        assert!(is_newer(by_shape(OLD), by_shape(NEW)) && is_newer(of(&old), by_shape(NEW)));
        assert!(!is_newer(by_shape(NEW), by_shape(NEW)) && !is_newer(of(&old), by_shape(None)));
    }

    #[test]
    fn names_have_the_new_shape_when_all_of_them_are_new() {
        let rule = RoleRule::built_in();
        assert_eq!(Shape::of_names(&rule, []), None);
        assert_eq!(Shape::of_names(&rule, ["sys_admin", "default"]), NEW);
        assert_eq!(Shape::of_names(&rule, ["sys_admin", "user"]), OLD);
        assert_eq!(Shape::of_names(&rule, ["administrator"]), OLD);
    }
}
