//! Small snapshots for tests: a database of two tables and a file tree.

use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::base::digest;
use crate::base::digest::RowsDigest;
use crate::repository::Repository;
use crate::repository::catalog::BlobRef;
use crate::repository::catalog::Catalog;
use crate::repository::catalog::Chunk;
use crate::repository::catalog::FORMAT;
use crate::repository::catalog::Index;
use crate::repository::catalog::Item;
use crate::repository::catalog::ItemIndex;
use crate::repository::catalog::SourceRecord;
use crate::repository::catalog::SourceState;
use crate::repository::lock::Holder;
use crate::repository::summary::Summary;
use crate::repository::writer::Writer;

/// The list of a tree that is an empty folder.
const ENTRY: &str = r#"{"path":".","type":"folder","mode":493,"uid":0,"gid":0,"mtime":{"seconds":0,"nanoseconds":0}}"#;

/// Returns who works on a sample.
pub(crate) fn holder(verb: &str) -> Holder {
    Holder { verb: verb.into(), process: 42, host: "web1".into(), since: created() }
}

/// Returns when every sample was created.
pub(crate) fn created() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// Returns a new repository in a folder.
pub(crate) async fn repository(folder: &Path) -> Repository {
    Repository::open_or_create(folder.to_str().unwrap(), holder("create")).await.unwrap()
}

/// Commits a snapshot: table `element` in two chunks, the second of which is `salt`'s own; table
/// `image` and the tree `/etc/ssl`, which all samples share.
pub(crate) async fn commit(repository: &Repository, id: &str, salt: &str) -> Summary {
    let writer = repository.writer([]).await.unwrap();
    let catalog = write(&writer, id, salt).await;
    writer.commit(catalog).await.unwrap()
}

/// Writes the blobs of a sample; returns its catalog.
pub(crate) async fn write(writer: &Writer, id: &str, salt: &str) -> Catalog {
    let own = format!("3\t{salt}\n");
    let element: &[&[u8]] = &[b"1\ta\n2\tb\n", own.as_bytes()];
    let image: &[&[u8]] = &[b"1\t\\0\\0\n"];
    let tables = [("element", element), ("image", image)];
    let mut database = source(writer, "database", "mariadb", &tables, Value::Null).await;
    database.schema = Some(writer.write(schema(&["element", "image"])).await.unwrap());
    let tree: &[&[u8]] = &[b"a tar of one entry"];
    let detail = serde_json::from_str(&format!("{{\"entries\":[{ENTRY}]}}")).unwrap();
    let mut files = source(writer, "certificates", "files", &[("/etc/ssl", tree)], detail).await;
    files.items[0].digest = digest::sha256(format!("{ENTRY}\n").as_bytes());
    let mut users = files.clone();
    users.name = "users".into();
    (users.state, users.items, users.index) = (SourceState::Absent, Vec::new(), None);
    catalog(id, vec![database, files, users])
}

/// Returns a schema blob of tables of one column.
fn schema(tables: &[&str]) -> Vec<u8> {
    let table = |name: &&str| {
        let create =
            format!("CREATE TABLE `{name}` (\n  `id` int(11) DEFAULT NULL\n) ENGINE=InnoDB");
        json!({
            "name": name, "create": create, "primary": [], "key": null, "is_transactional": true,
            "columns": [{ "name": "id", "data_type": "int" }],
        })
    };
    let (charset, collation) = ("utf8mb4", "utf8mb4_general_ci");
    let name = "centreon_studio";
    let definition = json!({
        "database": { "name": name, "charset": charset, "collation": collation, "comment": "" },
        "tables": tables.iter().map(table).collect::<Value>(), "sequences": [], "programs": [],
    });
    let json = definition.to_string().into_bytes();
    let mut header = tar::Header::new_ustar();
    header.set_size(json.len() as u64);
    header.set_mode(0o600);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "definition.json", json.as_slice()).unwrap();
    archive.into_inner().unwrap()
}

/// Returns a catalog of these sources.
pub(crate) fn catalog(id: &str, sources: Vec<SourceRecord>) -> Catalog {
    Catalog {
        format: FORMAT,
        tool: "snap 0.1.0".into(),
        id: id.into(),
        created: created(),
        host: "web1".into(),
        profile: "studio".into(),
        product_version: Some("5.0".into()),
        tags: vec!["nightly".into()],
        note: Some("before the upgrade".into()),
        sources,
        notes: Vec::new(),
        warnings: Vec::new(),
    }
}

async fn source(
    writer: &Writer,
    name: &str,
    kind: &str,
    items: &[(&str, &[&[u8]])],
    detail: Value,
) -> SourceRecord {
    let mut index = Index { detail, ..Index::default() };
    for (item, chunks) in items {
        let chunks = write_chunks(writer, chunks).await;
        index.items.push(ItemIndex { name: (*item).into(), key: Value::Null, chunks });
    }
    let blob = writer.write_index(&index).await.unwrap();
    SourceRecord { name: name.into(), kind: kind.into(), ..source_of(&index, blob) }
}

async fn write_chunks(writer: &Writer, raw: &[&[u8]]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for bytes in raw {
        let rows = (memchr::memchr_iter(b'\n', bytes).count() as u64).max(1);
        let blob = writer.write(bytes.to_vec()).await.unwrap();
        chunks.push(Chunk { blob, rows, from: Value::Null, noted: Value::Null });
    }
    chunks
}

/// Returns an index of one item with these chunks.
pub(crate) fn index(item: &str, chunks: &[(&BlobRef, u64)]) -> Index {
    let chunk = |(blob, rows): &(&BlobRef, u64)| Chunk {
        blob: (*blob).clone(),
        rows: *rows,
        from: Value::Null,
        noted: Value::Null,
    };
    let chunks = chunks.iter().map(chunk).collect();
    Index {
        items: vec![ItemIndex { name: item.into(), key: Value::Null, chunks }],
        detail: Value::Null,
    }
}

/// Returns the database of an index that is stored in a blob.
pub(crate) fn source_of(index: &Index, blob: BlobRef) -> SourceRecord {
    let item = |item: &ItemIndex| Item {
        name: item.name.clone(),
        rows: item.chunks.iter().map(|chunk| chunk.rows).sum(),
        current_rows: None,
        raw_bytes: item.chunks.iter().map(|chunk| chunk.blob.raw_bytes).sum(),
        digest: RowsDigest::default().to_text(),
        generated_digest: None,
    };
    SourceRecord {
        name: "database".into(),
        kind: "mariadb".into(),
        origin: "centreon_studio".into(),
        state: SourceState::Saved,
        detail: Value::Null,
        items: index.items.iter().map(item).collect(),
        schema: None,
        index: Some(blob),
    }
}

/// Writes a file over another one, as a failing disk or a careless hand does.
#[expect(clippy::disallowed_methods, reason = "damage is written in place")]
pub(crate) fn put(file: &Path, bytes: &[u8]) {
    std::fs::write(file, bytes).unwrap();
}
