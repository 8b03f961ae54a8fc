//! Files that come back with other bytes than the saved ones, and what is read of a tar for them.

use super::*;
use crate::base::error::Kind;
use crate::source::files::Contents;

/// Returns the contents of these files, read from a tar in pieces.
async fn contents(saved: &Saved, names: &[&str], tar: &[u8]) -> Result<Vec<Vec<u8>>> {
    let listed: Vec<_> = names.iter().map(|name| saved.list.file(name).unwrap()).collect();
    let (sender, receiver) = mpsc::channel(1);
    let send = async {
        for piece in tar.chunks(100) {
            if sender.send(piece.to_vec()).await.is_err() {
                break;
            }
        }
        drop(sender);
    };
    let (read, ()) = tokio::join!(files::contents(&saved.list, listed.clone(), receiver), send);
    let read: Contents = read?;
    Ok(listed.iter().map(|file| read.of(file).unwrap().to_vec()).collect())
}

fn lines_without(picture: &[String], content: &str) -> Vec<String> {
    picture.iter().map(|line| line.replace(content, "")).collect()
}

#[tokio::test]
async fn a_single_file_with_other_bytes_has_all_else_of_the_saved_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rest-security.conf");
    write(&file, b"{\"a\": 1}", 0o640);
    set_mtime(&file, 1_700_000_000, 5);
    let saved = save(&file, 600).await;
    let wanted = Wanted::from(saved.list.clone()).with_content(b"{\"a\": 1, \"b\": 2}".to_vec());

    let target = folder.path().join("other.conf");
    let staged = stage(&target, wanted.clone(), &saved.tar(), &Silent).await.unwrap();
    swap(staged.prove().await.unwrap()).unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"{\"a\": 1, \"b\": 2}");
    let content = |file: &Path| format!("{:?}", fs::read(file).unwrap());
    assert_eq!(
        lines_without(&picture(&target), &content(&target)),
        lines_without(&picture(&file), &content(&file))
    );
    let differences = |list: FileList| async move {
        let changes = files::changes(&folder.path().join("other.conf"), &list).await.unwrap();
        changes.into_iter().filter_map(|change| change.difference).collect::<Vec<_>>()
    };
    assert_eq!(differences(wanted.list().clone()).await, [""; 0]);
}

#[tokio::test]
async fn what_the_tar_has_in_place_of_given_bytes_is_proven_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    write(&file, b"saved", 0o600);
    let saved = save(&file, 600).await;
    let target = folder.path().join("target");
    for position in 0..saved.tar().len() {
        let mut tar = saved.tar();
        tar[position] ^= 1;
        let wanted = Wanted::from(saved.list.clone()).with_content(b"other".to_vec());
        let error = stage(&target, wanted, &tar, &Silent).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Damaged);
        assert_eq!(leftovers(&target).unwrap(), []);
    }
}

#[tokio::test]
async fn a_folder_can_come_back_with_one_file_more() {
    let (folder, _) = rich_tree();
    let top = folder.path().join("ssl");
    let saved = save(&top, 1000).await;
    let like = saved.list.file("key.pem").unwrap();
    for name in ["+first", "ca_key.pem", "hollow2", "~last"] {
        let wanted = Wanted::from(saved.list.clone());
        let wanted = wanted.with_file_like(name, &like, b"secret".to_vec());
        FileList::from_detail(&wanted.list().to_detail()).unwrap();

        let target = folder.path().join("restored");
        let staged = stage(&target, wanted, &saved.tar(), &Silent).await.unwrap();
        swap(staged.prove().await.unwrap()).unwrap().discard_previous().unwrap();
        let mut found = picture(&target);
        let own = |line: &String| line.starts_with(&format!("{name:?}"));
        let added = found.remove(found.iter().position(own).unwrap());
        let key = picture(&top.join("key.pem")).remove(0).replace("2 names", "1 names");
        assert_eq!(added.strip_prefix(&format!("{name:?}")), key.strip_prefix("\"\""));
        assert_eq!(found, picture(&top), "{name}");
    }
}

#[tokio::test]
async fn a_name_that_is_taken_is_not_given_again() {
    let (folder, _) = rich_tree();
    let saved = save(&folder.path().join("ssl"), 1000).await;
    let like = saved.list.file("key.pem").unwrap();
    let wanted = Wanted::from(saved.list.clone());
    assert_eq!(wanted.clone().with_file_like("cert.pem", &like, b"x".to_vec()), wanted);
}

#[tokio::test]
async fn single_files_are_read_out_of_a_tar_and_proven() {
    let (folder, _) = rich_tree();
    let saved = save(&folder.path().join("ssl"), 1000).await;
    let tar = saved.tar();
    let read = contents(&saved, &["key.pem", "cert.pem"], &tar).await.unwrap();
    assert_eq!(read, [b"secret", b"public"]);
    let start = memchr::memmem::find(&tar, b"secret").unwrap();
    let mut tampered = tar.clone();
    tampered[start] ^= 1;
    let error = contents(&saved, &["key.pem"], &tampered).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read `key.pem`: its tar is not that of the list");
    assert_eq!(contents(&saved, &["cert.pem"], &tampered).await.unwrap(), [b"public"]);
    let error = contents(&saved, &["key.pem"], &tar[..start + 3]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(saved.list.file("hollow").is_none() && saved.list.file("nothing").is_none());
    assert!(saved.list.only_file().is_none());
}

#[tokio::test]
async fn of_what_is_live_a_bounded_part_is_read_and_only_where_it_is_a_file() {
    let folder = tree_with_socket();
    let file = folder.path().join("live");
    write(&file, b"0123456789", 0o600);
    assert_eq!(files::live_content(&file, 4).await.unwrap().unwrap(), b"0123");
    assert_eq!(files::live_content(&file, 40).await.unwrap().unwrap(), b"0123456789");
    for absent in ["nothing", "live/below"] {
        assert_eq!(files::live_content(&folder.path().join(absent), 9).await.unwrap(), None);
    }
    assert_eq!(files::live_content(folder.path(), 9).await.unwrap(), None);
}
