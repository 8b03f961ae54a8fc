//! The security file, `/opt/manager/rest-security.conf`: what a restore makes of it.
//!
//! It holds the salt of all passwords and the keys of all tokens, so a restore changes as little as
//! it can: a role is rewritten in its own few bytes ([`SecurityFile::with_roles`]), a key that the
//! target alone has is put behind the last one ([`assemble`](assemble::assemble)), and every other
//! byte (order, numbers, comments, keys that stand twice) comes back as it was saved. What is
//! written is read again before it counts. No message holds a value of the file but the names of
//! accounts and roles: the others are secrets.
//!
//! Cloudify Manager writes JSON; YAML is read for `userstore.yaml` and for what operators write.

use std::ops::Range;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::profile::roles::mapping::Mapping;
use crate::profile::roles::mapping::UnknownRoles;
use crate::profile::roles::remap::Line;
use crate::profile::security::entries::Mention;
use crate::profile::security::tree::Node;

pub mod assemble;
mod entries;
pub mod finding;
mod json;
mod merge;
mod tree;
mod yaml;

#[cfg(test)]
mod tests;

/// The language that a security file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
}

/// A security file that has been read.
#[derive(Debug, Clone)]
pub struct SecurityFile<'a> {
    text: &'a str,
    format: Format,
    root: Node,
}

/// What becomes of the roles in a security file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePlan {
    /// Every role that the file lists, before and after; tenants are not in the file.
    pub lines: Vec<Line>,
    edits: Vec<Edit>,
}

/// Bytes that other bytes take the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    span: Range<usize>,
    role: String,
}

impl<'a> SecurityFile<'a> {
    /// Returns the file that these bytes are; `None` where they are no table in JSON or YAML, or hold
    /// more than any such file does.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(bytes).ok()?;
        let json = json::parse(text).map(|root| (Format::Json, root));
        let (format, root) = json.or_else(|| Some((Format::Yaml, yaml::parse(text)?)))?;
        matches!(root.value, tree::Value::Table(_)).then_some(Self { text, format, root })
    }

    /// Returns the names of the roles that users and groups list, by which
    /// [`Shape::of_names`](crate::profile::roles::when::Shape::of_names) tells how old they are.
    pub fn roles(&self) -> Vec<&str> {
        entries::mentions(&self.root).into_iter().map(|mention| mention.role).collect()
    }

    /// Returns what becomes of the roles, or those that nobody has a rule for. Roles of the file
    /// are all system roles.
    pub fn plan_roles(&self, mapping: &Mapping) -> std::result::Result<RolePlan, UnknownRoles> {
        let mut unknown = UnknownRoles::default();
        let mut plan = RolePlan { lines: Vec::new(), edits: Vec::new() };
        for Mention { holder, role, node } in entries::mentions(&self.root) {
            let Some(new) = mapping.system_role(role) else {
                unknown.add(role, &holder);
                continue;
            };
            if new != role {
                plan.edits.push(Edit { span: node.span.clone(), role: new.to_owned() });
            }
            let (before, after) = (Some(role.to_owned()), new.to_owned());
            plan.lines.push(Line { holder, tenant: None, before, after, rows: 1 });
        }
        if unknown.0.is_empty() { Ok(plan) } else { Err(unknown) }
    }

    /// Returns the text in which the bytes of the planned roles, and no others, are different.
    pub fn with_roles(&self, plan: &RolePlan) -> Result<String> {
        if plan.edits.is_empty() {
            return Ok(self.text.to_owned());
        }
        // What an alias points at may be a role here and something else there.
        if let Some(offset) = self.root.alias() {
            return Err(self.refuse(offset, "an alias stands in for what is written elsewhere"));
        }
        let mut edits: Vec<&Edit> = plan.edits.iter().collect();
        edits.sort_by_key(|edit| edit.span.start);
        let (mut text, mut done) = (String::with_capacity(self.text.len()), 0);
        for edit in edits {
            text += self.text.get(done..edit.span.start).ok_or_else(not_alone)?;
            text += &self.written(edit)?;
            done = edit.span.end;
        }
        text += &self.text[done..];
        self.check(plan, &text)?;
        Ok(text)
    }

    /// Returns the role in the quotes that the old one has.
    fn written(&self, Edit { span, role }: &Edit) -> Result<String> {
        let is_plain = role.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let Some(old) = self.text.get(span.clone()) else { return Err(not_alone()) };
        match old.as_bytes().first() {
            Some(b'"') => Ok(serde_json::Value::from(role.as_str()).to_string()),
            Some(b'\'') if is_plain => Ok(format!("'{role}'")),
            Some(first) if is_plain && !b"&!|>".contains(first) => Ok(role.clone()),
            _ => Err(self.refuse(span.start, "a role is not written as a plain text")),
        }
    }

    /// Reads the edited text again: it must be of the same language, and list the planned roles.
    fn check(&self, plan: &RolePlan, text: &str) -> Result<()> {
        let edited =
            SecurityFile::parse(text.as_bytes()).filter(|edited| edited.format == self.format);
        let roles = edited.as_ref().map(SecurityFile::roles);
        if roles.is_some_and(|roles| roles.iter().eq(plan.lines.iter().map(|line| &line.after))) {
            return Ok(());
        }
        Err(not_alone())
    }

    fn refuse(&self, offset: usize, why: &str) -> Error {
        let line = self.text[..offset].matches('\n').count() + 1;
        let text = format!("cannot remap roles in the security file, line {line}: {why}");
        Error::new(Kind::Refused, text)
            .hint("write the roles out as plain texts, or rename them in the file by hand")
    }
}

fn not_alone() -> Error {
    Error::failed("cannot change the roles of the security file and nothing else")
}
