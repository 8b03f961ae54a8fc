//! Archives there and back; what is hostile is in the files beside this one.

use std::fs;
use std::io::Cursor;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;
use tar::Builder;
use tar::EntryType;
use tar::Header;

use super::*;
use crate::base::digest;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::monitor::Silent;
use crate::repository::Repository;
use crate::repository::id::SnapshotId;
use crate::repository::samples;
use crate::repository::summary::Summary;
use crate::snapshot::list::show;
use crate::snapshot::verify::Depth;
use crate::snapshot::verify::verify;

mod hostile;
mod lies;

/// An entry of a tar: its name, its kind, its content.
type Member = (String, EntryType, Vec<u8>);

/// A folder with a repository that holds snapshot `one`, its archive, and an empty repository.
struct Scene {
    temp: tempfile::TempDir,
    source: Repository,
    target: Repository,
    archive: PathBuf,
}

impl Scene {
    async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let source = samples::repository(&temp.path().join("source")).await;
        samples::commit(&source, "one", "x").await;
        let target = samples::repository(&temp.path().join("target")).await;
        let archive = temp.path().join("one.snap.tar");
        download(&source, &id("one"), &archive, &Silent).await.unwrap();
        Self { temp, source, target, archive }
    }

    fn members(&self) -> Vec<Member> {
        members(&fs::read(&self.archive).unwrap())
    }

    async fn upload(&self, bytes: &[u8]) -> Result<Summary, Error> {
        let path = self.temp.path().join("uploaded.tar");
        samples::put(&path, bytes);
        upload(&self.target, &path, None, &Silent).await
    }

    /// Checks that an upload is refused, says why, and lists nothing.
    async fn assert_refused(&self, case: &str, bytes: &[u8], kind: Kind, why: &str) {
        let error = self.upload(bytes).await.expect_err(case);
        assert_eq!(error.kind(), kind, "{case}: {}", error.chain());
        assert!(error.chain().contains(why), "{case}: {} lacks {why:?}", error.chain());
        assert_eq!(self.target.ids().await.unwrap(), [], "{case}");
    }
}

fn id(text: &str) -> SnapshotId {
    text.parse().unwrap()
}

fn members(archive: &[u8]) -> Vec<Member> {
    let mut archive = tar::Archive::new(Cursor::new(archive));
    let member = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), EntryType::Regular, content)
    };
    archive.entries().unwrap().map(member).collect()
}

fn tarred(members: &[Member]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, content) in members {
        let mut header = Header::new_gnu();
        // As bytes: a hostile name is not what `set_path` lets through.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(1_700_000_000);
        header.set_cksum();
        tar.append(&header, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn file(name: &str, content: &[u8]) -> Member {
    (name.to_owned(), EntryType::Regular, content.to_vec())
}

fn blob(content: &[u8]) -> Member {
    file(&format!("blobs/sha256/{}", hex_of(content)), content)
}

fn hex_of(content: &[u8]) -> String {
    digest::sha256(content).strip_prefix("sha256:").unwrap().to_owned()
}

#[tokio::test]
async fn what_is_uploaded_is_what_was_downloaded() {
    let scene = Scene::new().await;
    let first = fs::read(&scene.archive).unwrap();
    let summary = scene.upload(&first).await.unwrap();
    assert!(summary.uploaded);
    let listed = scene.source.listed(&id("one")).await.unwrap();
    let uploaded = scene.target.listed(&id("one")).await.unwrap();
    assert_eq!((&uploaded.digest, uploaded.size), (&listed.digest, listed.size));
    assert_eq!(uploaded.summary, Summary { uploaded: true, ..listed.summary });
    let catalogs = (show(&scene.source, &id("one")).await, show(&scene.target, &id("one")).await);
    assert_eq!(catalogs.0.unwrap(), catalogs.1.unwrap());
    let verification = verify(&scene.target, &[], Depth::ReadData, &Silent).await.unwrap();
    assert!(verification.checked[0].sound);
    assert!(scene.target.staged_files().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_difference_is_carried_with_its_base_and_proven_against_it() {
    const ROWS: &str = "application/vnd.snap.rows.v1.tsv+zstd";
    const DELTA: &str = "application/vnd.snap.rows.delta.v1.tsv+zstd";
    let Scene { temp, target, .. } = Scene::new().await;
    let source = samples::repository(&temp.path().join("changed")).await;
    let (base, delta) = samples::commit_changed(&source).await;
    let listed = source.listed(&id("two")).await.unwrap();
    let manifest = source.manifest(&listed).await.unwrap();
    let layers = manifest.layers().iter();
    let layers: Vec<_> = layers
        .map(|layer| (layer.digest().to_string(), layer.media_type().to_string()))
        .filter(|(digest, _)| [&base.digest, &delta.digest].contains(&digest))
        .collect();
    let expected = [(&base.digest, ROWS), (&delta.digest, DELTA)];
    assert_eq!(layers, expected.map(|(digest, kind)| (digest.clone(), kind.to_owned())));
    let shared = source.listed(&id("one")).await.unwrap().summary;
    assert!(listed.summary.stored_bytes > shared.stored_bytes, "the base is counted too");
    assert!(listed.summary.stored_bytes < shared.stored_bytes + base.size / 4, "but once");

    let archive = temp.path().join("two.tar");
    download(&source, &id("two"), &archive, &Silent).await.unwrap();
    upload(&target, &archive, None, &Silent).await.unwrap();
    let raw = target.read_blob(&delta).await.unwrap();
    assert_eq!(raw, samples::changed_rows().1);
    let verification = verify(&target, &[], Depth::ReadData, &Silent).await.unwrap();
    assert!(verification.checked[0].sound);

    // The same with an archive whose base is another one.
    let elsewhere = samples::repository(&temp.path().join("elsewhere")).await;
    let mut members = members(&fs::read(&archive).unwrap());
    let hex = base.digest.strip_prefix("sha256:").unwrap();
    let of_base = members.iter_mut().find(|(name, _, _)| name.ends_with(hex)).unwrap();
    of_base.2[1000] ^= 1;
    samples::put(&archive, &tarred(&members));
    let error = upload(&elsewhere, &archive, None, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.chain().contains(hex), "{}", error.chain());
    assert_eq!(elsewhere.ids().await.unwrap(), []);
}

#[tokio::test]
async fn the_bytes_of_an_archive_depend_on_the_snapshot_alone() {
    let scene = Scene::new().await;
    samples::commit(&scene.source, "two", "y").await;
    samples::commit(&scene.target, "one", "z").await;
    let first = fs::read(&scene.archive).unwrap();
    upload(&scene.target, &scene.archive, Some(id("renamed")), &Silent).await.unwrap();
    let again = scene.temp.path().join("again.tar");
    let written = download(&scene.source, &id("one"), &again, &Silent).await.unwrap();
    let elsewhere = scene.temp.path().join("elsewhere.tar");
    download(&scene.target, &id("renamed"), &elsewhere, &Silent).await.unwrap();
    assert_eq!(fs::read(&again).unwrap(), first);
    assert_eq!(fs::read(&elsewhere).unwrap(), first);
    assert_eq!((written.bytes, written.digest), (first.len() as u64, digest::sha256(&first)));
    assert_eq!(again.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_download_never_overwrites_and_leaves_nothing_when_it_fails() {
    let scene = Scene::new().await;
    let folder = scene.temp.path().join("downloads");
    fs::create_dir(&folder).unwrap();
    let taken = folder.join("taken");
    samples::put(&taken, b"mine");
    let error = download(&scene.source, &id("one"), &taken, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(fs::read(&taken).unwrap(), b"mine");

    let free = folder.join("free");
    let error = download(&scene.source, &id("two"), &free, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Absent);
    let layer = scene.members().pop().unwrap().0;
    samples::put(&scene.source.folder().join(&layer), b"damage");
    let error = download(&scene.source, &id("one"), &free, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    let hex = layer.strip_prefix("blobs/sha256/").unwrap();
    assert!(error.to_string().contains(hex), "{error}");
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [taken]);
}

#[tokio::test]
async fn an_archive_of_another_tool_is_taken_in_any_order_with_folders() {
    let scene = Scene::new().await;
    let mut members = scene.members();
    members.reverse();
    for (name, _, _) in &mut members {
        *name = format!("./{name}");
    }
    let folders = ["./", "./blobs/", "./blobs/sha256/"];
    let folders = folders.map(|name| (name.to_owned(), EntryType::Directory, Vec::new()));
    let pax = ("pax".to_owned(), EntryType::XHeader, b"20 mtime=1700000000\n".to_vec());
    let mut all: Vec<Member> = folders.into_iter().chain([pax]).chain(members).collect();
    // skopeo keeps neither the name nor the artifact type in the index.
    let index = all.iter_mut().find(|(name, _, _)| name == "./index.json").unwrap();
    let mut parsed: Value = serde_json::from_slice(&index.2).unwrap();
    let manifest = parsed["manifests"][0].as_object_mut().unwrap();
    manifest.retain(|key, _| ["mediaType", "digest", "size"].contains(&key.as_str()));
    index.2 = parsed.to_string().into_bytes();
    assert_eq!(scene.upload(&tarred(&all)).await.unwrap().id, id("one"));
}

#[tokio::test]
async fn an_id_is_given_once_and_checked_before_any_work() {
    let scene = Scene::new().await;
    samples::commit(&scene.target, "taken", "z").await;
    let nowhere = scene.temp.path().join("nowhere");
    let taken = upload(&scene.target, &nowhere, Some(id("taken")), &Silent).await.unwrap_err();
    assert_eq!(taken.kind(), Kind::Refused);
    let absent = upload(&scene.target, &nowhere, None, &Silent).await.unwrap_err();
    assert_eq!(absent.kind(), Kind::Failed);
    upload(&scene.target, &scene.archive, None, &Silent).await.unwrap();
    let twice = upload(&scene.target, &scene.archive, None, &Silent).await.unwrap_err();
    assert_eq!(twice.kind(), Kind::Refused);
}

#[tokio::test]
async fn an_upload_heals_a_blob_that_is_damaged_in_the_repository() {
    let scene = Scene::new().await;
    samples::commit(&scene.target, "other", "y").await;
    let (name, _, sound) = scene.members().pop().unwrap();
    let file = scene.target.folder().join(name);
    let mut flipped = sound.clone();
    flipped[5] ^= 1;
    samples::put(&file, &flipped);
    upload(&scene.target, &scene.archive, None, &Silent).await.unwrap();
    assert_eq!(fs::read(file).unwrap(), sound);
}
