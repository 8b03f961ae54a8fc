//! The one tar of a tree: for each entry a header that its list entry alone determines.
//!
//! Because nothing else flows in — no access time, no device, no order of a folder — the same
//! tree gives the same bytes, and a restore can compare headers instead of parsing them. What
//! the plain header cannot say stands in a pax header before it: nanoseconds, extended
//! attributes (as GNU tar and star name them), long names and names beyond ASCII. Changing one
//! byte here makes every stored tree unreadable; a test holds it still.

use tar::EntryType;
use tar::Header;

use crate::source::files::byte_string::ByteString;
use crate::source::files::list::Attributes;
use crate::source::files::list::Content;
use crate::source::files::list::Entry;
use crate::source::files::list::Mtime;

/// What ends every tar.
pub(super) const TRAILER: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

const BLOCK_BYTES: usize = 512;
/// The largest number in a field of seven octal digits.
const MAX_OCTAL_7: u64 = 0o777_7777;
/// The largest number in a field of eleven octal digits.
const MAX_OCTAL_11: u64 = 0o777_7777_7777;

/// Returns the number of zeros that fill the last block of so many bytes.
pub(super) fn padding(bytes: u64) -> usize {
    let over = usize::try_from(bytes % BLOCK_BYTES as u64).expect("less than a block");
    (BLOCK_BYTES - over) % BLOCK_BYTES
}

/// Returns all that stands before the content of an entry: whole blocks.
pub(super) fn header(entry: &Entry) -> Vec<u8> {
    let path = path_in_archive(entry);
    let (entry_type, link) = match &entry.content {
        Content::Folder => (EntryType::Directory, None),
        Content::File { .. } => (EntryType::Regular, None),
        Content::Symlink { to } => (EntryType::Symlink, Some(to.bytes().to_vec())),
        Content::HardLink { to } => (EntryType::Link, Some(to.bytes().to_vec())),
    };
    let attributes = &entry.attributes;
    let mut pax = Pax::default();
    let mut header = Header::new_ustar();
    header.set_entry_type(entry_type);
    header.set_mode(attributes.mode);
    header.set_uid(pax.number_or_record(attributes.uid.into(), MAX_OCTAL_7, "uid"));
    header.set_gid(pax.number_or_record(attributes.gid.into(), MAX_OCTAL_7, "gid"));
    header.set_size(pax.number_or_record(entry.content.bytes(), MAX_OCTAL_11, "size"));
    header.set_mtime(pax.mtime(attributes.mtime));
    let fields = header.as_ustar_mut().expect("the header was made as ustar");
    pax.text(&mut fields.name, &path, "path");
    if let Some(link) = link {
        pax.text(&mut fields.linkname, &link, "linkpath");
    }
    // The last byte of an owner's name ends it.
    pax.text(&mut fields.uname[..31], name_of(attributes.user.as_ref()), "uname");
    pax.text(&mut fields.gname[..31], name_of(attributes.group.as_ref()), "gname");
    pax.xattrs(attributes);
    header.set_cksum();
    let mut blocks = pax.blocks();
    blocks.extend_from_slice(header.as_bytes());
    blocks
}

fn path_in_archive(entry: &Entry) -> Vec<u8> {
    let path = entry.path.bytes();
    match entry.content {
        Content::Folder => [path, b"/"].concat(),
        _ => path.to_vec(),
    }
}

fn name_of(owner: Option<&String>) -> &[u8] {
    owner.map_or(&[], String::as_bytes)
}

/// The records of one pax header, in the order they were added.
#[derive(Default)]
struct Pax(Vec<u8>);

impl Pax {
    /// Writes `text` into a field, and as a record too where the field does not say all of it.
    fn text(&mut self, field: &mut [u8], text: &[u8], key: &str) {
        let fitting = text.len().min(field.len());
        field[..fitting].copy_from_slice(&text[..fitting]);
        if fitting < text.len() || !text.is_ascii() {
            self.record(key.as_bytes(), text);
        }
    }

    /// Returns the number for its field: 0, with a record, where the field is too short for it.
    fn number_or_record(&mut self, number: u64, max: u64, key: &str) -> u64 {
        if number <= max {
            return number;
        }
        self.record(key.as_bytes(), number.to_string().as_bytes());
        0
    }

    /// Returns whole seconds for the header's field; adds a record for what they do not say.
    fn mtime(&mut self, mtime: Mtime) -> u64 {
        let in_field = u64::try_from(mtime.seconds).ok().filter(|seconds| *seconds <= MAX_OCTAL_11);
        if mtime.nanoseconds == 0
            && let Some(seconds) = in_field
        {
            return seconds;
        }
        self.record(b"mtime", decimal(mtime).as_bytes());
        in_field.unwrap_or(0)
    }

    fn xattrs(&mut self, attributes: &Attributes) {
        for (name, value) in &attributes.xattrs {
            let key = [b"SCHILY.xattr.", escaped_key(name).as_slice()].concat();
            self.record(&key, value.bytes());
        }
    }

    /// Adds `<length> <key>=<value>\n`, where the length counts its own digits.
    fn record(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length += 1;
        }
        self.0.extend_from_slice(format!("{length} ").as_bytes());
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    /// Returns the pax header with its records; nothing where there are none.
    fn blocks(self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(self.0.len() as u64);
        header.as_old_mut().name[..9].copy_from_slice(b"PaxHeader");
        header.set_cksum();
        let padding = padding(self.0.len() as u64);
        [header.as_bytes().as_slice(), &self.0, &TRAILER[..padding]].concat()
    }
}

/// Returns seconds and nanoseconds as pax writes them, such as `-1.5` for half a second past -2.
fn decimal(mtime: Mtime) -> String {
    let Mtime { seconds, nanoseconds } = mtime;
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if total < 0 { "-" } else { "" };
    let total = total.unsigned_abs();
    format!("{sign}{}.{:09}", total / 1_000_000_000, total % 1_000_000_000)
}

/// Returns an attribute's name as a key, which must not have `=`: GNU tar writes `%3D`.
fn escaped_key(name: &ByteString) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'%' => b"%25".to_vec(),
        b'=' => b"%3D".to_vec(),
        _ => vec![*byte],
    };
    name.bytes().iter().flat_map(escape).collect()
}
