//! The keys that only the target's security file has are put behind those of the snapshot.
//!
//! Cloudify 4.4 and above restore the file with `target.update(snapshot)`: the snapshot's keys win,
//! keys that only the target has stay. Keys are those of the top, and a value is taken whole.
//! Both are taken over as the bytes that they are; then the result is read again, and if it does
//! not say exactly what it must, there is no result.

use crate::profile::security::Format;
use crate::profile::security::SecurityFile;
use crate::profile::security::tree::Node;

/// Returns the keys that only the target has, in its order.
pub(super) fn own_keys(snapshot: &SecurityFile<'_>, target: &SecurityFile<'_>) -> Vec<String> {
    let mut own: Vec<String> = Vec::new();
    for (key, _) in target.root.entries() {
        let Some(key) = key.text() else { continue };
        if snapshot.root.get(key).is_none() && !own.iter().any(|earlier| earlier == key) {
            own.push(key.to_owned());
        }
    }
    own
}

/// Returns the snapshot's text with these keys of the target; `None` where they cannot be put
/// into it as they are written.
pub(super) fn merge(
    snapshot: &SecurityFile<'_>,
    target: &SecurityFile<'_>,
    own: &[String],
) -> Option<String> {
    let entries: Vec<&str> = own.iter().map(|key| written(target, key)).collect::<Option<_>>()?;
    let add = if is_block(snapshot) { in_lines } else { in_brackets };
    let text = add(snapshot, &entries);
    says_both(snapshot, target, own, &text).then_some(text)
}

/// Returns key and value as the target writes them; the last where the key stands twice.
fn written<'a>(target: &SecurityFile<'a>, key: &str) -> Option<&'a str> {
    let is_it = |(name, _): &&(Node, Node)| name.text() == Some(key);
    let (key, value) = target.root.entries().iter().rev().find(is_it)?;
    target.text.get(key.span.start..value.span.end)
}

/// Returns whether the keys stand in lines, as YAML has it, instead of brackets.
fn is_block(file: &SecurityFile<'_>) -> bool {
    let first = file.root.span.start;
    file.format == Format::Yaml && !file.text[first..].starts_with('{')
}

fn in_brackets(snapshot: &SecurityFile<'_>, entries: &[&str]) -> String {
    let mut text = snapshot.text.to_owned();
    let added = entries.join(", ");
    match snapshot.root.entries().last() {
        Some((_, value)) => text.insert_str(value.span.end, &format!(", {added}")),
        None => text.insert_str(snapshot.root.span.start + 1, &added),
    }
    text
}

fn in_lines(snapshot: &SecurityFile<'_>, entries: &[&str]) -> String {
    let mut text = snapshot.text.to_owned();
    for entry in entries {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(entry.trim_end());
        text.push('\n');
    }
    text
}

/// Returns whether the text says all that the snapshot says, what the target says under its own
/// keys, and nothing else.
fn says_both(
    snapshot: &SecurityFile<'_>,
    target: &SecurityFile<'_>,
    own: &[String],
    text: &str,
) -> bool {
    let Some(result) = SecurityFile::parse(text.as_bytes()) else { return false };
    let entries = result.root.entries();
    let saved = snapshot.root.entries();
    let has_own = |((name, value), key): (&(Node, Node), &String)| {
        name.text() == Some(key) && target.root.get(key).is_some_and(|own| own.says_as(value))
    };
    let has_saved = |((name, value), (key, saved)): (&(Node, Node), &(Node, Node))| {
        name.says_as(key) && value.says_as(saved)
    };
    result.format == snapshot.format
        && entries.len() == saved.len() + own.len()
        && entries.iter().zip(saved).all(has_saved)
        && entries[saved.len()..].iter().zip(own).all(has_own)
}
