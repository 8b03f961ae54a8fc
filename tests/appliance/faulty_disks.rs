//! Disks that are full, or fail: below the server's staging, the file targets and the repository.
//! (A full disk below the repository of a `create` is in `stopped`.)

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use crate::disk::Disk;
use crate::place::CERTIFICATES;
use crate::place::Output;
use crate::place::Place;
use crate::server::assert_succeeds;
use crate::tally;
use crate::tree;

const RESTORE: &[&str] = &["restore", "before", "--force", "--restore-certificates"];

#[test]
fn a_disk_that_staging_fills_fails_the_restore_and_the_next_one_works() {
    let (place, disk) = Place::on_disk(192 << 20);
    let place = place.into_used_studio();
    let mut failures = 0;
    for room in [0, 100, 300, 700, 1200] {
        let live = place.live();
        disk.leave(room << 10);
        let output = disk.snap(&place, RESTORE);
        disk.leave(u64::MAX);
        if output.code == 0 {
            place.use_on();
            continue;
        }
        failures += 1;
        // A look beforehand may refuse it already.
        assert!([1, 14].contains(&output.code), "{room} KiB: {output:#?}");
        for words in [&["full", "space", "room", " are free"][..], &["hint: "]] {
            assert!(words.iter().any(|word| output.stderr.contains(word)), "{output:#?}");
        }
        assert!(place.live() == live, "{room} KiB: something was touched: {output:#?}");
    }
    assert!(failures > 2, "the disk was full {failures} times only");
    tally::tell(failures, "faults", "of a full disk below the server, in restore");
    place.snap(RESTORE).succeeded();
    let beside = place.beside();
    assert!(beside.iter().all(|name| name.contains("previous")), "{beside:?}");
    place.snap(&["verify", "--read-data"]).succeeded();
}

#[test]
fn a_disk_that_restored_files_fill_fails_the_restore_and_the_next_one_works() {
    let place = Place::used_studio();
    let disk = Disk::mount(place.path("root/etc/cloudify"), 1 << 20);
    let certificates = disk.seen().join("ssl");
    fs::create_dir(&certificates).expect("make a folder of certificates");
    fs::write(certificates.join("live.pem"), "live").expect("write a certificate");
    let mut failures = 0;
    // The size of the files together passes the look beforehand; a disk has blocks.
    for room in [0, 8, 16, 28, 32, 36] {
        let dump = place.server.dump("centreon_studio");
        disk.leave(room << 10);
        let before = tree::describe(&certificates);
        let output = disk.snap(&place, RESTORE);
        let after = tree::describe(&certificates);
        disk.leave(u64::MAX);
        failures += 1;
        assert!([1, 14].contains(&output.code), "{room} KiB: {output:#?}");
        for words in [&["No space left on device", " are free"][..], &["hint: "]] {
            assert!(words.iter().any(|word| output.stderr.contains(word)), "{output:#?}");
        }
        assert!(place.server.dump("centreon_studio") == dump, "{room} KiB: {output:#?}");
        assert_eq!(before, after, "{room} KiB: {output:#?}");
        assert_eq!(place.beside(), [""; 0], "{room} KiB: {output:#?}");
        assert_eq!(fs::read_dir(disk.seen()).expect("list the disk").count(), 1, "{room} KiB");
    }
    tally::tell(failures, "faults", "of a full disk below the certificates, in restore");
    disk.snap(&place, RESTORE).succeeded();
}

/// Makes calls of a program fail with EIO, as a broken disk does: the kernel of most machines
/// cannot be told to.
const BROKEN_DISK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long calls;

/* Whether this call on this file is one that fails. */
static int fails(const char *call, int fd) {
    const char *wanted = getenv("BROKEN_CALL"), *path = getenv("BROKEN_PATH");
    char link[64], name[4096];
    if (!wanted || !path || strcmp(wanted, call) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    if (!strstr(name, path) || atomic_fetch_add(&calls, 1) < atol(getenv("BROKEN_AFTER"))) return 0;
    errno = EIO;
    return 1;
}

#define CALL(result, name, kind, parameters, arguments) \
    result name parameters { \
        static result (*real) parameters; \
        if (!real) real = (result (*) parameters) dlsym(RTLD_NEXT, #name); \
        return fails(kind, fd) ? -1 : real arguments; \
    }

CALL(ssize_t, read, "read", (int fd, void *to, size_t n), (fd, to, n))
CALL(ssize_t, pread64, "read", (int fd, void *to, size_t n, off64_t at), (fd, to, n, at))
CALL(ssize_t, write, "write", (int fd, const void *from, size_t n), (fd, from, n))
CALL(ssize_t, pwrite64, "write", (int fd, const void *from, size_t n, off64_t at), (fd, from, n, at))
CALL(int, fsync, "sync", (int fd), (fd))
CALL(int, fdatasync, "sync", (int fd), (fd))
"#;

/// Returns the library that a program is started with.
fn broken_disk(place: &Place) -> PathBuf {
    let (source, library) = (place.path("broken_disk.c"), place.path("broken_disk.so"));
    fs::write(&source, BROKEN_DISK).expect("write a C source");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert_succeeds(&compile.output().expect("start cc"), "compile the broken disk");
    library
}

/// A `snap` whose disk breaks below a path after so many calls.
struct Broken<'a> {
    place: &'a Place,
    library: PathBuf,
}

impl Broken<'_> {
    fn snap(&self, arguments: &[&str], call: &str, path: &Path, after: usize) -> Output {
        let mut command = self.place.command(arguments);
        command.env("LD_PRELOAD", &self.library).env("BROKEN_CALL", call);
        command.env("BROKEN_PATH", path).env("BROKEN_AFTER", after.to_string());
        Output::of(command.output().expect("start snap"))
    }

    /// Breaks the disk at the first call, a few further ones, and so on until it holds; returns how
    /// often it broke. `check` is told of each failure.
    fn until_it_holds(
        &self,
        arguments: &[&str],
        call: &str,
        path: &Path,
        mut check: impl FnMut(&Output),
    ) -> usize {
        let (mut after, mut failures) = (0, 0);
        loop {
            let output = self.snap(arguments, call, path, after);
            if output.code == 0 {
                return failures;
            }
            let what = format!("{arguments:?}, {call} {after} of {}", path.display());
            assert!(output.stderr.contains("Input/output error"), "{what}: {output:#?}");
            assert!(output.stderr.contains("hint: "), "{what}: {output:#?}");
            check(&output);
            failures += 1;
            after += 1 + after / 2;
            assert!(after < 10_000, "{what}: it never holds");
        }
    }
}

#[test]
fn a_repository_on_a_broken_disk_fails_create_and_restore_by_name_and_nothing_is_touched() {
    let place = Place::used_studio();
    let broken = Broken { place: &place, library: broken_disk(&place) };
    let (blobs, live) = (place.repository().join("blobs"), place.live());
    let mut failures = 0;
    for call in ["write", "sync"] {
        let id = format!("broken-{call}");
        failures += broken.until_it_holds(&["create", &id], call, &place.repository(), |output| {
            assert_eq!(output.code, 1, "{output:#?}");
            assert_eq!(place.ids(), "before\n".trim(), "{output:#?}");
        });
        place.snap(&["verify", "--read-data"]).succeeded();
        place.snap(&["delete", &id]).succeeded();
    }
    assert!(failures > 4, "too few: {failures}");
    let reads = broken.until_it_holds(RESTORE, "read", &blobs, |output| {
        assert_eq!(output.code, 1, "{output:#?}");
        assert!(place.live() == live, "something was touched: {output:#?}");
        assert_eq!(place.beside(), [""; 0], "{output:#?}");
    });
    assert!(reads > 4, "too few: {reads}");
    tally::tell(failures, "faults", "of EIO below the repository, in create");
    tally::tell(reads, "faults", "of EIO below the repository, in restore");
}

#[test]
fn file_targets_on_a_broken_disk_fail_the_restore_by_name_and_nothing_is_touched() {
    let place = Place::used_studio();
    let broken = Broken { place: &place, library: broken_disk(&place) };
    let folder = place.root().join(CERTIFICATES);
    let mut failures = 0;
    for call in ["write", "sync"] {
        let live = place.live();
        let folder = folder.parent().expect("it lies in a folder");
        let kept = place.beside();
        failures += broken.until_it_holds(RESTORE, call, folder, |output| {
            assert_eq!(output.code, 1, "{output:#?}");
            assert!(place.live() == live, "something was touched: {output:#?}");
            assert_eq!(place.beside(), kept, "{output:#?}");
        });
        place.use_on();
    }
    assert!(failures > 4, "too few: {failures}");
    tally::tell(failures, "faults", "of EIO below the certificates, in restore");
}
