//! What the chunks of a source may be stored as differences from: the chunks of the last snapshot.
//!
//! A chunk is compared with the one that began where it begins, or with what that one is a difference
//! from. A table that is changing everywhere is not tried for long.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::Value;

use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Index;
use crate::repository::catalog::ItemIndex;
use crate::repository::writer::Packed;

/// Differences of one item, one after the other, that were not worth it, after which the rest is
/// stored in full untried.
const MISSES: usize = 2;

/// The bases of each item of a source, by its position.
#[derive(Debug, Default)]
pub(super) struct Bases(Vec<ItemBases>);

#[derive(Debug, Default)]
struct ItemBases {
    /// By what their chunks begin at.
    blobs: HashMap<Value, BlobRef>,
    misses: AtomicUsize,
}

impl Bases {
    /// Returns the bases that the last snapshot has for items of these names.
    pub(super) fn of(index: Option<&Index>, names: &[String]) -> Self {
        let items = index.map_or(&[][..], |index| &index.items);
        let items: HashMap<&str, &ItemIndex> =
            items.iter().map(|item| (item.name.as_str(), item)).collect();
        let bases = |name: &String| items.get(name.as_str()).map(|item| ItemBases::of(item));
        Self(names.iter().map(|name| bases(name).unwrap_or_default()).collect())
    }

    /// Returns the base of a chunk of an item that begins there, where it is worth trying.
    pub(super) fn find(&self, item: usize, from: &Value) -> Option<&BlobRef> {
        let item = self.0.get(item)?;
        if item.misses.load(Ordering::Relaxed) < MISSES { item.blobs.get(from) } else { None }
    }

    /// Learns what came of a chunk of an item.
    pub(super) fn learn(&self, item: usize, packed: &Packed) {
        let (Some(item), Some(is_delta)) = (self.0.get(item), packed.is_delta) else { return };
        if is_delta {
            item.misses.store(0, Ordering::Relaxed);
        } else {
            item.misses.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl ItemBases {
    fn of(item: &ItemIndex) -> Self {
        // Chunks without boundaries cannot be told apart, unless there is one alone.
        let starts = item.chunks.iter().filter(|chunk| chunk.from.is_null()).count();
        let told_apart = item.chunks.iter().filter(|chunk| starts == 1 || !chunk.from.is_null());
        let base = |blob: &BlobRef| blob.base.as_deref().unwrap_or(blob).clone();
        let blobs = told_apart.map(|chunk| (chunk.from.clone(), base(&chunk.blob))).collect();
        Self { blobs, misses: AtomicUsize::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::repository::catalog::Chunk;
    use crate::repository::samples;

    fn blob(name: &str, base: Option<&str>) -> BlobRef {
        let base = base.map(|base| Box::new(blob(base, None)));
        let digest = name.to_owned();
        BlobRef { digest, size: 1 << 30, raw_digest: String::new(), raw_bytes: 2 << 20, base }
    }

    fn item(name: &str, chunks: &[(Value, BlobRef)]) -> ItemIndex {
        let chunk = |(from, blob): &(Value, BlobRef)| Chunk {
            blob: blob.clone(),
            rows: 1,
            from: from.clone(),
            noted: Value::Null,
        };
        let chunks = chunks.iter().map(chunk).collect();
        ItemIndex { name: name.into(), key: Value::Null, chunks }
    }

    fn digest_of<'a>(bases: &'a Bases, item: usize, from: &Value) -> Option<&'a str> {
        bases.find(item, from).map(|blob| blob.digest.as_str())
    }

    #[test]
    fn a_base_is_the_full_chunk_that_began_at_the_same_place_of_the_same_item() {
        let ten = || json!(["10"]);
        let items = vec![
            item("heap", &[(Value::Null, blob("a", None)), (Value::Null, blob("b", None))]),
            item("keyed", &[(Value::Null, blob("c", None)), (ten(), blob("d", Some("e")))]),
        ];
        let index = Index { items, detail: Value::Null };
        let names = ["keyed", "new", "heap"].map(str::to_owned);
        let bases = Bases::of(Some(&index), &names);
        assert_eq!(digest_of(&bases, 0, &Value::Null), Some("c"));
        assert_eq!(digest_of(&bases, 0, &ten()), Some("e"), "a difference lends its base");
        assert_eq!(digest_of(&bases, 0, &json!(["11"])), None);
        assert_eq!(digest_of(&bases, 1, &Value::Null), None);
        assert_eq!(digest_of(&bases, 2, &Value::Null), None, "chunks that cannot be told apart");
        assert_eq!(digest_of(&Bases::default(), 0, &Value::Null), None);
        assert_eq!(digest_of(&Bases::of(None, &names), 0, &Value::Null), None);
    }

    #[tokio::test]
    async fn an_item_is_not_tried_further_after_two_differences_in_a_row_that_were_not_worth_it() {
        let folder = tempfile::tempdir().unwrap();
        let repository = samples::repository(folder.path()).await;
        let writer = repository.writer([]).await.unwrap();
        let rows = |seed: u64| -> Vec<u8> {
            let line = |number: u64| number.wrapping_mul(seed).rotate_left(29).to_string() + "\n";
            (0..80_000).map(line).collect::<String>().into_bytes()
        };
        let base = writer.write(rows(0x9E37_79B9_7F4A_7C15)).await.unwrap();
        let items = ["one", "two"].map(|name| item(name, &[(Value::Null, base.clone())]));
        let index = Index { items: items.into(), detail: Value::Null };
        let bases = Bases::of(Some(&index), &["one", "two"].map(str::to_owned));
        let near = [rows(0x9E37_79B9_7F4A_7C15), b"1\n".to_vec()].concat();
        let far = |seed: u64| rows(0xD6E8_FEB8_6659_FD93 + seed);
        let mut tried = Vec::new();
        for raw in [far(0), near, far(2), far(4), far(6)] {
            let packed = writer.pack(raw, bases.find(0, &Value::Null)).await.unwrap();
            bases.learn(0, &packed);
            tried.push(packed.is_delta);
        }
        assert_eq!(tried, [Some(false), Some(true), Some(false), Some(false), None]);
        assert!(bases.find(1, &Value::Null).is_some(), "another item is tried");
    }
}
