//! A state of 4.1 becomes a state of 4.2.
//!
//! What must be true afterwards is what Cloudify Manager's own migration makes true: every system
//! role has its new name; every user and every group has the tenant role `user` in each tenant
//! that it was associated with, administrators too; who reached a tenant through a group alone
//! still does; links that stood twice stand once; who had no tenant has none.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::profile::roles::mapping::Mapping;
use crate::profile::roles::mapping::UnknownRoles;
use crate::profile::roles::state::Holder;
use crate::profile::roles::state::NewRights;
use crate::profile::roles::state::NewState;
use crate::profile::roles::state::OldRights;
use crate::profile::roles::state::OldState;
use crate::profile::roles::state::RoleState;

/// A remapped state, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remapped {
    /// The state to store, and to prove the stored one by.
    pub state: NewState,
    /// Every right before and after, in the order of holders and tenants: the table to print. A
    /// state that was new already has no lines.
    pub lines: Vec<Line>,
}

/// One right of one holder, before and after.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Line {
    /// Who has it.
    pub holder: Holder,
    /// In which tenant; `None` for a system role.
    pub tenant: Option<String>,
    /// The role before; `None` for a tenant that the holder had no role in.
    pub before: Option<String>,
    /// The role after.
    pub after: String,
    /// How many rows said so before; more than one become one.
    pub rows: usize,
}

impl Line {
    /// Returns whether the right is another one afterwards.
    pub fn is_change(&self) -> bool {
        self.before.as_ref() != Some(&self.after) || self.rows > 1
    }
}

impl Remapped {
    /// Returns the users with more than one system role afterwards: the product looks at one of
    /// them alone, and does not say which.
    pub fn with_several_system_roles(&self) -> Vec<&Holder> {
        let several = self.state.holders.iter().filter(|(_, rights)| rights.system.len() > 1);
        several.map(|(holder, _)| holder).collect()
    }
}

/// Returns the state with the new roles, or the roles that nobody has a rule for. A state that
/// has the new roles already comes back as it is.
pub fn remap(state: RoleState, mapping: &Mapping) -> Result<Remapped, UnknownRoles> {
    let old = match state {
        RoleState::From42(state) => return Ok(Remapped { state, lines: Vec::new() }),
        RoleState::UpTo41(old) => old,
    };
    let mut unknown = UnknownRoles::default();
    let mut lines = Vec::new();
    for (holder, rights) in &old.holders {
        lines.extend(system_lines(holder, rights, mapping, &mut unknown));
        lines.extend(tenant_lines(holder, rights, mapping));
    }
    if !unknown.0.is_empty() {
        return Err(unknown);
    }
    Ok(Remapped { state: new_state(old, &lines), lines })
}

fn system_lines(
    holder: &Holder,
    rights: &OldRights,
    mapping: &Mapping,
    unknown: &mut UnknownRoles,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (before, rows) in counted(&rights.system) {
        match mapping.stored_system_role(before) {
            None => unknown.add(before, holder),
            Some(after) => lines.push(Line {
                holder: holder.clone(),
                tenant: None,
                before: Some(before.to_owned()),
                after: after.to_owned(),
                rows,
            }),
        }
    }
    lines
}

fn tenant_lines(holder: &Holder, rights: &OldRights, mapping: &Mapping) -> Vec<Line> {
    let line = |(tenant, rows): (&str, usize)| Line {
        holder: holder.clone(),
        tenant: Some(tenant.to_owned()),
        before: None,
        after: mapping.rule().tenant_role.clone(),
        rows,
    };
    counted(&rights.tenants).into_iter().map(line).collect()
}

/// Returns how often each name stands in the list.
fn counted(names: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_default() += 1;
    }
    counts
}

/// Returns the state that these lines end in; holders without a line keep no rights.
fn new_state(old: OldState, lines: &[Line]) -> NewState {
    let without_rights = old.holders.into_keys().map(|holder| (holder, NewRights::default()));
    let mut holders: BTreeMap<Holder, NewRights> = without_rights.collect();
    for line in lines {
        let rights = holders.get_mut(&line.holder).expect("a line is of a holder of the state");
        match &line.tenant {
            None => drop(rights.system.insert(line.after.clone())),
            Some(tenant) => drop(rights.tenants.insert(tenant.clone(), line.after.clone())),
        }
    }
    NewState { tenants: old.tenants, holders }
}

#[cfg(test)]
mod tests;
