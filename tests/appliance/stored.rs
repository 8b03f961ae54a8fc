//! What lies in a repository, found as other tools find it, and how a disk damages it.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

use crate::place::Place;

/// Returns the path of a blob.
pub(crate) fn blob(repository: &Path, digest: &Value) -> PathBuf {
    let digest = digest.as_str().expect("a digest is a text");
    let hex = digest.strip_prefix("sha256:").expect("a digest is a SHA-256");
    repository.join("blobs/sha256").join(hex)
}

/// Returns the blob that holds the first chunk of an item: a table, or the path of a file tree.
pub(crate) fn chunk(place: &Place, id: &str, item: &str) -> PathBuf {
    let repository = place.repository();
    let listed = json(&fs::read(repository.join(format!("snapshots/{id}.json"))));
    let manifest = json(&fs::read(blob(&repository, &listed["digest"])));
    let catalog = json(&fs::read(blob(&repository, &manifest["config"]["digest"])));
    let sources = catalog["sources"].as_array().expect("a catalog has sources");
    let items =
        sources.iter().filter_map(|source| source["index"]["digest"].as_str()).flat_map(|digest| {
            let stored = fs::read(blob(&repository, &digest.into())).expect("read an index");
            let index = json(&zstd::decode_all(stored.as_slice()));
            index["items"].as_array().expect("an index has items").clone()
        });
    let found = items.into_iter().find(|found| found["name"] == item);
    let found = found.unwrap_or_else(|| panic!("{item} is in no index of {id}"));
    blob(&repository, &found["chunks"][0]["digest"])
}

/// Changes one bit of a file in its middle, as a failing disk does.
pub(crate) fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).expect("read the file to damage");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("damage the file");
}

fn json(bytes: &std::io::Result<Vec<u8>>) -> Value {
    serde_json::from_slice(bytes.as_ref().expect("read a document")).expect("a document is JSON")
}
