//! What must hold of any bytes, target by target.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use studio_snap::base::digest::sha256;
use studio_snap::base::digest::sha256_hex;
use studio_snap::base::error::Error;
use studio_snap::base::error::Kind;
use studio_snap::base::lock::Holder;
use studio_snap::base::monitor::Silent;
use studio_snap::profile::roles::RoleRule;
use studio_snap::profile::roles::mapping::Mapping;
use studio_snap::profile::roles::mapping::RoleOverride;
use studio_snap::profile::roles::mapping::UnknownRole;
use studio_snap::profile::security::SecurityFile;
use studio_snap::profile::security::assemble::Target;
use studio_snap::profile::security::assemble::assemble;
use studio_snap::repository::Repository;
use studio_snap::repository::catalog::BlobRef;
use studio_snap::repository::contents;
use studio_snap::repository::listing;
use studio_snap::repository::manifest::Manifest;
use studio_snap::snapshot::archive::upload;
use studio_snap::snapshot::verify::Depth;
use studio_snap::snapshot::verify::verify;
use studio_snap::source::files;
use studio_snap::source::files::FileList;
use studio_snap::source::files::Serving;
use studio_snap::source::files::globs::Globs;
use studio_snap::source::mariadb::schema;
use studio_snap::source::mariadb::statement::CreateTable;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// Fails unless an error blames the bytes: they are at fault here, and nothing else is.
fn assert_blamed(error: &Error) {
    let is_fine = matches!(error.kind(), Kind::Damaged | Kind::Refused | Kind::Usage);
    assert!(is_fine, "{:?}: {}", error.kind(), error.chain());
}

/// Returns a folder whose files need no disk, where there is such a place.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("create a folder")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("start a runtime")
}

fn holder() -> Holder {
    Holder { verb: "fuzz".into(), process: 1, host: "fuzz".into(), since: Timestamp::UNIX_EPOCH }
}

async fn repository(folder: &TempDir) -> Repository {
    let path = folder.path().join("repository");
    let location = path.to_str().expect("a temporary path is text").to_owned();
    Repository::open_or_create(&location, holder()).await.expect("make a repository")
}

/// Takes archives.
pub(crate) struct Archives {
    runtime: Runtime,
}

impl Archives {
    pub(crate) fn new() -> Self {
        Self { runtime: runtime() }
    }

    /// Uploads an archive: it is listed and sound, or refused and not listed.
    pub(crate) fn upload(&self, input: &[u8]) {
        let folder = folder();
        let path = folder.path().join("archive.tar");
        fs::write(&path, input).expect("write the archive");
        self.runtime.block_on(async {
            let repository = repository(&folder).await;
            match upload(&repository, &path, None, &Silent).await {
                Ok(summary) => {
                    let found = verify(&repository, &[], Depth::ReadData, &Silent).await;
                    let checked = found.expect("what was taken can be read").checked;
                    assert_eq!(checked.len(), 1);
                    assert!(checked[0].sound && summary.uploaded, "{checked:?}");
                }
                Err(error) => {
                    assert_blamed(&error);
                    let ids = repository.ids().await.expect("list the repository");
                    assert!(ids.is_empty(), "a refused archive is listed");
                }
            }
        });
        let outside = fs::read_dir(folder.path()).expect("list the folder").count();
        assert_eq!(outside, 2, "something lies beside the repository and the archive");
    }
}

/// Reads a manifest: all digests in it are such.
pub(crate) fn manifest(input: &[u8]) {
    match Manifest::parse(input) {
        Ok(manifest) => {
            for blob in manifest.layers().iter().chain([manifest.catalog()]) {
                assert!(sha256_hex(blob.digest().as_ref()).is_some());
            }
        }
        Err(error) => assert_blamed(&error),
    }
}

/// Reads a catalog, writes it, and reads it again.
pub(crate) fn catalog(input: &[u8]) {
    match listing::parse_catalog(input) {
        Ok(catalog) => {
            let written = serde_json::to_vec(&catalog).expect("a catalog is JSON");
            let again = listing::parse_catalog(&written).expect("what was written is read");
            assert_eq!(again, catalog);
            for source in &catalog.sources {
                if let Err(error) = contents::uses_of(source, None) {
                    assert_blamed(&error);
                }
            }
        }
        Err(error) => assert_blamed(&error),
    }
}

/// Reads a list of files, writes it, and reads it again.
pub(crate) fn list(input: &[u8]) {
    let Ok(detail) = serde_json::from_slice::<Value>(input) else { return };
    match FileList::from_detail(&detail) {
        Ok(list) => {
            let again = FileList::from_detail(&list.to_detail()).expect("what was written is read");
            assert_eq!((again.digest(), &again), (list.digest(), &list));
        }
        Err(error) => assert_blamed(&error),
    }
}

/// Reads a statement, prints it, and reads it again.
pub(crate) fn statement(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match CreateTable::parse(text) {
        Ok(parsed) => {
            let printed = parsed.to_string();
            assert_eq!(printed, text);
            assert_eq!(CreateTable::parse(&printed).expect("what was printed is read"), parsed);
        }
        Err(error) => assert_blamed(&error),
    }
}

/// Reads the definitions of a database: those that pass are statements that can be taken apart.
pub(crate) fn definition(input: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_size(input.len() as u64);
    header.set_mode(0o600);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "definition.json", input).expect("memory can be written");
    let archive = archive.into_inner().expect("memory can be written");
    match schema::outline(&archive) {
        Ok(outline) => {
            let read: Value = serde_json::from_slice(input).expect("it was read before");
            let tables = read["tables"].as_array().expect("it was read before");
            assert_eq!(tables.len(), outline.tables.len());
            for table in tables {
                statement(table["create"].as_str().expect("it was read before").as_bytes());
            }
        }
        Err(error) => assert_blamed(&error),
    }
}

/// Stages trees beside a file that must stay as it is.
pub(crate) struct Trees {
    runtime: Runtime,
    list: FileList,
    tar: Vec<u8>,
}

impl Trees {
    pub(crate) fn new() -> Self {
        let fixture = |name: &str| {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/fuzz");
            fs::read(folder.join(name)).expect("read a fixture")
        };
        let detail = serde_json::from_slice(&fixture("list/tree.json")).expect("a list is JSON");
        let list = FileList::from_detail(&detail).expect("a fixture is sound");
        Self { runtime: runtime(), list, tar: fixture("tree/tree.tar") }
    }

    /// Stages the tree of the list from a tar: it is that of the list, or refused.
    pub(crate) fn stage(&self, input: &[u8]) {
        let folder = folder();
        let canary = folder.path().join("canary");
        fs::write(&canary, "untouched").expect("write a file");
        let target = folder.path().join("target");
        let staged = self.runtime.block_on(async {
            let (sender, receiver) = mpsc::channel(1);
            let send = async {
                for piece in input.chunks(5000) {
                    if sender.send(piece.to_vec()).await.is_err() {
                        break;
                    }
                }
                drop(sender);
            };
            let staging =
                files::stage(&target, "fuzz", self.list.clone().into(), receiver, &Silent);
            tokio::join!(staging, send).0
        });
        match staged {
            Ok(staged) => {
                assert!(input == self.tar, "another tar is taken for the one of the list");
                drop(self.runtime.block_on(staged.prove()).expect("what was staged is proven"));
            }
            Err(error) => assert_blamed(&error),
        }
        assert_eq!(fs::read(&canary).expect("read a file"), b"untouched");
        let left = fs::read_dir(folder.path()).expect("list the folder").count();
        assert_eq!(left, 1, "a staging stays");
    }

    /// Looks at a file as a certificate, and as the key of one.
    pub(crate) fn check_certificates(&self, input: &[u8]) {
        let folder = folder();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).expect("create a folder");
        for name in ["a_cert.pem", "a_key.pem"] {
            fs::write(tree.join(name), input).expect("write a file");
        }
        self.runtime.block_on(async {
            let (sender, mut chunks) = mpsc::channel(8);
            let read =
                files::read(&tree, &Globs::default(), files::CHUNK_BYTES, sender, &Silent).await;
            let list = read.expect("read the tree").expect("it is there").list;
            let (sender, receiver) = mpsc::channel(8);
            while let Some(chunk) = chunks.recv().await {
                sender.send(chunk.content.raw().to_vec()).await.expect("somebody takes it");
            }
            drop(sender);
            let target = folder.path().join("target");
            let staged = files::stage(&target, "fuzz", list.into(), receiver, &Silent).await;
            let serving = Serving { now: Timestamp::UNIX_EPOCH, names: vec!["fuzz".to_owned()] };
            let staged = staged.expect("an honest tree is staged");
            drop(staged.check_certificates(serving, &Silent).await.expect("it only speaks"));
        });
    }
}

/// Reads chunks of rows.
pub(crate) struct Chunks {
    runtime: Runtime,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self { runtime: runtime() }
    }

    /// Reads a chunk that says it has 29 raw bytes, and one that says it has many.
    pub(crate) fn read(&self, input: &[u8]) {
        let folder = folder();
        self.runtime.block_on(async {
            let repository = repository(&folder).await;
            let writer = repository.writer([]).await.expect("start to write");
            let digest = sha256(input);
            writer.keep(&digest, Bytes::from(input.to_vec())).await.expect("keep a blob");
            let honest = zstd::bulk::decompress(input, 1 << 20).unwrap_or_default();
            for raw_bytes in [honest.len() as u64, 1 << 30] {
                let raw_digest = sha256(&honest);
                let size = input.len() as u64;
                let blob = BlobRef { digest: digest.clone(), size, raw_digest, raw_bytes };
                let newlines = memchr::memchr_iter(b'\n', &honest).count() as u64;
                match (repository.read_blob(&blob).await, repository.prove_blob(&blob).await) {
                    (Ok(read), Ok(found)) => assert_eq!((read, found), (honest.clone(), newlines)),
                    (Err(one), Err(other)) => {
                        assert_blamed(&one);
                        assert_blamed(&other);
                    }
                    (read, found) => panic!("{read:?} is not {found:?}"),
                }
            }
        });
    }
}

/// Makes a security file anew: of the snapshot's bytes the roles alone change, and those of the
/// target are taken over or left out.
pub(crate) fn security(input: &[u8]) {
    let overrides = [("administrator", "sys_admin"), ("deployer", "default")];
    let overrides = overrides.map(|(old, new)| RoleOverride { old: old.into(), new: new.into() });
    let mapping = Mapping::new(RoleRule::built_in(), &overrides, UnknownRole::Keep);
    let mapping = mapping.expect("these are roles");
    let file = SecurityFile::parse(input);
    let plan = file.map(|file| file.plan_roles(&mapping).expect("unknown roles are kept"));
    let newer = |bytes| Target { bytes: Some(bytes), is_newer: true };
    match assemble(input, plan.as_ref(), newer(br#"{"own": [1, "two"]}"#)) {
        Ok(assembled) => {
            let Some(file) = SecurityFile::parse(&assembled.bytes) else {
                return assert_eq!(assembled.bytes, input);
            };
            let again = file.plan_roles(&mapping).expect("unknown roles are kept");
            assert!(again.lines.iter().all(|line| !line.is_change()));
        }
        Err(error) => assert_blamed(&error),
    }
    let saved = br#"{"hash_salt": "s"}"#;
    let assembled = assemble(saved, None, newer(input)).expect("nothing is remapped");
    let text = str::from_utf8(&assembled.bytes).expect("it was text");
    assert!(text.starts_with(r#"{"hash_salt": "s""#) && text.ends_with('}'), "{text}");
    assert_eq!(assembled.kept_keys.is_empty(), assembled.bytes == saved);
}
