//! A disk that is full when a test wants it to be.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rustix::process::geteuid;

use crate::place::Output;
use crate::place::Place;
use crate::place::run_by;

/// A small disk in a namespace of its own: no mount is left behind, whatever ends this test.
pub(crate) struct Disk {
    holder: Child,
    folder: PathBuf,
}

impl Disk {
    /// Returns a disk of so many bytes, on a folder that is made where it is absent.
    pub(crate) fn mount(folder: PathBuf, bytes: u64) -> Self {
        fs::create_dir_all(&folder).expect("create the disk's folder");
        let script = format!("mount -t tmpfs -o size={bytes} none \"$0\" && echo mounted && cat");
        // Only root may mount in the user namespace that he is in.
        let own: &[&str] = if geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
        let mut holder = Command::new("unshare")
            .args(own)
            .args(["--mount", "sh", "-c", &script])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start unshare, of the package util-linux");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("read what the holder says");
        let needs = "this test mounts a small tmpfs: it needs CAP_SYS_ADMIN or user namespaces";
        assert_eq!(line, "mounted\n", "{needs}");
        Self { holder, folder }
    }

    /// Runs `snap` where the disk is seen.
    pub(crate) fn snap(&self, place: &Place, arguments: &[&str]) -> Output {
        let words = self.words();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = run_by(&words, &place.command(arguments)).output();
        Output::of(output.expect("start nsenter, of the package util-linux"))
    }

    /// Returns the words in front of a command that make it see the disk.
    pub(crate) fn words(&self) -> Vec<String> {
        let holder = self.holder.id().to_string();
        let mut words = vec!["nsenter", "--target", &holder, "--mount"];
        if !geteuid().is_root() {
            words.extend(["--user", "--preserve-credentials"]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// Returns the disk's folder, as those see it who do not see the disk.
    pub(crate) fn seen(&self) -> PathBuf {
        self.seen_by_others(&self.folder)
    }

    /// Returns any path, with the disk in it, as those see it who do not see the disk.
    pub(crate) fn seen_by_others(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").expect("an absolute path"))
    }

    /// Leaves so many bytes free at most.
    pub(crate) fn leave(&self, bytes: u64) {
        let disk = self.seen();
        let ballast = disk.join("ballast");
        if ballast.exists() {
            fs::remove_file(&ballast).expect("remove the ballast");
        }
        let space = rustix::fs::statvfs(&disk).expect("ask for the free space");
        let free = space.f_bavail * space.f_frsize;
        if bytes < free {
            let zeros = vec![0; usize::try_from(free - bytes).expect("a small disk")];
            fs::write(&ballast, zeros).expect("write the ballast");
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}
