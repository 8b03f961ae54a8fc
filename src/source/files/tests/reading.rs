//! What a tree is read into.

use std::fs;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

use super::*;
use crate::base::digest::sha256;
use crate::base::error::Kind;
use crate::source::files::CHUNK_BYTES;
use crate::source::files::globs::Globs;
use crate::source::files::list::Content;

#[tokio::test]
async fn nothing_is_read_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, _receiver) = mpsc::channel(1);
    for path in ["absent", "absent/too"] {
        let path = folder.path().join(path);
        assert!(
            files::read(&path, &Globs::default(), CHUNK_BYTES, sender.clone(), &Silent)
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test]
async fn the_same_tree_elsewhere_gives_the_same_bytes() {
    let (folder, _) = rich_tree();
    let copy = folder.path().join("copy");
    assert!(run(Command::new("cp").arg("-a").arg(folder.path().join("ssl")).arg(&copy)));
    let first = save(&folder.path().join("ssl"), CHUNK_BYTES).await;
    let second = save(&copy, 4096).await;
    assert_eq!(first.said, Said::default());
    assert!(first.tar() == second.tar());
    assert_eq!(first.list, second.list);
    assert_eq!(first.list.digest(), second.list.digest());
}

#[tokio::test]
async fn any_change_gives_another_digest() {
    let (folder, _) = rich_tree();
    let top = folder.path().join("ssl");
    let mut digests = vec![save(&top, CHUNK_BYTES).await.list.digest()];
    fs::set_permissions(top.join("cert.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    digests.push(save(&top, CHUNK_BYTES).await.list.digest());
    set_mtime(&top.join("cert.pem"), 1_234_567_890, 123_456_788);
    digests.push(save(&top, CHUNK_BYTES).await.list.digest());
    fs::remove_file(top.join("zz")).unwrap();
    set_mtime(&top, 1_000_000_000, 999_999_999);
    digests.push(save(&top, CHUNK_BYTES).await.list.digest());
    digests.dedup();
    assert_eq!(digests.len(), 4);
}

#[tokio::test]
async fn gnu_tar_extracts_the_joined_chunks_to_an_equal_tree() {
    let (folder, has_xattrs) = rich_tree();
    let saved = save(&folder.path().join("ssl"), 1000).await;
    let tar = folder.path().join("tree.tar");
    write(&tar, &saved.tar(), 0o600);
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let mut command = Command::new("tar");
    command.args(["--extract", "--preserve-permissions", "--numeric-owner", "--file"]).arg(tar);
    if has_xattrs {
        command.args(["--xattrs", "--xattrs-include=*"]);
    }
    assert!(run(command.arg("--directory").arg(&copy)));
    assert_eq!(picture(&copy), picture(&folder.path().join("ssl")));
}

#[tokio::test]
async fn sockets_and_pipes_are_named_in_a_warning_and_left_out() {
    let folder = tree_with_socket();
    assert!(run(Command::new("mkfifo").arg(folder.path().join("pipe"))));
    let saved = save(folder.path(), CHUNK_BYTES).await;
    let warnings = saved.said.warnings.join("\n");
    assert!(warnings.contains("socket is left out: a socket"), "{warnings}");
    assert!(warnings.contains("pipe is left out: a named pipe"), "{warnings}");
    let paths: Vec<_> = saved.list.entries.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(paths, [".", "kept"]);
}

#[tokio::test]
async fn a_source_that_is_no_file_and_no_folder_is_refused() {
    let folder = tree_with_socket();
    let (sender, _receiver) = mpsc::channel(1);
    for path in [folder.path().join("socket"), "/".into()] {
        let error = files::read(&path, &Globs::default(), CHUNK_BYTES, sender.clone(), &Silent)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{}", error.chain());
    }
}

#[tokio::test]
async fn a_file_that_nobody_may_read_is_named_in_a_warning_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("kept"), b"kept", 0o600);
    write(&folder.path().join("locked/closed"), b"closed", 0o000);
    let saved = save(folder.path(), CHUNK_BYTES).await;
    if is_root() {
        assert_eq!(saved.said, Said::default());
        assert_eq!(saved.list.count(), 4);
    } else {
        assert_eq!(saved.said.warnings.len(), 1);
        assert!(saved.said.warnings[0].contains("locked/closed is left out: not readable"));
        assert_eq!(saved.list.count(), 3);
    }
}

#[tokio::test]
async fn a_large_sparse_file_is_cut_at_fixed_distances_from_its_own_start() {
    let folder = tempfile::tempdir().unwrap();
    let sparse = folder.path().join("sparse");
    write(&sparse, b"", 0o600);
    let file = OpenOptions::new().write(true).open(&sparse).unwrap();
    file.set_len(3_500_000).unwrap();
    set_mtime(&sparse, 1, 0);
    write(&folder.path().join("zz"), b"after", 0o600);
    let before = save(folder.path(), 1_000_000).await;
    write(&folder.path().join("a"), &[7; 5000], 0o600);
    let after = save(folder.path(), 1_000_000).await;

    let sizes: Vec<_> = before.chunks.iter().map(|chunk| chunk.content.raw().len()).collect();
    assert_eq!(sizes[1..4], [1_000_000; 3], "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 1_000_000), "{sizes:?}");
    let rows: Vec<_> = before.chunks.iter().map(|chunk| chunk.rows).collect();
    assert_eq!(rows, [1, 1, 0, 0, 0, 1]);
    assert_eq!(before.raw_bytes, sizes.iter().sum::<usize>() as u64);
    for index in 1..=4 {
        assert!(
            before.chunks[index].content.raw() == after.chunks[index].content.raw(),
            "chunk {index} moved"
        );
    }
    let digest = sha256(&vec![0; 3_500_000]);
    assert_eq!(before.list.entries[1].content, Content::File { size: 3_500_000, digest });
}

/// Saves a tree while its one file is changed after the first chunk was read.
async fn save_during(change: impl FnOnce(&Path)) -> (Saved, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    write(&log, &vec![b'x'; 3_000_000], 0o600);
    let recorder = Recorder::new(&Silent);
    let (sender, mut receiver) = mpsc::channel(1);
    let receive = async {
        // The next chunks wait for room: the rest of the file is still unread.
        let mut chunks = vec![receiver.recv().await.unwrap(), receiver.recv().await.unwrap()];
        change(&log);
        while let Some(chunk) = receiver.recv().await {
            chunks.push(chunk);
        }
        chunks
    };
    let all = Globs::default();
    let read = files::read(folder.path(), &all, 65_536, sender, &recorder);
    let (tree, chunks) = tokio::join!(read, receive);
    let tree = tree.unwrap().unwrap();
    let said = recorder.said();
    (Saved { list: tree.list, raw_bytes: tree.raw_bytes, chunks, said }, folder)
}

#[tokio::test]
async fn a_file_that_grows_is_cut_at_the_size_it_had() {
    let (saved, folder) = save_during(|log| {
        let mut file = OpenOptions::new().append(true).open(log).unwrap();
        file.write_all(b"more").unwrap();
    })
    .await;
    assert!(saved.said.notes[0].ends_with("log changed while it was read"), "{:?}", saved.said);
    assert_eq!(saved.said.warnings, Vec::<String>::new());
    restore(&folder.path().join("new"), &saved).await.unwrap().discard_previous().unwrap();
    assert!(fs::read(folder.path().join("new/log")).unwrap() == vec![b'x'; 3_000_000]);
}

#[tokio::test]
async fn a_file_that_shrinks_is_filled_with_zeros_and_named_in_a_warning() {
    let (saved, folder) = save_during(|log| {
        OpenOptions::new().write(true).open(log).unwrap().set_len(1_000_000).unwrap();
    })
    .await;
    let warning = &saved.said.warnings[0];
    assert!(warning.ends_with("log shrank while it was read: its end is zeros"), "{warning}");
    restore(&folder.path().join("new"), &saved).await.unwrap().discard_previous().unwrap();
    let content = fs::read(folder.path().join("new/log")).unwrap();
    assert!(content[..1_000_000].iter().all(|byte| *byte == b'x'));
    assert!(content[1_000_000..].iter().all(|byte| *byte == 0));
    assert_eq!(content.len(), 3_000_000);
}
