//! Certificates that are restored: what stands in for an authority that old snapshots lack, and what
//! there is to do before they are used.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::place::files_below;

/// A profile of the certificates alone: such a `snap` needs no server.
const PROFILE: &str = "
    [profiles.studio]
    units = ['nginx', 'cloudify-restservice']
    [[profiles.studio.sources]]
    name = 'certificates'
    kind = 'files'
    path = '/etc/cloudify/ssl'
    optional = true
    certificates = true
";

const COPIES: [(&str, &str); 2] = [
    ("cloudify_internal_cert.pem", "cloudify_internal_ca_cert.pem"),
    ("cloudify_internal_key.pem", "cloudify_internal_ca_key.pem"),
];

/// Returns a place that has saved the certificates of a manager 4.1 as `before`, and lost them since.
fn saved_4_1() -> (Place, String) {
    let place = Place::empty();
    place.configure(PROFILE);
    place.make_certificates();
    for (_, copy) in COPIES {
        fs::remove_file(place.certificate(copy)).expect("remove the authority");
    }
    let serial = place.certificate("cloudify_internal_ca_cert.srl");
    fs::remove_file(serial).expect("remove what belongs to it");
    place.snap(&["create", "before", "--from-version", "4.1"]).succeeded();
    let saved = place.certificates();
    fs::remove_dir_all(place.folder()).expect("lose the certificates");
    (place, saved)
}

impl Place {
    fn folder(&self) -> PathBuf {
        self.root().join(CERTIFICATES)
    }

    fn certificate(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn certificates(&self) -> String {
        files_below(&self.root(), CERTIFICATES)
    }

    fn restore_certificates(&self, flags: &[&str]) -> Output {
        let output = self.snap(&[&["restore", "before", "--restore-certificates"], flags].concat());
        // What fixtures sign is for other hosts: that is a note.
        assert_eq!(output.code, 0, "{output:#?}");
        output
    }
}

/// Checks that the copies are there as what they are copies of, and that all else is as it was.
fn assert_has_copies(folder: &Path, text: &str, saved: &str) {
    let (copies, rest): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.contains("cloudify_internal_ca_"));
    assert_eq!(copies.len(), 2, "{text}");
    let folder_line = |line: &&&str| !line.starts_with(". ");
    assert_eq!(
        rest.iter().filter(folder_line).collect::<Vec<_>>(),
        saved.lines().collect::<Vec<_>>().iter().filter(folder_line).collect::<Vec<_>>()
    );
    for (file, copy) in COPIES {
        let bytes = |name: &str| fs::read(folder.join(name)).expect("read it");
        assert_eq!(bytes(file), bytes(copy));
        let look = |name: &str| folder.join(name).metadata().expect("look at it");
        let (file, copy) = (look(file), look(copy));
        assert_eq!((file.mode(), file.uid(), file.gid()), (copy.mode(), copy.uid(), copy.gid()));
        assert_ne!(file.ino(), copy.ino());
    }
}

#[test]
fn certificates_of_4_1_get_stand_ins_for_the_authority_that_4_2_looks_for() {
    let (place, saved) = saved_4_1();
    fs::create_dir_all(place.folder()).expect("create the folder");
    fs::write(place.certificate("live"), "live").expect("write a file");
    let live = place.certificates();
    let done = place.restore_certificates(&["--to-version", "4.2"]);
    assert!(done.stdout.contains("no internal authority (CA)"), "{done:#?}");
    assert_has_copies(&place.folder(), &place.certificates(), &saved);

    let again = place.restore_certificates(&["--to-version", "4.2"]);
    assert!(again.stdout.contains("it is identical already"), "{again:#?}");
    place.snap(&["rollback"]).succeeded();
    assert_eq!(place.certificates(), live);
}

#[test]
fn without_a_version_the_authority_of_the_target_tells_that_one_is_looked_for() {
    let (place, saved) = saved_4_1();
    place.restore_certificates(&[]);
    assert_eq!(place.certificates(), saved);
    fs::write(place.certificate(COPIES[0].1), "live").expect("write an authority");
    place.restore_certificates(&["--to-version", "4.1.1.1"]);
    assert_eq!(place.certificates(), saved);
    fs::write(place.certificate(COPIES[0].1), "live").expect("write an authority");
    place.restore_certificates(&[]);
    assert_has_copies(&place.folder(), &place.certificates(), &saved);
}

#[test]
fn certificates_with_an_authority_come_back_as_they_were() {
    let place = Place::empty();
    place.configure(PROFILE);
    place.make_certificates();
    let saved = place.certificates();
    place.snap(&["create", "before", "--from-version", "4.2"]).succeeded();
    fs::remove_dir_all(place.folder()).expect("lose the certificates");
    let done = place.restore_certificates(&["--to-version", "5.0"]);
    assert!(!done.stdout.contains("authority"), "{done:#?}");
    assert_eq!(place.certificates(), saved);
}

#[test]
fn where_nothing_can_stand_in_for_the_authority_that_is_said() {
    let place = Place::empty();
    place.configure(PROFILE);
    fs::create_dir_all(place.folder()).expect("create the folder");
    fs::write(place.certificate(COPIES[0].0), "certificate").expect("write a certificate");
    place.snap(&["create", "before"]).succeeded();
    let saved = place.certificates();
    let done = place.restore_certificates(&["--to-version", "4.2", "--full"]);
    assert!(done.stdout.contains("not both files that stand in for it"), "{done:#?}");
    assert_eq!(place.certificates(), saved);
    // A folder that is not of such a manager lacks nothing.
    fs::rename(place.certificate(COPIES[0].0), place.certificate("other.pem")).expect("rename it");
    place.snap(&["create", "other"]).succeeded();
    let arguments = ["restore", "other", "--restore-certificates", "--to-version", "4.2", "--full"];
    let other = place.snap(&arguments);
    assert!(!other.succeeded().contains("authority"), "{other:#?}");
}

#[test]
fn stand_ins_come_into_a_mount_point_too() {
    let (mut place, saved) = saved_4_1();
    fs::create_dir_all(place.folder()).expect("create the folder");
    place.mount_certificates();
    let done = place.restore_certificates(&["--to-version", "4.2"]);
    assert!(done.stdout.contains("it is a mount point: filled in place"), "{done:#?}");
    assert_has_copies(&place.folder(), &place.certificates(), &saved);
}

#[test]
fn a_snapshot_without_certificates_says_what_to_copy_by_hand() {
    let place = Place::empty();
    place.configure(PROFILE);
    place.snap(&["create", "before"]).succeeded();
    place.make_certificates();
    let live = place.certificates();
    for flags in [&["--dry-run"][..], &[]] {
        let told = place.restore_certificates(flags);
        let folder = place.folder();
        let said = format!("{} stays as it is: copy that folder of the old", folder.display());
        assert!(told.stdout.contains(&said), "{told:#?}");
        assert!(told.stdout.contains("cp -a"), "{told:#?}");
    }
    let silent = place.snap(&["restore", "before"]);
    assert!(!silent.succeeded().contains("copy that folder"), "{silent:#?}");
    assert_eq!(place.certificates(), live);
}

#[test]
fn no_reboot_goes_with_certificates_alone_and_snap_says_what_to_restart() {
    let (place, _) = saved_4_1();
    let refused = place.snap(&["restore", "before", "--no-reboot"]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("--restore-certificates"), "{refused:#?}");
    assert!(!place.folder().exists());
    let advised = place.restore_certificates(&[]);
    assert!(advised.stdout.contains("reboot the host"), "{advised:#?}");
    let unwanted = place.restore_certificates(&["--no-reboot", "--full"]);
    assert!(!unwanted.stdout.contains("reboot the host"), "{unwanted:#?}");
    for said in [&advised, &unwanted] {
        let units = "systemctl restart nginx cloudify-restservice";
        assert!(said.stdout.contains(units), "{said:#?}");
    }
    let nothing = place.restore_certificates(&[]);
    assert!(!nothing.stdout.contains("systemctl restart"), "{nothing:#?}");
}
