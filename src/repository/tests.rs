//! Opening, locking and listing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::repository::lock::Access;
use crate::repository::manifest::MediaType;
use crate::repository::samples;
use crate::repository::samples::holder;

async fn open(folder: &Path) -> Result<Repository> {
    Repository::open(folder.to_str().unwrap(), holder("list")).await
}

async fn open_or_create(folder: &Path) -> Result<Repository> {
    Repository::open_or_create(folder.to_str().unwrap(), holder("create")).await
}

fn kind<T>(result: Result<T>) -> Kind {
    result.map(drop).unwrap_err().kind()
}

/// Returns every file and folder below a folder, with its mode.
fn modes(folder: &Path) -> Vec<(PathBuf, bool, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
        found.push((path.clone(), path.is_dir(), mode));
        if path.is_dir() {
            found.extend(modes(&path));
        }
    }
    found
}

#[tokio::test]
async fn a_repository_is_made_in_an_absent_an_empty_and_a_half_made_folder() {
    let temp = tempfile::tempdir().unwrap();
    let absent = temp.path().join("a/b");
    assert_eq!(kind(open(&absent).await), Kind::Absent);
    open_or_create(&absent).await.unwrap();
    open(&absent).await.unwrap();

    let empty = temp.path().join("empty");
    fs::create_dir_all(empty.join("lost+found")).unwrap();
    assert_eq!(kind(open(&empty).await), Kind::Absent);
    open_or_create(&empty).await.unwrap();

    let half = temp.path().join("half");
    fs::create_dir_all(half.join("snapshots")).unwrap();
    fs::copy(empty.join("index.json"), half.join("oci-layout#1")).unwrap();
    assert_eq!(kind(open(&half).await), Kind::Absent);
    open_or_create(&half).await.unwrap();
}

#[tokio::test]
async fn what_is_no_repository_is_left_as_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(&temp.path().join("repository")).await;
    let other = temp.path().join("images");
    fs::create_dir(&other).unwrap();
    for file in ["oci-layout", "index.json"] {
        fs::copy(repository.folder().join(file), other.join(file)).unwrap();
    }
    let file = repository.folder().join("index.json");
    for place in [&other, &file] {
        assert_eq!(kind(open(place).await), Kind::Absent, "{}", place.display());
        assert_eq!(kind(open_or_create(place).await), Kind::Absent, "{}", place.display());
    }
    assert_eq!(modes(&other).len(), 2, "an image layout of somebody else");
}

#[tokio::test]
async fn a_bucket_is_not_supported_yet() {
    let opened = Repository::open_or_create("s3://bucket/path", holder("create")).await;
    let error = opened.map(drop).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("s3:// is not supported yet"), "{error}");
}

#[tokio::test]
async fn a_newer_layout_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let newer = Bytes::from_static(br#"{"imageLayoutVersion":"2.0.0"}"#);
    repository.store.replace("oci-layout", newer).await.unwrap();
    assert_eq!(kind(open(temp.path()).await), Kind::Refused);
    assert_eq!(kind(open_or_create(temp.path()).await), Kind::Refused);
}

#[tokio::test]
async fn files_are_private_whatever_the_umask() {
    for umask in [0o022, 0o077] {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("repository");
        samples::commit(&samples::repository(&folder).await, "one", "x").await;
        let found = modes(temp.path());
        assert!(found.len() > 15, "{found:?}");
        for (path, is_folder, mode) in found {
            let private = if is_folder { 0o700 } else { 0o600 };
            assert_eq!(mode, private, "{} under {umask:o}", path.display());
        }
    }
}

#[tokio::test]
async fn a_new_object_never_replaces_an_old_one() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    assert!(store.put_new("folder/name", Bytes::from_static(b"old")).await.unwrap());
    assert!(!store.put_new("folder/name", Bytes::from_static(b"new")).await.unwrap());
    assert_eq!(store.get("folder/name", 3).await.unwrap().unwrap(), "old");
    assert_eq!(store.size("folder/name").await.unwrap(), Some(3));
    assert_eq!(store.list("folder").await.unwrap().len(), 1);
    assert_eq!(kind(store.get("folder/name", 2).await), Kind::Damaged);
    store.replace("folder/name", Bytes::from_static(b"newer")).await.unwrap();
    assert_eq!(store.get("folder/name", 9).await.unwrap().unwrap(), "newer");
    store.delete("folder/name").await.unwrap();
    store.delete("folder/name").await.unwrap();
    assert_eq!(store.get("folder/name", 9).await.unwrap(), None);
    assert_eq!(store.size("folder/name").await.unwrap(), None);
    assert_eq!(store.list("folder").await.unwrap(), []);
}

#[tokio::test]
async fn whoever_finds_the_repository_locked_learns_who_holds_it() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let prune = Repository::open(temp.path().to_str().unwrap(), holder("prune")).await.unwrap();
    let shared = repository.lock(Access::Shared).await.unwrap();
    let also_shared = prune.lock(Access::Shared).await.unwrap();
    drop(shared);
    let error = repository.lock(Access::Exclusive).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Busy);
    drop(also_shared);
    let exclusive = prune.lock(Access::Exclusive).await.unwrap();
    let error = repository.lock(Access::Shared).await.unwrap_err();
    let named = "snap prune (process 42 on web1, since 2026-01-02 03:04:05 UTC)";
    assert!(error.to_string().contains(named), "{error}");
    assert!(error.advice().is_some());
    drop(exclusive);
    let waiting = prune.lock(Access::Exclusive).await.unwrap();
    let freed = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        drop(waiting);
    };
    let (taken, ()) = futures_util::future::join(repository.lock(Access::Shared), freed).await;
    drop(taken.unwrap());
}

#[tokio::test]
async fn the_newest_of_a_profile_and_a_host_lend_their_blobs() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    for (id, host, created) in [
        ("older", "web1", "2026-01-01T00:00:00Z"),
        ("newer", "web1", "2026-01-03T00:00:00Z"),
        ("partial", "web1", "2026-01-04T00:00:00Z"),
        ("broken", "web1", "2026-01-05T00:00:00Z"),
        ("other", "web2", "2026-01-06T00:00:00Z"),
    ] {
        let writer = repository.writer([]).await.unwrap();
        let mut catalog = samples::write(&writer, id, id).await;
        (catalog.host, catalog.created) = (host.into(), created.parse().unwrap());
        if id == "partial" {
            catalog.sources.remove(0);
        }
        writer.commit(catalog).await.unwrap();
    }
    samples::put(&temp.path().join("snapshots/broken.json"), b"{");
    let writer = repository.writer([]).await.unwrap();
    let mut catalog = samples::write(&writer, "theirs", "theirs").await;
    (catalog.host, catalog.created) = ("web1".into(), "2026-01-06T00:00:00Z".parse().unwrap());
    let contents = repository.contents_of(catalog).await.unwrap();
    let (id, manifest) = ("theirs".parse().unwrap(), Bytes::from_static(b"{}"));
    writer.commit_upload(&id, &manifest, &contents).await.unwrap();
    let newest = async |profile, sources: &[&str]| {
        let sources = sources.iter().copied();
        let ids = repository.newest(profile, "web1", sources).await.unwrap();
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(newest("studio", &["database", "certificates"]).await, ["newer", "partial"]);
    assert_eq!(newest("studio", &["certificates"]).await, ["partial"]);
    assert_eq!(newest("studio", &["users"]).await, [""; 0]);
    assert_eq!(newest("centreon-map", &["database"]).await, [""; 0]);
}

#[tokio::test]
async fn other_tools_find_every_sound_snapshot_by_its_id() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    samples::commit(&repository, "one", "x").await;
    samples::commit(&repository, "two", "y").await;
    samples::put(&temp.path().join("snapshots/two.json"), b"{");
    samples::commit(&repository, "three", "z").await;
    let index = fs::read(temp.path().join("index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    let manifests = index["manifests"].as_array().unwrap();
    let name = |manifest: &serde_json::Value| {
        manifest["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap().to_owned()
    };
    assert_eq!(manifests.iter().map(name).collect::<Vec<_>>(), ["one", "three"]);
    assert_eq!(index["schemaVersion"], 2);
    let digest = manifests[0]["digest"].as_str().unwrap();
    let manifest = repository.read_stored(digest, manifests[0]["size"].as_u64().unwrap()).await;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.unwrap()).unwrap();
    assert_eq!(manifest["artifactType"], "application/vnd.snap.snapshot.v1");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.snap.catalog.v1+json");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.created"], "2026-01-02T03:04:05Z");
    let types = manifest["layers"].as_array().unwrap().iter();
    let types: Vec<&str> = types.map(|layer| layer["mediaType"].as_str().unwrap()).collect();
    let (index, schema) = (MediaType::Index.as_str(), MediaType::Schema.as_str());
    let (rows, files) = (MediaType::Rows.as_str(), MediaType::Files.as_str());
    assert_eq!(types, [index, schema, rows, rows, rows, index, files]);
}

#[tokio::test]
async fn a_newer_catalog_or_manifest_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let newer = br#"{"format":2,"sources":"of another shape"}"#;
    assert_eq!(kind(listing::parse_catalog(newer)), Kind::Refused);
    assert_eq!(kind(listing::parse_catalog(b"{")), Kind::Damaged);
    samples::commit(&repository, "one", "x").await;
    let file = temp.path().join("snapshots/one.json");
    let text = fs::read_to_string(&file).unwrap().replace("snapshot.v1", "snapshot.v2");
    samples::put(&file, text.as_bytes());
    assert_eq!(kind(repository.contents(&"one".parse().unwrap()).await), Kind::Refused);
}
