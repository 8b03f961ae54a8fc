//! A place of its own for one test: an appliance's files and database, and a repository to save them in.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use crate::disk::Disk;
use crate::server::Server;
use crate::server::assert_succeeds;
use crate::server::script;
use crate::tree;

/// Where a manager keeps its certificates, below the root.
pub(crate) const CERTIFICATES: &str = "etc/cloudify/ssl";
/// Where a manager keeps its security file, below the root.
pub(crate) const SECURITY_FILE: &str = "opt/manager/rest-security.conf";

/// An appliance in a temporary folder. Fields drop in order: the server ends before its folder goes.
pub(crate) struct Place {
    /// The server that holds `centreon_studio`.
    pub(crate) server: Server,
    /// What is mounted in it, where something is.
    pub(crate) mount: Option<Disk>,
    folder: TempDir,
}

/// What an ended `snap` leaves behind.
#[derive(Debug)]
pub(crate) struct Output {
    /// Its exit code; -1 when a signal ended it.
    pub(crate) code: i32,
    /// Its answer.
    pub(crate) stdout: String,
    /// Its talk.
    pub(crate) stderr: String,
}

impl Place {
    /// Returns a place whose server holds no database yet.
    pub(crate) fn empty() -> Self {
        Self::with_options(&[])
    }

    /// Returns a place whose server runs with these options, for example `--log-bin`.
    pub(crate) fn with_options(options: &[&str]) -> Self {
        // Not in the build folder: a socket's path has 107 bytes at most.
        let folder = tempfile::Builder::new().prefix("snap-").tempdir().expect("create a folder");
        let server = Server::start(&folder.path().join("server"), options);
        Self::around(server, folder)
    }

    /// Returns a place whose server keeps its databases on a disk of so many bytes, and the disk.
    pub(crate) fn on_disk(bytes: u64) -> (Self, Disk) {
        let folder = tempfile::Builder::new().prefix("snap-").tempdir().expect("create a folder");
        let (server, disk) = Server::start_on_disk(&folder.path().join("server"), bytes);
        (Self::around(server, folder), disk)
    }

    /// Returns a place whose server is of this release, which is not the machine's.
    pub(crate) fn of_release(release: &str, options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("snap-").tempdir().expect("create a folder");
        Self::around(Server::start_release(release, options), folder)
    }

    fn around(server: Server, folder: TempDir) -> Self {
        let place = Self { server, mount: None, folder };
        fs::create_dir(place.root()).expect("create the root");
        place.configure("");
        let socket = place.server.socket();
        let defaults = format!("[client]\nuser=root\nsocket={}\n", socket.display());
        fs::write(place.path("my.cnf"), defaults).expect("write my.cnf");
        place
    }

    /// Returns a place that holds all a studio has: the database of the fixture, certificates, security file.
    pub(crate) fn studio() -> Self {
        let place = Self::empty();
        place.server.load_fixture();
        place.make_certificates();
        place.make_security_file();
        place
    }

    /// Returns a path inside of this place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the folder that stands for `/`, as those see it who do not see what is mounted in it.
    pub(crate) fn root(&self) -> PathBuf {
        let root = self.path("root");
        self.mount.as_ref().map_or(root.clone(), |mount| mount.seen_by_others(&root))
    }

    /// Returns the disk that is mounted.
    pub(crate) fn mount(&self) -> &Disk {
        self.mount.as_ref().expect("a disk is mounted")
    }

    /// Runs each `snap` from now on where a small disk is mounted on the folder of the
    /// certificates, with a copy of them.
    pub(crate) fn mount_certificates(&mut self) {
        let folder = self.path("root").join(CERTIFICATES);
        let mount = Disk::mount(folder.clone(), 4 << 20);
        let output = Command::new("cp").arg("-aT").arg(&folder).arg(mount.seen()).output();
        assert_succeeds(&output.expect("start cp"), "copy the certificates");
        self.mount = Some(mount);
    }

    /// Returns the folder of the repository, which is absent at first.
    pub(crate) fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    /// Runs `snap` to its end.
    pub(crate) fn snap(&self, arguments: &[&str]) -> Output {
        Output::of(self.command(arguments).output().expect("start snap"))
    }

    /// Returns the command that runs `snap` here, as cron would: no terminal, and no environment but ours.
    /// What the arguments say of repository, root, state, configuration or database counts instead of ours.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let command = self.unmounted_command(arguments);
        let words = self.mount.as_ref().map(Disk::words).unwrap_or_default();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        if words.is_empty() { command } else { run_by(&words, &command) }
    }

    /// Returns the command that runs `snap` where nothing is mounted.
    pub(crate) fn unmounted_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
        command.env_clear().stdin(Stdio::null());
        command
            .env("SNAP_REPOSITORY", self.repository())
            .env("SNAP_CONFIG", self.path("snap.toml"));
        let ours = [("--root", "root"), ("--state", "state"), ("--defaults-file", "my.cnf")];
        for (flag, name) in ours {
            if !arguments.iter().any(|argument| argument.starts_with(flag)) {
                command.arg(flag).arg(self.path(name));
            }
        }
        command.args(arguments);
        command
    }

    /// Makes the certificates of a manager, with what people add: links, an attribute, an access list.
    pub(crate) fn make_certificates(&self) {
        let folder = self.root().join(CERTIFICATES);
        let output =
            Command::new(script("certificates")).arg(&folder).output().expect("start bash");
        assert_succeeds(&output, "make certificates");
        symlink("cloudify_external_cert.pem", folder.join("current.pem")).expect("create a link");
        let key = folder.join("cloudify_internal_key.pem");
        fs::hard_link(&key, folder.join("broker_key.pem")).expect("create a hard link");
        let access = ["-m", "u:12345:r", "cloudify_external_cert.pem"];
        let output = Command::new("setfacl").args(access).current_dir(&folder).output();
        assert_succeeds(&output.expect("start setfacl"), "set an access list");
        xattr::set(&key, "user.issued-by", b"fixture\0\xff").expect("set an extended attribute");
    }

    /// Makes the security file of a manager 4.1; its values are invented.
    pub(crate) fn make_security_file(&self) {
        let file = self.root().join(SECURITY_FILE);
        fs::create_dir_all(file.parent().expect("the security file has a folder"))
            .expect("create the folder of the security file");
        fs::copy(script("rest-security.conf"), &file).expect("copy the security file");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("set its mode");
    }

    /// Makes the security file all that the profile names: such a `snap` needs no server.
    pub(crate) fn save_security_file_only(&self) {
        self.make_security_file();
        let source = format!("name = 'users'\nkind = 'files'\npath = '/{SECURITY_FILE}'\n");
        self.configure(&format!("[[profiles.studio.sources]]\n{source}"));
    }

    /// Writes the configuration file.
    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.path("snap.toml"), text).expect("write snap.toml");
    }

    /// Returns the ids that are listed, one a line.
    pub(crate) fn ids(&self) -> String {
        self.snap(&["list", "-q"]).succeeded().to_owned()
    }

    /// Returns all that is in the certificates' folder and the security file, as text to compare.
    pub(crate) fn tree(&self) -> String {
        self.tree_below(&self.root())
    }

    /// Returns the same of another root.
    #[expect(clippy::unused_self, reason = "reads as the above")]
    pub(crate) fn tree_below(&self, root: &Path) -> String {
        format!("{}{}", files_below(root, CERTIFICATES), files_below(root, SECURITY_FILE))
    }
}

/// Returns all that is at a path below a root, but for what restores keep inside a mount point.
pub(crate) fn files_below(root: &Path, path: &str) -> String {
    let described = tree::describe(&root.join(path));
    described.split_inclusive('\n').filter(|line| !line.starts_with("./.snap-")).collect()
}

/// Returns the command run by these words in front of it: another program that starts it.
pub(crate) fn run_by(words: &[&str], command: &Command) -> Command {
    let mut around = Command::new(words[0]);
    around.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    around.env_clear().stdin(Stdio::null());
    around.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    around
}

impl Output {
    /// Returns what a process left behind.
    pub(crate) fn of(output: process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("snap prints UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("snap prints UTF-8"),
        }
    }

    /// Returns stdout without the last line's end, of a `snap` that must have exited 0.
    pub(crate) fn succeeded(&self) -> &str {
        assert_eq!(self.code, 0, "{self:#?}");
        self.stdout.trim_end()
    }
}
