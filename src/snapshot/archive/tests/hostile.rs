//! Archives that are broken, or hold what no archive holds: each is refused, and why is said.

use std::path::Path;

use super::*;
use crate::repository::catalog::Catalog;
use crate::repository::writer::Writer;

#[tokio::test]
async fn a_truncated_archive_is_refused_wherever_it_ends() {
    let scene = Scene::new().await;
    let whole = fs::read(&scene.archive).unwrap();
    for length in (0..whole.len()).step_by(256).chain([whole.len() - 1]) {
        let case = format!("{length} of {} bytes", whole.len());
        scene.assert_refused(&case, &whole[..length], Kind::Damaged, "").await;
    }
    scene.upload(&whole).await.unwrap();
}

#[tokio::test]
async fn a_flipped_bit_is_refused_and_the_blob_named() {
    let scene = Scene::new().await;
    let whole = fs::read(&scene.archive).unwrap();
    let mut archive = tar::Archive::new(Cursor::new(&whole));
    let mut places = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        places.push((entry.raw_header_position() + 130, "is no sound tar".to_owned()));
        if let Some(hex) = name.strip_prefix("blobs/sha256/") {
            let middle = entry.raw_file_position() + entry.size() / 2;
            places.push((middle, format!("blob sha256:{hex} has another content")));
        }
    }
    assert_eq!(places.len(), 20);
    for (place, why) in places {
        let mut flipped = whole.clone();
        flipped[usize::try_from(place).unwrap()] ^= 1;
        let case = format!("bit at {place}");
        scene.assert_refused(&case, &flipped, Kind::Damaged, &why).await;
    }
}

#[tokio::test]
async fn an_entry_that_does_not_belong_is_refused() {
    let scene = Scene::new().await;
    let sound = scene.members();
    let link = |kind| ("blobs/sha256/link".to_owned(), kind, Vec::new());
    let first = sound[0].clone();
    let cases: &[(&str, Member, &str)] = &[
        ("a blob that nothing names", blob(b"extra"), "which nothing names"),
        ("a file", file("evil", b""), "\"evil\""),
        ("a way up", file("blobs/sha256/../../evil", b""), "../../evil"),
        ("a way up from the top", file("../evil", b""), "\"../evil\""),
        ("an absolute name", file("/etc/passwd", b""), "/etc/passwd"),
        ("an absolute blob", file(&format!("/{}", blob(b"x").0), b"x"), "no file of an image"),
        ("a digest in capitals", file(&blob(b"x").0.to_uppercase(), b"x"), "no file of an image"),
        ("a folder", ("evil/".to_owned(), EntryType::Directory, Vec::new()), "\"evil/\""),
        ("a symlink", link(EntryType::Symlink), "neither a file nor a folder"),
        ("a hard link", link(EntryType::Link), "neither a file nor a folder"),
        ("a device", link(EntryType::Block), "neither a file nor a folder"),
        ("a pipe", link(EntryType::Fifo), "neither a file nor a folder"),
        ("a long name", link(EntryType::GNULongName), "neither a file nor a folder"),
        ("a sparse file", link(EntryType::GNUSparse), "neither a file nor a folder"),
        ("an entry twice", first, "oci-layout twice"),
        ("a blob twice", sound[4].clone(), "twice"),
    ];
    for (case, member, why) in cases {
        for position in [0, sound.len()] {
            let mut members = sound.clone();
            members.insert(position, member.clone());
            scene.assert_refused(case, &tarred(&members), Kind::Damaged, why).await;
        }
    }
    let mut hidden = tarred(&sound);
    hidden.extend(tarred(&[blob(b"after the end")]));
    scene.assert_refused("after the end", &hidden, Kind::Damaged, "goes on after its end").await;
}

#[tokio::test]
async fn an_archive_that_lacks_an_entry_is_refused() {
    let scene = Scene::new().await;
    let sound = scene.members();
    for position in 0..sound.len() {
        let mut members = sound.clone();
        let (name, _, _) = members.remove(position);
        let why = name.strip_prefix("blobs/sha256/").unwrap_or(&name);
        scene.assert_refused(&name, &tarred(&members), Kind::Damaged, why).await;
    }
}

#[tokio::test]
async fn a_folder_or_an_empty_file_is_no_archive() {
    let scene = Scene::new().await;
    let folder: &Path = scene.temp.path();
    let error = upload(&scene.target, folder, None, &Silent).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    scene.assert_refused("an empty file", b"", Kind::Damaged, "truncated").await;
    scene.assert_refused("only zeros", &[0; 4096], Kind::Damaged, "no oci-layout").await;
    scene.assert_refused("a text", &[b'x'; 4096], Kind::Damaged, "no sound tar").await;
}

/// Commits a sample to the source after a change; returns its archive.
async fn changed(
    scene: &Scene,
    id: &str,
    change: impl AsyncFnOnce(&Writer, &mut Catalog),
) -> Vec<u8> {
    let writer = scene.source.writer([]).await.unwrap();
    let mut catalog = samples::write(&writer, id, id).await;
    change(&writer, &mut catalog).await;
    writer.commit(catalog).await.unwrap();
    let path = scene.temp.path().join(id);
    download(&scene.source, &id.parse().unwrap(), &path, &Silent).await.unwrap();
    fs::read(path).unwrap()
}

#[tokio::test]
async fn definitions_that_could_not_be_run_are_not_taken() {
    let scene = Scene::new().await;
    let damaged = Kind::Damaged;
    let hostile = async |writer: &Writer, catalog: &mut Catalog| {
        let blob = catalog.sources[0].schema.clone().unwrap();
        let schema = String::from_utf8(scene.source.read_blob(&blob).await.unwrap()).unwrap();
        let changed = schema.replacen("ENGINE=InnoDB", "ENGINE=SPIDER", 1);
        catalog.sources[0].schema = Some(writer.write(changed.into_bytes()).await.unwrap());
    };
    let archive = changed(&scene, "engine", hostile).await;
    let why = "cannot run the definition of table \"element\"";
    scene.assert_refused("another engine", &archive, damaged, why).await;

    let absent = async |_: &Writer, catalog: &mut Catalog| catalog.sources[0].schema = None;
    let archive = changed(&scene, "none", absent).await;
    scene.assert_refused("no schema", &archive, damaged, "names no definitions").await;

    let unreadable = async |writer: &Writer, catalog: &mut Catalog| {
        catalog.sources[0].schema = Some(writer.write(b"no tar".to_vec()).await.unwrap());
    };
    let archive = changed(&scene, "text", unreadable).await;
    scene.assert_refused("no tar", &archive, damaged, "cannot read the schema blob").await;
}

#[tokio::test]
async fn rows_that_could_never_be_proven_are_not_taken() {
    let scene = Scene::new().await;
    let later = "sum128-later:0123456789abcdef0123456789abcdef";
    let of_bytes = digest::sha256(b"rows");
    for (id, text, kind, why) in [
        ("later", later, Kind::Refused, "of the kind \"sum128-later\", which this version"),
        ("bytes", &of_bytes, Kind::Refused, "of the kind \"sha256\", which this version"),
        ("none", "", Kind::Damaged, "malformed"),
        ("short", "sum128-xxh3:0", Kind::Damaged, "malformed"),
    ] {
        let why = format!("cannot prove table \"element\": the digest of its rows is {why}");
        let archive = changed(&scene, id, async |_, catalog| {
            catalog.sources[0].items[0].digest = text.to_owned();
        });
        scene.assert_refused(id, &archive.await, kind, &why).await;
        let id = format!("{id}-generated");
        let archive = changed(&scene, &id, async |_, catalog| {
            catalog.sources[0].items[0].generated_digest = Some(text.to_owned());
        });
        scene.assert_refused(&id, &archive.await, kind, &why).await;
    }
}

#[tokio::test]
async fn a_list_of_files_that_is_not_the_catalogs_is_not_taken() {
    let scene = Scene::new().await;
    let archive = changed(&scene, "digest", async |_, catalog| {
        catalog.sources[1].items[0].digest = digest::sha256(b"another list");
    });
    let why = "the list of files is not the catalog's";
    scene.assert_refused("another list", &archive.await, Kind::Damaged, why).await;

    let archive = changed(&scene, "outside", async |writer, catalog| {
        let index = scene.source.index(&catalog.sources[1]).await.unwrap().unwrap();
        let mut index = index;
        index.detail["entries"][0]["path"] = Value::from("../outside");
        catalog.sources[1].index = Some(writer.write_index(&index).await.unwrap());
    });
    let why = "it is neither the top folder nor a single file";
    scene.assert_refused("a list that leads out", &archive.await, Kind::Damaged, why).await;
}

#[tokio::test]
async fn patterns_of_a_source_that_are_too_many_or_none_are_not_taken() {
    let scene = Scene::new().await;
    let many = serde_json::json!({"include": [], "exclude": vec!["x"; 1000]});
    let none = serde_json::json!({"include": [], "exclude": ["{a"]});
    for (id, patterns, why) in
        [("many", many, "1000 patterns are too many"), ("none", none, "is no pattern")]
    {
        let archive = changed(&scene, id, async |_, catalog| {
            catalog.sources[1].detail = patterns.clone();
        });
        scene.assert_refused(id, &archive.await, Kind::Damaged, why).await;
    }
}
