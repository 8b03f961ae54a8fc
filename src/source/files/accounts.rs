//! The users and groups of this host, by number and by name, each looked up once.
//!
//! The lookup is the system's own, so that accounts of LDAP or SSSD count too.

use std::collections::HashMap;

use nix::unistd::Gid;
use nix::unistd::Group;
use nix::unistd::Uid;
use nix::unistd::User;

use crate::base::monitor::Monitor;
use crate::source::files::list::Attributes;

/// What was looked up so far.
#[derive(Default)]
pub(super) struct Accounts {
    users: HashMap<u32, Option<String>>,
    groups: HashMap<u32, Option<String>>,
    user_numbers: HashMap<String, Option<u32>>,
    group_numbers: HashMap<String, Option<u32>>,
}

impl Accounts {
    /// Returns the name of a user, where the host knows one.
    pub(super) fn user(&mut self, number: u32) -> Option<String> {
        let look_up = || User::from_uid(Uid::from_raw(number)).ok().flatten().map(|user| user.name);
        self.users.entry(number).or_insert_with(look_up).clone()
    }

    /// Returns the name of a group, where the host knows one.
    pub(super) fn group(&mut self, number: u32) -> Option<String> {
        let look_up =
            || Group::from_gid(Gid::from_raw(number)).ok().flatten().map(|group| group.name);
        self.groups.entry(number).or_insert_with(look_up).clone()
    }

    /// Gives an entry the numbers that its owners' names have on this host; a number stays where
    /// there is no name, and, with a warning, where the host does not know the name.
    ///
    /// Returns whether the group is the saved one, as far as names tell.
    pub(super) fn adopt(&mut self, attributes: &mut Attributes, monitor: &dyn Monitor) -> bool {
        if let Some(name) = &attributes.user {
            let number = *self.user_numbers.entry(name.clone()).or_insert_with(|| {
                let user = User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
                user.or_else(|| warn_of_unknown("user", name, attributes.uid, monitor))
            });
            attributes.uid = number.unwrap_or(attributes.uid);
        }
        let Some(name) = &attributes.group else { return true };
        let number = *self.group_numbers.entry(name.clone()).or_insert_with(|| {
            let group = Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
            group.or_else(|| warn_of_unknown("group", name, attributes.gid, monitor))
        });
        attributes.gid = number.unwrap_or(attributes.gid);
        number.is_some()
    }
}

fn warn_of_unknown(kind: &str, name: &str, number: u32, monitor: &dyn Monitor) -> Option<u32> {
    let name = name.escape_debug();
    monitor.warn(&format!("this host has no {kind} `{name}`: its number {number} is used"));
    None
}
