//! Archives that are broken, or hold what no archive holds: each is refused, and why is said.

use std::path::Path;

use super::*;

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
