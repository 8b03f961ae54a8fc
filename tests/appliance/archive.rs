//! One file that carries a snapshot to another host, and what is refused in its place.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::place::CERTIFICATES;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::restore_failures::finished;
use crate::stored;

/// Returns the path of a new archive of a snapshot.
fn download(place: &Place, id: &str, name: &str) -> String {
    let path = place.path(name).display().to_string();
    place.snap(&["download", id, "-o", &path]).succeeded();
    path
}

#[test]
fn a_snapshot_moves_to_another_host_as_one_file_that_is_always_the_same() {
    let old = Place::studio();
    old.snap(&["create", "before-move", "--tag", "move"]).succeeded();
    let archive = download(&old, "before-move", "one.tar");
    let bytes = fs::read(&archive).expect("read the archive");
    let again = fs::read(download(&old, "before-move", "two.tar")).expect("read the archive");
    assert!(bytes == again, "two downloads differ");
    assert_eq!(fs::metadata(&archive).expect("read its mode").mode() & 0o777, 0o600);

    let new = Place::empty();
    let uploaded = new.snap(&["upload", &archive, "--snapshot-id", "moved", "-q"]);
    assert_eq!(uploaded.succeeded(), "moved");
    let mut arguments = vec!["restore", "moved", "--restore-certificates", "--trust-definers"];
    // A new host does not tell which roles it uses.
    arguments.extend(["--to-version", "4.1"]);
    new.snap(&arguments).succeeded();
    let databases = [&old, &new].map(|place| place.server.dump("centreon_studio"));
    assert!(databases[0] == databases[1], "the databases differ");
    assert_eq!(new.tree(), old.tree());
    let onward = fs::read(download(&new, "moved", "three.tar")).expect("read the archive");
    assert!(bytes == onward, "the archive depends on more than the snapshot");
}

#[test]
fn programs_of_other_accounts_from_an_archive_wait_until_the_user_trusts_them() {
    let old = Place::studio();
    old.server.sql(
        "CREATE USER other@localhost;
         CREATE DEFINER=other@localhost VIEW centreon_studio.theirs AS SELECT 1 AS one",
    );
    old.snap(&["create", "before"]).succeeded();
    old.snap(&["restore", "before", "--force", "--only", "database"]).succeeded();
    let archive = download(&old, "before", "one.tar");

    let new = Place::empty();
    new.server.sql("CREATE USER other@localhost");
    new.snap(&["upload", &archive, "-q"]).succeeded();
    let databases = new.server.sql("SHOW DATABASES");
    let only = ["restore", "before", "--only", "database", "--to-version", "4.1"];
    let planned = new.snap(&[&only[..], &["--dry-run"]].concat());
    let needed = "needs --trust-definers: `other`@`localhost`";
    assert!(planned.code == 14 && planned.stdout.contains(needed), "{planned:#?}");
    let refused = new.snap(&only);
    assert_eq!(refused.code, 14, "{refused:#?}");
    assert!(refused.stderr.contains("`other`@`localhost`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("\nhint: --trust-definers "), "{}", refused.stderr);
    assert_eq!(new.server.sql("SHOW DATABASES"), databases);

    let planned = new.snap(&[&only[..], &["--dry-run", "--trust-definers"]].concat());
    assert!(!planned.succeeded().contains("--trust-definers"), "{planned:#?}");
    new.snap(&[&only[..], &["--trust-definers"]].concat()).succeeded();
    assert_eq!(new.server.sql("SELECT one FROM centreon_studio.theirs"), "1\n");
}

#[test]
fn certificates_that_would_not_work_are_restored_and_said_loudly() {
    let place = Place::studio();
    let folder = place.root().join(CERTIFICATES);
    let (mine, theirs) =
        (folder.join("rabbitmq-key.pem"), folder.join("cloudify_external_key.pem"));
    fs::copy(theirs, mine).expect("mix the keys up");
    let saved = place.tree();
    place.snap(&["create", "mixed"]).succeeded();
    fs::write(folder.join("certificate_metadata"), "{}").expect("change the tree");
    let arguments = ["restore", "mixed", "--only", "certificates", "--restore-certificates"];
    let output = place.snap(&[&arguments[..], &["--no-safety-snapshot"]].concat());
    assert_eq!(output.code, 3, "{output:#?}");
    let warning = "warning: key rabbitmq-key.pem does not belong to certificate rabbitmq-cert.pem: \
        what uses them will not start\n";
    assert_eq!(output.stderr, warning);
    assert_eq!(place.tree(), saved);
}

#[test]
fn a_download_is_named_after_its_snapshot_and_overwrites_nothing() {
    let place = Place::empty();
    place.save_security_file_only();
    place.snap(&["create", "first"]).succeeded();
    let run = || {
        let folder = place.path("downloads");
        fs::create_dir_all(&folder).expect("create a folder");
        let output = place.command(&["download", "first", "-q"]).current_dir(folder).output();
        let output = output.expect("start snap");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("snap prints UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(run(), (Some(0), "first.snap.tar\n".to_owned(), String::new()));
    let archive = place.path("downloads/first.snap.tar");
    let before = fs::metadata(&archive).expect("find the archive");

    let refusal = "error: cannot write first.snap.tar: it exists\n\
        hint: choose another path with -o; an archive never overwrites a file\n";
    assert_eq!(run(), (Some(14), String::new(), refusal.to_owned()));
    let after = fs::metadata(&archive).expect("find the archive");
    assert_eq!((after.ino(), after.mtime_nsec()), (before.ino(), before.mtime_nsec()));
    let files = fs::read_dir(place.path("downloads")).expect("list the folder").count();
    assert_eq!(files, 1, "something was left beside the archive");
}

#[test]
fn an_upload_never_takes_the_id_of_another_snapshot() {
    let place = Place::empty();
    place.save_security_file_only();
    place.snap(&["create", "first"]).succeeded();
    place.snap(&["create", "second"]).succeeded();
    let archive = download(&place, "first", "first.tar");
    let refusal = |id: &str, doing: &str| {
        format!(
            "error: {doing}cannot list snapshot {id}: the id is taken\n\
             hint: choose another id, or delete that snapshot first\n"
        )
    };
    let taken = place.snap(&["upload", &archive, "-s", "second"]);
    assert_eq!((taken.code, taken.stderr), (14, refusal("second", "")));
    let taken = place.snap(&["upload", &archive]);
    assert_eq!(
        (taken.code, taken.stderr),
        (14, refusal("first", &format!("cannot upload {archive}: ")))
    );
    assert_eq!(place.ids(), "first\nsecond");
}

/// An archive taken apart: names and contents of its entries, in their order.
type Entries = Vec<(String, Vec<u8>)>;

fn entries(archive: &str) -> Entries {
    let mut archive = tar::Archive::new(fs::File::open(archive).expect("open the archive"));
    let entries = archive.entries().expect("read the archive");
    entries
        .map(|entry| {
            let mut entry = entry.expect("read an entry");
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("read an entry");
            (name, content)
        })
        .collect()
}

fn write(place: &Place, name: &str, entries: &Entries) -> PathBuf {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        // As it is: the library itself would refuse a name with `..` in it.
        header.as_ustar_mut().expect("it is one").name[..name.len()]
            .copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, content.as_slice()).expect("write an entry");
    }
    let path = place.path(name);
    fs::write(&path, tar.into_inner().expect("end the archive")).expect("write the archive");
    path
}

/// Returns the digest of bytes in hex, as blobs are named by it.
fn digest(bytes: &[u8]) -> String {
    let digest = studio_snap::base::digest::sha256(bytes);
    digest.strip_prefix("sha256:").expect("a digest is a SHA-256").to_owned()
}

/// Gives the manifest a content that still has the digest that the index names.
fn replace_manifest(entries: &mut Entries, from: &str, to: &str) {
    let (old, content) = entries[2].clone();
    let changed = String::from_utf8(content).expect("a manifest is text").replacen(from, to, 1);
    let name = format!("blobs/sha256/{}", digest(changed.as_bytes()));
    let index = String::from_utf8(entries[1].1.clone()).expect("an index is text");
    let hex = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    entries[1].1 = index.replace(&hex(&old), &hex(&name)).into_bytes();
    entries[2] = (name, changed.into_bytes());
}

#[test]
fn an_archive_that_is_not_sound_is_refused_and_nothing_is_listed() {
    let place = Place::empty();
    place.save_security_file_only();
    place.snap(&["create", "sound"]).succeeded();
    let archive = download(&place, "sound", "sound.tar");
    let sound = entries(&archive);
    let (name, content) = sound.last().expect("an archive has entries").clone();
    let blob = name.replace("blobs/sha256/", "sha256:");
    let file = stored::chunk(&place, "sound", &format!("/{SECURITY_FILE}"));
    assert!(
        file.ends_with(name.rsplit('/').next().unwrap_or_default()),
        "the last entry is no chunk"
    );

    let mut cases: Vec<(PathBuf, String)> = Vec::new();
    let whole = fs::read(&archive).expect("read the archive");
    let truncated = place.path("truncated.tar");
    fs::write(&truncated, &whole[..whole.len() - 1500]).expect("write the archive");
    cases.push((truncated, "it is truncated".to_owned()));

    let mut flipped = sound.clone();
    flipped.last_mut().expect("it has entries").1[content.len() / 2] ^= 1;
    let complaint = format!("blob {blob} has another content than its name says");
    cases.push((write(&place, "flipped.tar", &flipped), complaint));

    let extra =
        [sound.clone(), vec![(format!("blobs/sha256/{}", digest(b"")), Vec::new())]].concat();
    let complaint = format!("the archive holds blobs/sha256/{}, which nothing names", digest(b""));
    cases.push((write(&place, "extra.tar", &extra), complaint));

    let outside = [sound.clone(), vec![("../../etc/cron.d/x".to_owned(), b"x".to_vec())]].concat();
    let complaint = "it has entry \"../../etc/cron.d/x\", which is no file of an image layout";
    cases.push((write(&place, "outside.tar", &outside), complaint.to_owned()));

    let mut lying = sound;
    let size = format!("\"size\":{}", content.len());
    replace_manifest(&mut lying, &size, &format!("\"size\":{}", content.len() + 1));
    let complaint =
        format!("blob {blob} has {} bytes instead of {}", content.len(), content.len() + 1);
    cases.push((write(&place, "lying.tar", &lying), complaint));

    for (archive, complaint) in cases {
        let path = archive.display().to_string();
        let output = place.snap(&["upload", &path, "-s", "bad"]);
        assert_eq!(output.code, 13, "{output:#?}");
        assert_eq!(output.stdout, "");
        let (error, hint) = output.stderr.split_once('\n').expect("an error has a line");
        assert!(error.starts_with("error: cannot "), "{error}");
        assert!(error.contains(&path) && error.ends_with(&complaint), "{error}\n{complaint}");
        assert!(hint.starts_with("hint: "), "{hint}");
        assert_eq!(place.ids(), "sound");
    }
    assert!(!place.path("etc").exists());
    place.snap(&["verify", "--read-data"]).succeeded();
}

/// The most memory that a verb may take, in KiB: far more than it needs, far less than the blob.
const MEMORY: u64 = 64 << 10;

#[test]
fn a_large_blob_is_uploaded_and_verified_in_little_memory() {
    let place = Place::used_studio();
    // Longer than the window of the compressor, and without a newline: nothing of it goes away.
    let mut block = vec![0; 4 << 20];
    getrandom::fill(&mut block).expect("the system has random numbers");
    block.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'x');
    place.forge_table("users", |_, _, rows| {
        *rows = [&block.repeat(75)[..], b"\n2\tbob\n"].concat();
    });
    let archive = download(&place, "forged", "forged.tar");
    assert!(fs::metadata(&archive).expect("read its size").len() > 300 << 20);
    let elsewhere = format!("--repository={}", place.path("elsewhere").display());
    for arguments in [
        &["upload", &archive, "-s", "first"][..],
        // Once more: what is there already is read and compared.
        &["upload", &archive, "-s", "second"],
        &["verify", "--read-data"],
    ] {
        let mut verb = place.start(&[arguments, &[&elsewhere]].concat());
        let mut peak = 0;
        while verb.try_wait().expect("ask for the end of snap").is_none() {
            peak = peak.max(peak_memory(verb.id()));
            thread::sleep(Duration::from_millis(1));
        }
        finished(verb).succeeded();
        assert!(peak > 0 && peak < MEMORY, "{arguments:?}: {peak} KiB");
    }
}

/// Returns the most memory that a process has had in use so far, in KiB; none once it has ended.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}
