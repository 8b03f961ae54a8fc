//! Changes archives so that their digests are sound again: else every change would end at the
//! first of them, and nothing behind it would ever be tried.

use std::io::Read;

use serde_json::Value;
use serde_json::json;
use studio_snap::base::digest::sha256;
use tar::Archive;
use tar::Builder;
use tar::Header;

use crate::change::change;
use crate::change::changed;
use crate::dice::Dice;

const BLOBS: &str = "blobs/sha256/";
/// What no input of ours decompresses to.
const MAX_RAW_BYTES: u64 = 1 << 20;

/// A file of an archive; of a blob that is compressed, the raw bytes.
struct Member {
    name: String,
    bytes: Vec<u8>,
    is_compressed: bool,
}

/// Returns an archive of the corpus with one of its files changed, and with it all that name it; one
/// in four is changed as bytes.
pub(crate) fn forge(corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let archive = &corpus[dice.below(corpus.len())];
    let members = members(archive);
    if dice.chance(25) || members.is_empty() {
        return change(corpus, dice);
    }
    let mut members = members;
    let at = dice.below(members.len());
    let other = members[dice.below(members.len())].bytes.clone();
    members[at].bytes = changed_member(&members[at], &other, dice);
    for position in (0..members.len()).rev() {
        rename(&mut members, position);
    }
    tarred(&members)
}

/// Returns a file's bytes after a change; a tar of one file is changed within that file.
fn changed_member(member: &Member, other: &[u8], dice: &mut Dice) -> Vec<u8> {
    const INNER: &str = "definition.json";
    let is_schema = member.bytes.starts_with(INNER.as_bytes());
    match members(&member.bytes).into_iter().next() {
        Some(mut inner) if is_schema && dice.chance(80) => {
            inner.bytes = changed(&inner.bytes, other, dice);
            tarred(&[inner])
        }
        _ => changed(&member.bytes, other, dice),
    }
}

/// Returns the files of a tar, as far as it can be read.
fn members(archive: &[u8]) -> Vec<Member> {
    let mut archive = Archive::new(archive);
    let Ok(entries) = archive.entries() else { return Vec::new() };
    entries
        .map_while(Result::ok)
        .filter_map(|mut entry| {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut bytes = Vec::new();
            entry.by_ref().take(MAX_RAW_BYTES).read_to_end(&mut bytes).ok()?;
            let raw = raw(&bytes);
            let is_compressed = raw.is_some();
            Some(Member { name, bytes: raw.unwrap_or(bytes), is_compressed })
        })
        .collect()
}

fn raw(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut raw = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(bytes).ok()?;
    decoder.take(MAX_RAW_BYTES).read_to_end(&mut raw).ok()?;
    Some(raw)
}

impl Member {
    fn stored(&self) -> Vec<u8> {
        if !self.is_compressed {
            return self.bytes.clone();
        }
        zstd::bulk::compress(&self.bytes, 1).expect("memory can be compressed")
    }
}

/// Gives a blob the name of its content, and tells all files before it, which are those that may
/// name it.
fn rename(members: &mut [Member], position: usize) {
    let (before, rest) = members.split_at_mut(position);
    let member = &mut rest[0];
    let Some(old) = member.name.strip_prefix(BLOBS).map(|hex| format!("sha256:{hex}")) else {
        return;
    };
    let stored = member.stored();
    let digest = sha256(&stored);
    member.name = digest.replacen("sha256:", BLOBS, 1);
    for named in before {
        if let Ok(mut value) = serde_json::from_slice::<Value>(&named.bytes) {
            tell(&mut value, &old, &digest, &stored, &member.bytes);
            named.bytes = value.to_string().into_bytes();
        }
    }
}

/// Corrects what a document says of the blob that was called `old`.
fn tell(value: &mut Value, old: &str, digest: &str, stored: &[u8], raw: &[u8]) {
    match value {
        Value::Array(values) => {
            for value in values {
                tell(value, old, digest, stored, raw);
            }
        }
        Value::Object(fields) if fields.get("digest").is_some_and(|named| named == old) => {
            fields.insert("digest".to_owned(), json!(digest));
            fields.insert("size".to_owned(), json!(stored.len()));
            if fields.contains_key("raw_digest") {
                fields.insert("raw_digest".to_owned(), json!(sha256(raw)));
                fields.insert("raw_bytes".to_owned(), json!(raw.len()));
            }
        }
        Value::Object(fields) => {
            for value in fields.values_mut() {
                tell(value, old, digest, stored, raw);
            }
        }
        _ => {}
    }
}

fn tarred(members: &[Member]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for member in members {
        let content = member.stored();
        let mut header = Header::new_ustar();
        let name = &member.name.as_bytes()[..member.name.len().min(100)];
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, content.as_slice()).expect("memory can be written");
    }
    archive.into_inner().expect("memory can be written")
}
