//! What lies in a repository, read as any other tool would: no `snap`, only files.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::place::Place;

const ROWS: [&str; 2] =
    ["application/vnd.snap.rows.v1.tsv+zstd", "application/vnd.snap.rows.delta.v1.tsv+zstd"];

/// A chunk of a table, as the index of its source has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chunk {
    /// The digest of its blob.
    pub(crate) digest: String,
    /// The number of its rows.
    pub(crate) rows: u64,
    /// The size of its rows.
    pub(crate) raw_bytes: u64,
    /// The key at which it begins.
    pub(crate) from: Value,
    /// The digest of the blob that it is a difference from.
    pub(crate) base: Option<String>,
}

impl Place {
    /// Returns the digests of the blobs of rows that a snapshot's manifest names.
    pub(crate) fn rows_blobs(&self, id: &str) -> BTreeSet<String> {
        let manifest = self.manifest(id);
        let layers = manifest["layers"].as_array().expect("a manifest has layers").iter();
        let is_rows = |layer: &&Value| ROWS.iter().any(|rows| layer["mediaType"] == *rows);
        layers.filter(is_rows).map(digest).collect()
    }

    /// Returns the chunks of a table in order.
    pub(crate) fn chunks(&self, id: &str, table: &str) -> Vec<Chunk> {
        let catalog = self.json_blob(&digest(&self.manifest(id)["config"]));
        let sources = catalog["sources"].as_array().expect("a catalog has sources");
        let database = sources.iter().find(|source| source["name"] == "database");
        let index = &database.expect("the database was saved")["index"];
        let packed = self.blob(&digest(index));
        let raw = zstd::decode_all(packed.as_slice()).expect("an index is zstd");
        let index: Value = serde_json::from_slice(&raw).expect("an index is JSON");
        let items = index["items"].as_array().expect("an index has items");
        let item = items.iter().find(|item| item["name"] == table).expect("the table was saved");
        item["chunks"].as_array().expect("an item has chunks").iter().map(chunk).collect()
    }

    /// Returns the rows of a table, as numbers.
    pub(crate) fn numbers(&self, id: &str, table: &str) -> Vec<Vec<i64>> {
        let chunks = self.chunks(id, table).into_iter();
        let lines = chunks.flat_map(|chunk| {
            let unpack = |digest: &str, base: &[u8]| {
                let stored = self.blob(digest);
                let mut decoder = zstd::Decoder::with_ref_prefix(stored.as_slice(), base)?;
                let mut raw = Vec::new();
                decoder.read_to_end(&mut raw).map(|_| raw)
            };
            let base = chunk.base.map(|base| unpack(&base, &[]).expect("rows are zstd"));
            let raw = unpack(&chunk.digest, &base.unwrap_or_default()).expect("rows are zstd");
            let text = String::from_utf8(raw).expect("numbers are UTF-8");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        let number = |text: &str| text.parse().expect("a number");
        lines.map(|line| line.split('\t').map(number).collect()).collect()
    }

    /// Returns what the catalog tells of the moment of a snapshot's database.
    pub(crate) fn moment(&self, id: &str) -> Value {
        let catalog = self.json_blob(&digest(&self.manifest(id)["config"]));
        let sources = catalog["sources"].as_array().expect("a catalog has sources");
        let database = sources.iter().find(|source| source["name"] == "database");
        database.expect("the database was saved")["detail"]["moment"].clone()
    }

    /// Returns the names of all blobs and of what lies beside them.
    pub(crate) fn stored_blobs(&self) -> BTreeSet<String> {
        let folder = self.repository().join("blobs/sha256");
        let entries = fs::read_dir(folder).expect("list the blobs");
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("read an entry").file_name();
        entries.map(|entry| name(entry).into_string().expect("a name in UTF-8")).collect()
    }

    /// Returns the names of the blobs that snapshots name, their manifests and catalogs included.
    pub(crate) fn named_blobs<'a>(&self, ids: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let mut named = BTreeSet::new();
        for id in ids {
            let manifest = self.manifest(id);
            let layers = manifest["layers"].as_array().expect("a manifest has layers").iter();
            named.extend(layers.chain([&manifest["config"], &self.descriptor(id)]).map(digest));
        }
        named.iter().map(|digest| hex(digest).to_owned()).collect()
    }

    fn descriptor(&self, id: &str) -> Value {
        let path = self.repository().join("snapshots").join(format!("{id}.json"));
        read_json(&path)
    }

    fn manifest(&self, id: &str) -> Value {
        self.json_blob(&digest(&self.descriptor(id)))
    }

    fn json_blob(&self, digest: &str) -> Value {
        serde_json::from_slice(&self.blob(digest)).expect("a blob of JSON")
    }

    pub(crate) fn blob(&self, digest: &str) -> Vec<u8> {
        let path = self.repository().join("blobs/sha256").join(hex(digest));
        fs::read(path).expect("read a blob")
    }
}

fn chunk(value: &Value) -> Chunk {
    let number = |name: &str| value[name].as_u64().expect("a chunk has counts");
    Chunk {
        digest: digest(value),
        rows: number("rows"),
        raw_bytes: number("raw_bytes"),
        from: value["from"].clone(),
        base: value["base"].as_object().map(|_| digest(&value["base"])),
    }
}

fn digest(value: &Value) -> String {
    value["digest"].as_str().expect("a descriptor has a digest").to_owned()
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").expect("a digest names its algorithm")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("read a file")).expect("a file of JSON")
}
