//! What a list of snapshots shows of each: kept in the annotations of its descriptor, so that a
//! list reads one small file per snapshot and no blob.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Map;
use serde_json::Value;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::repository::catalog::Catalog;
use crate::repository::catalog::Item;
use crate::repository::catalog::SourceState;
use crate::repository::id::SnapshotId;

/// What every annotation of a summary begins with.
const PREFIX: &str = "vnd.snap.";
/// The fields that are text already. An annotation is text always, so the others are JSON in it.
const TEXTS: &[&str] = &["id", "created", "host", "profile", "product_version", "note"];

/// All that `snap list` shows of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The id under which it is listed.
    pub id: SnapshotId,
    /// When `create` began.
    pub created: Timestamp,
    /// The host it was taken on.
    pub host: String,
    /// The profile that named its sources.
    pub profile: String,
    /// The version of the product, where it was given or seen.
    #[serde(default)]
    pub product_version: Option<String>,
    /// The user's tags.
    pub tags: Vec<String>,
    /// The user's note.
    #[serde(default)]
    pub note: Option<String>,
    /// The rows and entries of all items.
    pub rows: u64,
    /// The raw bytes of all items.
    pub raw_bytes: u64,
    /// The stored bytes of all layers, each blob counted once.
    pub stored_bytes: u64,
    /// The bytes of the blobs that were new to the repository.
    pub written_bytes: u64,
    /// The number of warnings: what the snapshot lacks.
    pub warnings: u64,
    /// The names of the saved sources.
    pub sources: Vec<String>,
    /// Whether it came as an archive.
    pub uploaded: bool,
}

impl Summary {
    /// Returns what a list shows of a catalog whose distinct layers have so many bytes.
    pub(crate) fn of(id: &SnapshotId, catalog: &Catalog, stored_bytes: u64) -> Self {
        let sum = |count: fn(&Item) -> u64| {
            // Entries of a tree are not proven by an upload: a hostile sum must not overflow.
            let items = catalog.sources.iter().flat_map(|source| &source.items);
            items.map(count).fold(0, u64::saturating_add)
        };
        let saved = catalog.sources.iter().filter(|source| source.state == SourceState::Saved);
        Self {
            id: id.clone(),
            created: catalog.created,
            host: catalog.host.clone(),
            profile: catalog.profile.clone(),
            product_version: catalog.product_version.clone(),
            tags: catalog.tags.clone(),
            note: catalog.note.clone(),
            rows: sum(|item| item.rows),
            raw_bytes: sum(|item| item.raw_bytes),
            stored_bytes,
            written_bytes: 0,
            warnings: catalog.warnings.len() as u64,
            sources: saved.map(|source| source.name.clone()).collect(),
            uploaded: false,
        }
    }

    /// Returns the summary as annotations.
    pub(super) fn to_annotations(&self) -> HashMap<String, String> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else {
            unreachable!("a summary is a JSON object");
        };
        let annotation = |(key, value): (String, Value)| match value {
            Value::Null => None,
            Value::String(text) => Some((format!("{PREFIX}{key}"), text)),
            other => Some((format!("{PREFIX}{key}"), other.to_string())),
        };
        fields.into_iter().filter_map(annotation).collect()
    }

    /// Returns the summary that annotations hold.
    pub(super) fn from_annotations(annotations: &HashMap<String, String>) -> Result<Self> {
        let mut fields = Map::new();
        for (key, text) in annotations {
            let Some(field) = key.strip_prefix(PREFIX) else { continue };
            let value = if TEXTS.contains(&field) {
                Value::String(text.clone())
            } else {
                serde_json::from_str(text).map_err(|cause| unreadable(key).caused_by(cause))?
            };
            fields.insert(field.to_owned(), value);
        }
        serde_json::from_value(Value::Object(fields))
            .map_err(|cause| unreadable("its annotations").caused_by(cause))
    }
}

fn unreadable(what: &str) -> Error {
    Error::damaged(format!("cannot read {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            id: "before".parse().unwrap(),
            created: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            host: "17".into(),
            profile: "studio".into(),
            product_version: None,
            tags: vec!["a,b".into(), "\"".into()],
            note: Some("true".into()),
            rows: u64::MAX,
            raw_bytes: 2,
            stored_bytes: 1,
            written_bytes: 0,
            warnings: 3,
            sources: vec!["database".into()],
            uploaded: true,
        }
    }

    #[test]
    fn a_summary_comes_back_from_its_annotations() {
        let annotations = summary().to_annotations();
        assert_eq!(annotations["vnd.snap.tags"], r#"["a,b","\""]"#);
        assert_eq!(Summary::from_annotations(&annotations).unwrap(), summary());
    }

    #[test]
    fn annotations_without_a_count_are_damaged() {
        let mut annotations = summary().to_annotations();
        annotations.remove("vnd.snap.rows");
        let error = Summary::from_annotations(&annotations).unwrap_err();
        assert!(error.chain().contains("rows"), "{}", error.chain());
    }
}
