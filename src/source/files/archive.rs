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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::digest::sha256;

    fn entry(path: &[u8], content: Content) -> Entry {
        let attributes = Attributes {
            mode: 0o640,
            uid: 0,
            gid: 7,
            user: Some("root".to_owned()),
            group: Some("lp".to_owned()),
            mtime: Mtime { seconds: 1_700_000_000, nanoseconds: 0 },
            xattrs: BTreeMap::new(),
        };
        Entry { path: path.into(), content, attributes }
    }

    fn file(path: &[u8], size: u64) -> Entry {
        entry(path, Content::File { size, digest: String::new() })
    }

    /// An entry that needs every kind of record.
    fn odd_entry() -> Entry {
        let mut entry = file(&[b"long/".repeat(60), b"\xff".to_vec()].concat(), 1 << 40);
        let attributes = &mut entry.attributes;
        attributes.uid = 3_000_000;
        attributes.user = Some("u".repeat(40));
        attributes.group = Some("größe".to_owned());
        attributes.mtime = Mtime { seconds: -2, nanoseconds: 500_000_000 };
        let xattr = (ByteString::from(&b"user.a=b%"[..]), ByteString::from(&b"\x00="[..]));
        attributes.xattrs = BTreeMap::from([xattr]);
        entry
    }

    #[test]
    fn the_bytes_of_a_header_never_change() {
        let tree = [
            entry(b".", Content::Folder),
            file(b"file", 5),
            entry(b"link", Content::Symlink { to: (&b"file"[..]).into() }),
            entry(b"more", Content::HardLink { to: (&b"file"[..]).into() }),
            odd_entry(),
        ];
        let headers: Vec<u8> = tree.iter().flat_map(header).collect();
        assert_eq!(headers.len(), 7 * 512);
        assert_eq!(
            sha256(&headers),
            "sha256:ccc7c28b8a1e7415524136edb56abf49668b4060cdcfceefbbca0a270d0a30e1"
        );
    }

    #[test]
    fn what_the_plain_header_cannot_say_stands_in_records() {
        let entry = odd_entry();
        let bytes = header(&entry);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut read = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(read.path_bytes(), entry.path.bytes());
        assert_eq!(read.size(), 1 << 40);
        let records: Vec<_> = read.pax_extensions().unwrap().unwrap().map(Result::unwrap).collect();
        let of = |key: &str| records.iter().find(|record| record.key() == Ok(key)).unwrap();
        assert_eq!(of("uid").value(), Ok("3000000"));
        assert_eq!(of("uname").value(), Ok("u".repeat(40).as_str()));
        assert_eq!(of("gname").value(), Ok("größe"));
        assert_eq!(of("mtime").value(), Ok("-1.500000000"));
        let xattr = b"33 SCHILY.xattr.user.a%3Db%25=\x00=\n";
        assert!(bytes.windows(xattr.len()).any(|window| window == xattr));
    }

    #[test]
    fn a_plain_entry_is_one_plain_header() {
        assert_eq!(header(&file(b"file", 5)).len(), 512);
        assert_eq!((padding(0), padding(1), padding(512), padding(513)), (0, 511, 0, 511));
    }
}
