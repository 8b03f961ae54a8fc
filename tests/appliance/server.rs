//! A throwaway MariaDB for one test.
//!
//! `fixtures/server` knows how to make and run one; here its data folder is made once per build folder and
//! copied for each test. The server dies with its owner: on drop, and by the kernel when the test is killed.

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use tempfile::TempDir;

use crate::disk::Disk;
use crate::session::Session;

/// How long anything may take that is waited for: no test is about how fast the machine is.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running server, and the folder that holds all of it.
pub(crate) struct Server {
    folder: PathBuf,
    process: Child,
    /// What starts it again.
    start: Command,
    /// Its folder where that is not the place's: dropped after the server has ended.
    _own: Option<TempDir>,
}

impl Server {
    /// Starts a server in `folder`, with these options beside its own.
    ///
    /// It must be dropped by the thread that starts it: the kernel ends it with that thread.
    pub(crate) fn start(folder: &Path, options: &[&str]) -> Self {
        let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mariadb");
        Self::run(&[], &template, folder, options, None)
    }

    /// Starts a server whose databases lie on a small disk.
    pub(crate) fn start_on_disk(folder: &Path, bytes: u64) -> (Self, Disk) {
        let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mariadb");
        make(&[], &template);
        copy_tree(&template, folder);
        let disk = Disk::mount(folder.join("data"), bytes);
        copy_tree(&template.join("data"), &disk.seen());
        let words = disk.words();
        let mut start = Command::new(&words[0]);
        start.args(&words[1..]).args(["setpriv", "--pdeathsig", "KILL", &script("server")]);
        start.arg("run").arg(folder).stdin(Stdio::null());
        (Self::begin(folder, start, None), disk)
    }

    /// Starts a server of another release than the machine's, `11.8`; `fixtures/release` has it.
    pub(crate) fn start_release(release: &str, options: &[&str]) -> Self {
        let output = Command::new(script("release")).arg(release).output().expect("start bash");
        let root = PathBuf::from(assert_succeeds(&output, "prepare MariaDB").trim_end());
        // It sees no folder but those in its root.
        let own = tempfile::Builder::new().prefix("snap-").tempdir_in(root.join("tmp"));
        let own = own.expect("create a folder in the root of the server");
        let folder = own.path().join("server");
        let by_chroot: [&OsStr; 2] = ["--root".as_ref(), root.as_ref()];
        Self::run(&by_chroot, &root.join("srv/template"), &folder, options, Some(own))
    }

    fn run(
        root: &[&OsStr],
        template: &Path,
        folder: &Path,
        options: &[&str],
        own: Option<TempDir>,
    ) -> Self {
        make(root, template);
        copy_tree(template, folder);
        let mut start = Command::new("setpriv");
        start.args(["--pdeathsig", "KILL", script("server").as_str()]).args(root);
        start.arg("run").arg(folder).args(options).stdin(Stdio::null());
        Self::begin(folder, start, own)
    }

    fn begin(folder: &Path, mut start: Command, own: Option<TempDir>) -> Self {
        start.stdout(log_file(folder)).stderr(log_file(folder));
        let process = start.spawn().expect("start setpriv, of the package util-linux");
        let mut server = Self { folder: folder.to_owned(), process, start, _own: own };
        server.wait_until_it_answers();
        server
    }

    /// Ends the server as a crash does: it has no time for anything.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("kill the server");
        self.process.wait().expect("wait for the server's end");
    }

    /// Starts the server again on the folder that it had, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        self.process = self.start.spawn().expect("start the server again");
        self.wait_until_it_answers();
    }

    /// Returns the folder of its databases.
    pub(crate) fn databases(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Returns the path of the server's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("server.sock")
    }

    /// Returns what these statements print: a line per row, values parted by tabs, as they are stored.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let output =
            self.client("mariadb", ["--batch", "--raw", "--skip-column-names", "-e", statements]);
        assert_succeeds(&output, statements)
    }

    /// Returns what these statements print, or what the server says of the one that fails.
    pub(crate) fn try_sql(&self, statements: &str) -> Result<String, String> {
        let arguments = ["--batch", "--raw", "--skip-column-names", "-e", statements];
        let output = self.client("mariadb", arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Returns a client that stays connected: for locks, transactions, and statements that take long.
    pub(crate) fn session(&self) -> Session {
        let mut command = self.command("mariadb");
        command.args(["--batch", "--raw", "--skip-column-names", "--unbuffered", "--quick"]);
        Session::start(command)
    }

    /// Waits until as many connections as `count` wait for a lock on a table.
    pub(crate) fn wait_for_waiters(&self, count: usize) {
        let waiters = "SELECT COUNT(*) FROM information_schema.processlist
                       WHERE state LIKE 'Waiting for table%'";
        until("somebody waits for a table", || {
            self.sql(waiters).trim().parse::<usize>().expect("a count") >= count
        });
    }

    /// Runs statements as a client of Latin 1 does, whose bytes they are sent in.
    pub(crate) fn run_in_latin1(&self, statements: &str) {
        let latin1 = |letter: char| u8::try_from(letter).expect("a letter of Latin 1");
        let bytes: Vec<u8> = statements.chars().map(latin1).collect();
        let mut command = self.command("mariadb");
        command.args(["--default-character-set=latin1", "--batch", "-e"]);
        let output = command.arg(OsStr::from_bytes(&bytes)).output().expect("start mariadb");
        assert_succeeds(&output, statements);
    }

    /// Returns what the server says to these statements, which must fail.
    pub(crate) fn fails(&self, statements: &str) -> String {
        let output = self.client("mariadb", ["--batch", "-e", statements]);
        assert!(!output.status.success(), "{statements} did not fail");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Returns what those of these statements print that do not fail.
    pub(crate) fn answer(&self, statements: &str) -> String {
        let options = ["--batch", "--raw", "--skip-column-names", "--force", "-e", statements];
        let output = self.client("mariadb", options);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a client that runs these statements, and goes on.
    pub(crate) fn spawn(&self, statements: &str) -> Child {
        let mut command = self.command("mariadb");
        command.args(["--batch", "-e", statements]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("start mariadb")
    }

    /// Runs statements that the server may refuse one by one. Returns what it said of those.
    pub(crate) fn try_script(&self, text: &str) -> String {
        let mut client = self
            .command("mariadb")
            .args(["--force", "--comments", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start mariadb");
        let mut stdin = client.stdin.take().expect("it is piped");
        stdin.write_all(text.as_bytes()).expect("give mariadb its statements");
        drop(stdin);
        let output = client.wait_with_output().expect("wait for mariadb");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Makes the database `centreon_studio` of `fixtures/studio.sql`.
    pub(crate) fn load_fixture(&self) {
        let fixture = File::open(script("studio.sql")).expect("open fixtures/studio.sql");
        let output = self
            .command("mariadb")
            .arg("--comments")
            .stdin(fixture)
            .output()
            .expect("start mariadb");
        assert_succeeds(&output, "load fixtures/studio.sql");
    }

    /// Returns all of a database as `mariadb-dump` sees it, its character set, and its FLOATs as doubles,
    /// which `mariadb-dump` rounds. Databases of other names but equal content have equal dumps.
    pub(crate) fn dump(&self, database: &str) -> String {
        let options = ["--skip-comments", "--hex-blob", "--routines", "--events", "--triggers"];
        // What is kept aside has a note of what it was.
        let without_note = format!("--ignore-table={database}.__snap_undo");
        let options = options.into_iter().chain([without_note.as_str(), database]);
        let output = self.client("mariadb-dump", options);
        let dump = assert_succeeds(&output, "mariadb-dump");
        let character_set = self.sql(&format!(
            "SELECT default_character_set_name, default_collation_name
             FROM information_schema.schemata WHERE schema_name = '{database}'"
        ));
        format!("{character_set}{dump}{}", self.floats(database))
    }

    /// Returns the rows of these tables, whatever programs and keys they have.
    pub(crate) fn dump_rows<'a>(
        &self,
        database: &'a str,
        tables: impl Iterator<Item = &'a str>,
    ) -> String {
        let options = ["--compact", "--hex-blob", "--no-create-info", "--skip-triggers"];
        let options = options.into_iter().chain(["--skip-lock-tables", database]);
        let output = self.client("mariadb-dump", options.chain(tables));
        assert_succeeds(&output, "mariadb-dump")
    }

    /// Returns every FLOAT of a database in full, a line per row.
    fn floats(&self, database: &str) -> String {
        let columns = self.sql(&format!(
            "SELECT table_name, GROUP_CONCAT('`', column_name, '` + 0e0' ORDER BY ordinal_position)
             FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
             WHERE table_schema = '{database}' AND data_type = 'float' AND table_type = 'BASE TABLE'
             GROUP BY table_name"
        ));
        let selects = columns.lines().filter_map(|line| line.split_once('\t'));
        selects
            .map(|(table, floats)| {
                self.sql(&format!("SELECT {floats} FROM `{database}`.`{table}`"))
            })
            .collect()
    }

    fn client<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = self.command(program);
        command.args(arguments).output().unwrap_or_else(|error| panic!("start {program}: {error}"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["--no-defaults", "--user=root", "--default-character-set=utf8mb4"]);
        command.arg("--socket").arg(self.socket()).stdin(Stdio::null());
        command
    }

    fn wait_until_it_answers(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !greets(&self.socket()) {
            let ended = self.process.try_wait().expect("ask for the server's end");
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
                panic!("cannot start MariaDB; its log says:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Returns the path of a file of `fixtures/`.
pub(crate) fn script(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns stdout of a command, which must have succeeded at `what`.
pub(crate) fn assert_succeeds(output: &Output, what: &str) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes the folder that every server's folder is copied from, where nobody has made it yet.
fn make(root: &[&OsStr], template: &Path) {
    fs::create_dir_all(template.parent().expect("a template lies in a folder"))
        .expect("create the folder of the template");
    let lock = File::create(template.with_extension("lock")).expect("create the template's lock");
    lock.lock().expect("lock the template");
    let mut command = Command::new(script("server"));
    let output = command.args(root).arg("install").arg(template).output().expect("start bash");
    assert_succeeds(&output, "make MariaDB's data folder");
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("create a folder of the copy");
    for entry in fs::read_dir(from).expect("list a folder to copy") {
        let entry = entry.expect("read a folder to copy");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("read a file's type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copy a file of the template");
        }
    }
}

fn log_file(folder: &Path) -> File {
    let mut options = File::options();
    options
        .create(true)
        .append(true)
        .open(folder.join("server.log"))
        .expect("open the server's log")
}

/// Returns whether a server sends its greeting on this socket.
fn greets(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).expect("bound the wait for a greeting");
    stream.read_exact(&mut [0]).is_ok()
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
