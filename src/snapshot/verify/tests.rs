//! Damage of every kind, and what it hurts.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::base::digest;
use crate::base::error::Kind;
use crate::base::monitor::Recorder;
use crate::base::monitor::Silent;
use crate::repository::samples;

/// A kind of damage: what it leaves of a file, given the bytes of some other file.
type Damage = fn(&Path, &[u8]);

const FLIPPED: (&str, Damage) = ("flipped", |file, _| {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    samples::put(file, &bytes);
});
const TRUNCATED: (&str, Damage) = ("truncated", |file, _| {
    let bytes = fs::read(file).unwrap();
    samples::put(file, &bytes[..bytes.len() - 1]);
});
const LENGTHENED: (&str, Damage) = ("lengthened", |file, _| {
    let mut bytes = fs::read(file).unwrap();
    bytes.push(0);
    samples::put(file, &bytes);
});
const DELETED: (&str, Damage) = ("deleted", |file, _| fs::remove_file(file).unwrap());
const SWAPPED: (&str, Damage) = ("swapped", |file, other| samples::put(file, other));
const DAMAGES: [(&str, Damage); 5] = [FLIPPED, TRUNCATED, LENGTHENED, DELETED, SWAPPED];

/// Tells how many cases were tried, for the end of `tests/run`, in the file that it names.
#[expect(clippy::disallowed_methods, reason = "no build for use reads this variable")]
fn count(cases: usize, of: &str) {
    let line = format!("{cases} damages of {of}, each found for what it hurts\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    let Some(path) = std::env::var_os("SNAP_TEST_TALLY") else { return };
    let file = fs::File::options().create(true).append(true).open(path);
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

/// The files of snapshot `one`, and what of which snapshot each of them hurts.
async fn files(repository: &Repository) -> Vec<(PathBuf, &'static str, &'static [&'static str])> {
    let one = "one".parse().unwrap();
    let listed = repository.listed(&one).await.unwrap();
    let manifest = repository.manifest(&listed).await.unwrap();
    let catalog = manifest.catalog().digest().to_string();
    let Catalog { sources, .. } = repository.catalog(&manifest).await.unwrap();
    let database = repository.index(&sources[0]).await.unwrap().unwrap();
    let tree = repository.index(&sources[1]).await.unwrap().unwrap();
    let index = |source: usize| sources[source].index.clone().unwrap().digest;
    let own = &database.items[0].chunks[1].blob.digest;
    let image = &database.items[1].chunks[0].blob.digest;
    let all: &[(&str, &str, &[&str])] = &[
        (&listed.digest, "manifest: ", &["one"]),
        (&catalog, "catalog: ", &["one"]),
        (&index(0), "database.index: ", &["one"]),
        (own, "database.element: ", &["one"]),
        (image, "database.image: ", &["one", "two"]),
        (&sources[0].schema.clone().unwrap().digest, "database.schema: ", &["one", "two"]),
        (&index(1), "certificates.index: ", &["one", "two"]),
        (&tree.items[0].chunks[0].blob.digest, "certificates./etc/ssl: ", &["one", "two"]),
    ];
    let blobs = repository.folder().join("blobs/sha256");
    let file = |digest: &str| blobs.join(digest.strip_prefix("sha256:").unwrap());
    all.iter().map(|(digest, hurt, snapshots)| (file(digest), *hurt, *snapshots)).collect()
}

/// Checks that exactly these snapshots are hurt, each in exactly this place.
async fn assert_hurt(repository: &Repository, depth: Depth, case: &str, hurt: &str, ids: &[&str]) {
    let verification = verify(repository, &[], depth, &Silent).await.unwrap();
    assert_eq!(verification.checked.len(), 2, "{case}");
    for checked in verification.checked {
        let is_hurt = ids.contains(&checked.id.as_str());
        assert_eq!(checked.sound, !is_hurt, "{case}: {checked:?}");
        assert_eq!(checked.hurt.len(), usize::from(is_hurt), "{case}: {checked:?}");
        assert!(checked.hurt.iter().all(|line| line.starts_with(hurt)), "{case}: {checked:?}");
    }
}

#[tokio::test]
async fn every_damage_of_every_kind_of_blob_is_found_and_named() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    samples::commit(&repository, "one", "x").await;
    samples::commit(&repository, "two", "y").await;
    let files = files(&repository).await;
    for (position, (file, hurt, ids)) in files.iter().enumerate() {
        let sound = fs::read(file).unwrap();
        let other = fs::read(&files[(position + 1) % files.len()].0).unwrap();
        for (damage, apply) in DAMAGES {
            apply(file, &other);
            let case = format!("{damage} {hurt}");
            assert_hurt(&repository, Depth::ReadData, &case, hurt, ids).await;
            if damage != FLIPPED.0 {
                assert_hurt(&repository, Depth::Listed, &case, hurt, ids).await;
            }
            samples::put(file, &sound);
        }
    }
    assert_hurt(&repository, Depth::ReadData, "repaired", "", &[]).await;
    count(files.len() * DAMAGES.len(), "blobs of every kind");
}

#[tokio::test]
async fn what_is_found_damaged_is_counted_on_by_nothing_and_stored_anew_in_its_place() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let (base, delta) = samples::commit_changed(&repository).await;
    let damaged = async || repository.damaged().await.unwrap().into_iter().collect::<Vec<_>>();
    let file = |blob: &BlobRef| {
        let name = blob.digest.strip_prefix("sha256:").unwrap();
        repository.folder().join("blobs/sha256").join(name)
    };
    let raw = repository.read_blob(&base).await.unwrap();
    let sound = fs::read(file(&base)).unwrap();
    FLIPPED.1(&file(&base), &[]);
    verify(&repository, &[], Depth::Listed, &Silent).await.unwrap();
    assert!(damaged().await.is_empty(), "nobody has read it");
    verify(&repository, &[], Depth::ReadData, &Silent).await.unwrap();
    assert_eq!(damaged().await, [base.digest.as_str()], "the difference itself is sound");
    verify(&repository, &[], Depth::Listed, &Silent).await.unwrap();
    assert_eq!(damaged().await, [base.digest.as_str()], "its size alone tells nothing");

    samples::put(&file(&base), &sound);
    verify(&repository, &[], Depth::ReadData, &Silent).await.unwrap();
    assert!(damaged().await.is_empty(), "it is sound again");

    FLIPPED.1(&file(&base), &[]);
    verify(&repository, &[], Depth::ReadData, &Silent).await.unwrap();
    let writer = repository.writer([base.clone(), delta.clone()]).await.unwrap();
    for blob in [&base, &delta] {
        assert_eq!(writer.find_known(&blob.raw_digest, blob.raw_bytes).await, None);
    }
    let packed = writer.pack(raw.clone(), Some(&base)).await.unwrap();
    assert_eq!(packed.is_delta, None, "nothing is a difference from it");
    assert_eq!(writer.write(raw).await.unwrap(), base);
    drop(writer);
    assert!(damaged().await.is_empty(), "it is stored again");
    repository.prove_blob(&delta).await.unwrap();

    FLIPPED.1(&file(&delta), &[]);
    verify(&repository, &[], Depth::ReadData, &Silent).await.unwrap();
    assert_eq!(damaged().await, [delta.digest.as_str()]);
    let stored = repository.stored_blobs().await.unwrap();
    let gone = stored.iter().find(|blob| blob.digest().as_ref() == Some(&delta.digest));
    repository.remove(gone.unwrap()).await.unwrap();
    assert!(damaged().await.is_empty(), "it is gone");
    verify(&repository, &[], Depth::ReadData, &Silent).await.unwrap();
    assert!(damaged().await.is_empty(), "what is absent needs no note");
}

#[tokio::test]
async fn damage_that_cannot_be_noted_is_told_all_the_same() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let (base, _) = samples::commit_changed(&repository).await;
    let name = base.digest.strip_prefix("sha256:").unwrap();
    FLIPPED.1(&repository.folder().join("blobs/sha256").join(name), &[]);
    samples::put(&repository.folder().join("damaged"), b"a file");
    let recorder = Recorder::new(&Silent);
    let verification = verify(&repository, &[], Depth::ReadData, &recorder).await.unwrap();
    assert!(verification.checked.iter().all(|checked| !checked.sound), "{verification:?}");
    let said = recorder.said();
    assert!(
        said.notes
            .iter()
            .any(|note| note.starts_with("cannot keep the notes of what is damaged (")),
        "{said:?}"
    );
}

#[tokio::test]
async fn damage_of_a_base_hurts_every_snapshot_that_holds_a_difference_from_it() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let (base, delta) = samples::commit_changed(&repository).await;
    samples::commit(&repository, "three", "x").await;
    let other = fs::read(temp.path().join("index.json")).unwrap();
    let chain = format!("database.element: blob {} is a difference", delta.digest);
    for (blob, hurt) in [(&base, ["one", "two"].as_slice()), (&delta, &["two"])] {
        let hex = blob.digest.strip_prefix("sha256:").unwrap();
        let file = temp.path().join("blobs/sha256").join(hex);
        let sound = fs::read(&file).unwrap();
        for (damage, apply) in DAMAGES {
            apply(&file, &other);
            for depth in [Depth::Listed, Depth::ReadData] {
                let verification = verify(&repository, &[], depth, &Silent).await.unwrap();
                for Checked { id, hurt: lines, .. } in verification.checked {
                    let is_seen = depth == Depth::ReadData || damage != FLIPPED.0;
                    let is_hurt = is_seen && hurt.contains(&id.as_str());
                    assert_eq!(!lines.is_empty(), is_hurt, "{damage} {depth:?} {id}: {lines:?}");
                    let expected = format!("database.element: blob {} ", blob.digest);
                    let is_named = |line: &&String| line.starts_with(&expected);
                    let count = lines.iter().filter(is_named).count();
                    assert_eq!(count, usize::from(is_hurt), "{damage} {depth:?} {id}: {lines:?}");
                    let needs_base = lines.iter().any(|line| line.starts_with(&chain));
                    let is_read = depth == Depth::ReadData && blob == &base;
                    assert_eq!(needs_base, is_hurt && is_read && id.as_str() == "two");
                }
            }
            samples::put(&file, &sound);
        }
    }
    let sound = verify(&repository, &[], Depth::ReadData, &Silent).await.unwrap();
    assert!(sound.checked.iter().all(|checked| checked.sound));
    count(2 * DAMAGES.len(), "differences and their bases");
}

#[tokio::test]
async fn a_damaged_descriptor_hurts_its_snapshot_alone() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    samples::commit(&repository, "one", "x").await;
    samples::commit(&repository, "two", "y").await;
    let file = temp.path().join("snapshots/one.json");
    let sound = fs::read(&file).unwrap();
    let other = fs::read(temp.path().join("snapshots/two.json")).unwrap();
    for (damage, apply) in DAMAGES {
        apply(&file, &other);
        let unreadable = "cannot read the descriptor of snapshot one: ";
        let hurt = match damage {
            "deleted" => "descriptor: snapshots/one.json is absent",
            "flipped" => "",
            _ => unreadable,
        };
        assert_hurt(&repository, Depth::Listed, damage, hurt, &["one"]).await;
        samples::put(&file, &sound);
    }
    assert_hurt(&repository, Depth::Listed, "repaired", "", &[]).await;
    count(DAMAGES.len(), "descriptors");
}

#[tokio::test]
async fn a_bit_of_a_descriptor_that_is_flipped_is_found_or_changes_nothing_that_is_shown() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let written = samples::commit(&repository, "one", "x").await;
    let file = temp.path().join("snapshots/one.json");
    let sound = fs::read(&file).unwrap();
    let bits = (0..sound.len() * 8).step_by(7);
    count(bits.clone().count(), "single bits of a descriptor");
    for bit in bits {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        samples::put(&file, &bytes);
        let verification = verify(&repository, &[], Depth::Listed, &Silent).await.unwrap();
        let [checked] = verification.checked.as_slice() else { panic!("bit {bit}") };
        if checked.sound {
            let listed = repository.listed(&written.id).await.unwrap();
            // How much was new then is known to nothing else.
            let Summary { written_bytes, uploaded, .. } = listed.summary;
            let shown = Summary { written_bytes, uploaded, ..written.clone() };
            assert_eq!(listed.summary, shown, "bit {bit}");
        }
    }
}

#[tokio::test]
async fn a_damaged_index_json_hurts_no_snapshot_and_is_noted() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    samples::commit(&repository, "one", "x").await;
    let earlier = fs::read(temp.path().join("index.json")).unwrap();
    samples::commit(&repository, "two", "y").await;
    let file = temp.path().join("index.json");
    let sound = fs::read(&file).unwrap();
    for (damage, apply) in DAMAGES {
        apply(&file, &earlier);
        let recorder = Recorder::new(&Silent);
        let verification = verify(&repository, &[], Depth::Listed, &recorder).await.unwrap();
        let is_sound: Vec<bool> = verification.checked.iter().map(|it| it.sound).collect();
        assert_eq!(is_sound, [true, true], "{damage}");
        let said = recorder.said();
        assert!(said.warnings.is_empty() && said.notes.len() == 1, "{damage}: {said:?}");
        assert!(said.notes[0].starts_with("index.json, which other tools read, "), "{said:?}");
        samples::put(&file, &sound);
    }
    count(DAMAGES.len(), "index.json");
}

#[tokio::test]
async fn a_repository_whose_oci_layout_is_damaged_is_not_opened_and_a_damaged_lock_is_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    samples::commit(&repository, "one", "x").await;
    let other = fs::read(temp.path().join("index.json")).unwrap();
    let location = temp.path().to_str().unwrap();
    let mut cases = 0;
    for name in ["oci-layout", "snap.lock", "commit.lock"] {
        let file = temp.path().join(name);
        let sound = fs::read(&file).unwrap();
        for (damage, apply) in DAMAGES {
            // A lock is empty while nobody holds it.
            if sound.is_empty() && [FLIPPED.0, TRUNCATED.0].contains(&damage) {
                continue;
            }
            cases += 1;
            apply(&file, &other);
            let opened = Repository::open(location, samples::holder("verify")).await;
            match opened {
                Ok(repository) => {
                    assert_ne!(name, "oci-layout", "{damage}");
                    let verified = verify(&repository, &[], Depth::Listed, &Silent).await;
                    assert!(verified.unwrap().checked[0].sound, "{name} {damage}");
                }
                Err(error) => {
                    let known = [Kind::Damaged, Kind::Refused, Kind::Absent];
                    assert!(
                        name == "oci-layout" && known.contains(&error.kind()),
                        "{name} {damage}"
                    );
                }
            }
            samples::put(&file, &sound);
        }
    }
    count(cases, "oci-layout and locks");
}

#[tokio::test]
async fn blobs_are_counted_and_an_unknown_id_is_absent() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let summary = samples::commit(&repository, "one", "x").await;
    let id = "one".parse().unwrap();
    let verification = verify(&repository, &[id], Depth::Listed, &Silent).await.unwrap();
    let checked = &verification.checked[0];
    assert_eq!((checked.blobs, checked.bytes), (9, summary.written_bytes));
    let ids = ["two".parse().unwrap()];
    let error = verify(&repository, &ids, Depth::Listed, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Absent);
}

#[tokio::test]
async fn a_count_of_rows_that_is_wrong_is_found_by_reading() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    let writer = repository.writer([]).await.unwrap();
    let blob = writer.write(b"1\n2\n".to_vec()).await.unwrap();
    let index = samples::index("element", &[(&blob, 3)]);
    let source = samples::source_of(&index, writer.write_index(&index).await.unwrap());
    writer.commit(samples::catalog("one", vec![source])).await.unwrap();
    let verification = verify(&repository, &[], Depth::ReadData, &Silent).await.unwrap();
    let hurt = &verification.checked[0].hurt;
    assert_eq!(hurt.len(), 1);
    assert!(hurt[0].starts_with("database.element: blob sha256:"), "{hurt:?}");
    assert!(hurt[0].ends_with("has 2 rows instead of 3"), "{hurt:?}");
}

#[tokio::test]
async fn a_manifest_that_lacks_a_layer_is_found() {
    let temp = tempfile::tempdir().unwrap();
    let repository = samples::repository(temp.path()).await;
    samples::commit(&repository, "one", "x").await;
    let listed = repository.listed(&"one".parse().unwrap()).await.unwrap();
    let bytes = repository.read_stored(&listed.digest, listed.size).await.unwrap();
    let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
    manifest["layers"].as_array_mut().unwrap().pop();
    let shorter = manifest.to_string().into_bytes();
    let digest = digest::sha256(&shorter);
    let writer = repository.writer([]).await.unwrap();
    writer.keep(&digest, shorter.clone().into()).await.unwrap();
    // Every blob is sound, and prune would take the one that the manifest forgot.
    let file = temp.path().join("snapshots/one.json");
    let mut descriptor: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    (descriptor["digest"], descriptor["size"]) = (json!(digest), json!(shorter.len()));
    samples::put(&file, descriptor.to_string().as_bytes());
    let verification = verify(&repository, &[], Depth::Listed, &Silent).await.unwrap();
    let expected = ["manifest: the manifest has other layers than the catalog names"];
    assert_eq!(verification.checked[0].hurt, expected);
}
