//! Targets that are mount points: filled in place, and put back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::place::run_by;
use crate::restore_failures::WAITING;
use crate::restore_failures::finished;

const RESTORE: &[&str] = &["restore", "before", "--force", "--restore-certificates"];

/// What a plan says of a mount point.
const FILLED: &str = "it is a mount point: filled in place";

impl Place {
    /// Returns a used studio whose certificates lie on a disk of their own.
    pub(crate) fn mounted_studio() -> Self {
        let mut place = Self::used_studio();
        place.mount_certificates();
        place
    }
}

#[test]
fn a_mount_point_is_filled_in_place_rolled_back_and_rolled_back_again() {
    let place = Place::mounted_studio();
    let certificates = place.path("root").join(CERTIFICATES).display().to_string();
    let used = place.live();
    let planned = place.snap(&[RESTORE, &["--dry-run"]].concat());
    assert!(planned.succeeded().contains(&format!("it differs; {FILLED}")), "{planned:#?}");
    let planned = place.snap(&[RESTORE, &["--dry-run", "--json"]].concat()).json();
    assert_eq!(planned["restore"]["sources"][1]["reason"], format!("it differs; {FILLED}"));
    assert!(place.live() == used, "a dry run touched something");

    let restored = place.snap(RESTORE);
    let kept = format!("kept aside: {certificates}/.snap-previous-");
    assert!(restored.succeeded().contains(&kept), "{restored:#?}");
    let saved = place.live();
    assert!(saved != used, "nothing was restored");
    // What is kept inside is no part of the tree.
    let again = place.snap(&[RESTORE, &["--dry-run", "--json"]].concat()).json();
    assert_eq!(again["restore"]["sources"][1]["reason"], "it is identical already");
    place.snap(&["create", "after"]).succeeded();
    let shown = |id: &str| {
        let shown = place.snap(&["show", id, "--json"]).json();
        shown["catalog"]["sources"][1]["items"][0]["digest"].to_string()
    };
    assert!(shown("after").contains("sha256:"));
    assert_eq!(shown("after"), shown("before"));

    for round in 0..2 {
        place.snap(&["rollback"]).succeeded();
        assert!(place.live() == used, "round {round}: it is not what it was before");
        place.snap(&["rollback"]).succeeded();
        assert!(place.live() == saved, "round {round}: the restore did not come back");
        assert_eq!(place.beside().len(), 3, "{:?}", place.beside());
    }
    let dropped = place.snap(&["restore", "--discard-previous"]);
    assert!(dropped.succeeded().contains(&format!("dropped: {certificates}/.snap-previous-")));
    assert_eq!(place.beside(), [""; 0]);
    assert!(place.live() == saved, "more than the previous state was dropped");
    place.snap(&["rollback"]).failed(14, &["no restore of profile studio"]);
}

#[test]
fn what_is_restored_on_a_mount_point_is_what_was_saved_elsewhere() {
    let mut place = Place::small_studio();
    let saved = place.tree();
    place.snap(&["create", "before"]).succeeded();
    place.mount_certificates();
    place.overwrite_certificates();
    place.snap(RESTORE).succeeded();
    assert!(place.tree() == saved, "{}", place.tree());
}

#[test]
fn a_link_to_a_mount_point_stays_a_link() {
    let mut place = Place::small_studio();
    place.snap(&["create", "before"]).succeeded();
    place.mount_certificates();
    place.overwrite_certificates();
    let link = place.path("root/linked");
    symlink(format!("/{CERTIFICATES}"), &link).expect("make a link");
    place.configure(
        "[[profiles.studio.sources]]\nname = 'certificates'\nkind = 'files'\npath = '/linked'\n\
         certificates = true\n",
    );
    let restored = place.snap(RESTORE);
    assert!(restored.succeeded().contains("cloudify/ssl/.snap-previous-"), "{restored:#?}");
    assert!(link.is_symlink());
    let key = place.root().join(CERTIFICATES).join("cloudify_internal_key.pem");
    assert_ne!(fs::read(key).expect("read a key"), b"not a key");
}

#[test]
fn room_is_asked_of_the_mount_point_itself() {
    let place = Place::mounted_studio();
    place.mount().leave(8 << 10);
    let used = place.live();
    place.snap(RESTORE).failed(14, &["on the disk of", CERTIFICATES, " are free"]);
    assert!(place.live() == used, "something was touched");
    assert_eq!(place.beside(), [""; 0]);
}

#[test]
fn a_mounted_file_and_a_mount_within_a_target_are_refused_by_name() {
    let mut place = Place::used_studio();
    place.mount_certificates();
    let used = place.live();
    let within =
        place.mount_more("mkdir \"$0/within\" && mount -t tmpfs none \"$0/within\"", CERTIFICATES);
    assert_eq!(within.code, 0, "{within:#?}");
    place.snap(RESTORE).failed(14, &["ssl: ", "ssl/within is a mount point", "hint: unmount it"]);
    let gone = place.mount_more("umount \"$0/within\" && rmdir \"$0/within\"", CERTIFICATES);
    assert_eq!(gone.code, 0, "{gone:#?}");
    let file = place.mount_more("mount --bind \"$0\" \"$0\"", SECURITY_FILE);
    assert_eq!(file.code, 0, "{file:#?}");
    let refused = place.snap(RESTORE);
    refused.failed(14, &["rest-security.conf: a single file is mounted there", "hint: unmount it"]);
    assert_eq!(place.live().0, used.0, "the database was touched");
    place
        .snap(&["restore", "before", "--restore-certificates", "--only", "certificates"])
        .succeeded();
}

#[test]
fn a_restore_that_fails_leaves_a_mount_point_as_it_was() {
    let place = Place::mounted_studio();
    // The size of the files together passes the look beforehand; a disk has blocks.
    let mut failures = 0;
    for room in [28, 32, 36, 40] {
        place.mount().leave(room << 10);
        let used = place.live();
        let failed = place.snap(RESTORE);
        assert!([1, 14].contains(&failed.code), "{room} KiB: {failed:#?}");
        failures += i32::from(failed.stderr.contains("No space left on device"));
        assert!(place.live() == used, "{room} KiB: something was touched");
        assert_eq!(place.beside(), [""; 0], "{room} KiB");
    }
    assert!(failures > 0, "each was refused beforehand");
    place.mount().leave(u64::MAX);
    place.snap(RESTORE).succeeded();
}

#[test]
fn a_later_part_that_cannot_be_swapped_takes_a_mount_point_back_too() {
    let place = Place::mounted_studio();
    let used = place.live();
    let (folder, away) = (place.root().join("opt/manager"), place.root().join("opt/away"));
    let reader = place.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM element");
    let restore = place.start(RESTORE);
    // All is staged now, and the swap waits for the reader.
    place.wait_for(WAITING);
    fs::rename(&folder, &away).expect("move the folder away");
    drop(reader);
    finished(restore).failed(1, &["cannot replace", SECURITY_FILE]);
    fs::rename(&away, &folder).expect("move the folder back");
    assert!(place.live() == used, "something was touched");
    let beside = place.beside();
    assert!(!beside.iter().any(|it| it.contains(CERTIFICATES)), "{beside:?}");
}

#[test]
fn what_a_broken_restore_left_in_a_mount_point_is_removed_and_lost_and_found_stays() {
    let place = Place::mounted_studio();
    let certificates = place.root().join(CERTIFICATES);
    let number = |path: &Path| fs::metadata(path).expect("it is there").ino();
    fs::create_dir_all(certificates.join(".snap-staging-OLDONE/within")).expect("make a folder");
    let lost_and_found = certificates.join("lost+found");
    fs::create_dir(&lost_and_found).expect("make a folder");
    let before = number(&lost_and_found);
    for command in [RESTORE, &["rollback"], &["restore", "--discard-previous"]] {
        place.snap(command).succeeded();
        assert_eq!(number(&lost_and_found), before, "{command:?}");
        assert!(place.beside().iter().all(|it| it.contains("previous")), "{:?}", place.beside());
    }
    assert_eq!(place.beside(), [""; 0]);
    let kept = place.snap(&[RESTORE, &["--dry-run", "-v"]].concat());
    assert!(!kept.succeeded().contains("lost+found"), "{kept:#?}");
}

#[test]
fn doctor_says_what_is_a_mount_point() {
    let place = Place::mounted_studio();
    let doctor = place.snap(&["doctor"]);
    let line = doctor.stdout.lines().find(|line| line.contains(CERTIFICATES));
    assert!(line.is_some_and(|line| line.contains("a mount point")), "{doctor:#?}");
}

impl Place {
    /// Runs a script that mounts, where the certificates' disk is seen; `$0` is a path below the root.
    fn mount_more(&self, script: &str, path: &str) -> Output {
        let words = self.mount().words();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(self.path("root").join(Path::new(path)));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        Output::of(run_by(&words, &command).output().expect("start nsenter, of util-linux"))
    }
}
