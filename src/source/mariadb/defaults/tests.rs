//! The reader against MariaDB's own, `my_print_defaults`, on every odd corner known.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use super::*;

/// Files of one test; `write` puts the folder's path for each `DIR`.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let folder = self.0.path().to_str().unwrap();
        let text = String::from_utf8_lossy(text).replace("DIR", folder);
        #[expect(clippy::disallowed_methods, reason = "a file of a test")]
        fs::write(&path, text).unwrap();
        path
    }
}

/// Returns what MariaDB's own reader prints, and whether it took the file at all.
fn printed_by_mariadb(file: &Path) -> (bool, String) {
    let mut command = Command::new("my_print_defaults");
    command.arg(format!("--defaults-file={}", file.display())).args(GROUPS);
    let output = command.output().expect("my_print_defaults of mariadb-client is installed");
    (output.status.success(), String::from_utf8(output.stdout).unwrap().replace('_', "-"))
}

fn printed_by_snap(defaults: &Defaults) -> String {
    let print = |setting: &Setting| match &setting.value {
        Some(value) => format!("--{}={}\n", setting.name, value.replace('_', "-")),
        None => format!("--{}\n", setting.name),
    };
    defaults.settings.iter().map(print).collect()
}

fn assert_read_alike(file: &Path) -> Defaults {
    let defaults = Defaults::read(Some(file), None).unwrap();
    assert_eq!((true, printed_by_snap(&defaults)), printed_by_mariadb(file));
    defaults
}

const ODD_CORNERS: &str = r#"
# a comment
  ; another
[mysqld]
user = mysql
[client ]
user = bob # who else
password="a#b\"c"
 host='h\\x'
port=  33
ssl
bare_key
spaces = a b  c   
half = 'open
 escapes = a\sb\tq\\x\z\
empty =
empty2=""
one-quote= "
pass#word = x
cut = a\#b
kept = it's # not a comment
lone = "\"
quoted = 'x' y
a = 'b"c' # d
	tabbed	=	x	
!include DIR/one/one.cnf
!include DIR/absent.cnf
!unknown thing
after-include=1
[ client-server]
skipped=1
[client-server]# trailing
read=1
[CLIENT]
upper=1
[client-mariadb]
!includedir   DIR/many  
"#;

#[test]
fn every_odd_corner_is_read_as_mariadb_reads_it() {
    let folder = Folder::new();
    let file = folder.write("my.cnf", ODD_CORNERS.as_bytes());
    folder.write("one/one.cnf", b"[client-mariadb]\nfrom-include=1\n[mysqld]\nx=1\n");
    folder.write("many/b.cnf", b"[client]\r\nfrom=b\r\n");
    folder.write("many/a.cnf", b"[client]\nfrom=a");
    folder.write("many/.hidden.cnf", b"[client]\nfrom=hidden");
    folder.write("many/c.ini", b"[client]\nfrom=ini");
    folder.write("many/d.cnf.bak", b"[client]\nfrom=backup");
    let defaults = assert_read_alike(&file);
    assert_eq!(defaults.settings.last().unwrap().value.as_deref(), Some("b"));
    assert_eq!(defaults.settings.len(), 26);
}

#[test]
fn a_setting_knows_its_file_and_line() {
    let folder = Folder::new();
    let file = folder.write("my.cnf", b"[client]\n\nssl_ca = /ca.pem\n");
    let defaults = Defaults::read(Some(&file), None).unwrap();
    let setting = &defaults.settings[0];
    assert_eq!((setting.name.as_str(), setting.line), ("ssl-ca", 3));
    let problem = setting.error("is odd").to_string();
    assert_eq!(
        problem,
        format!("cannot read option file {} line 3: `ssl-ca` is odd", file.display())
    );
}

#[test]
fn a_broken_file_is_refused_as_mariadb_refuses_it_and_its_line_is_named() {
    let cases: &[(&str, &str)] = &[
        ("user=x\n", "line 1: a setting stands before any [group]"),
        ("\n[client\n", "line 2: a [group] lacks its `]`"),
        ("[client]\n!include\n", "line 2: `!include` names nothing"),
        ("!includedir DIR/none\n", "line 1: cannot list folder"),
    ];
    let folder = Folder::new();
    for (text, problem) in cases {
        let file = folder.write("broken.cnf", text.as_bytes());
        let error = Defaults::read(Some(&file), None).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains(problem), "{error}");
        assert!(!printed_by_mariadb(&file).0, "{text}");
    }
}

#[test]
fn a_file_that_everybody_may_write_to_is_ignored_with_a_note() {
    let folder = Folder::new();
    let file = folder.write("my.cnf", b"[client]\npassword=planted\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let defaults = assert_read_alike(&file);
    assert_eq!(defaults.settings, []);
    assert!(defaults.notes[0].contains("everybody may write to it"), "{:?}", defaults.notes);
}

#[test]
fn a_file_that_includes_itself_ends_with_a_note() {
    let folder = Folder::new();
    let file = folder.write("my.cnf", b"[client]\nuser=x\n!include DIR/my.cnf\n");
    let defaults = assert_read_alike(&file);
    assert_eq!(defaults.settings.len(), 11);
    assert!(defaults.notes[0].contains("too deep"), "{:?}", defaults.notes);
}

#[test]
fn a_comment_in_an_old_character_set_does_not_stop_the_reading() {
    let folder = Folder::new();
    let file = folder.path("latin1.cnf");
    #[expect(clippy::disallowed_methods, reason = "a file of a test")]
    fs::write(&file, b"# caf\xe9\n[client]\nuser=x\n").unwrap();
    assert_read_alike(&file);
}

#[test]
fn a_named_file_has_to_be_there_and_the_one_of_the_home_folder_need_not() {
    let folder = Folder::new();
    let absent = folder.path("absent.cnf");
    let error = Defaults::read(Some(&absent), None).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.to_string().contains("absent.cnf"));
    assert!(Defaults::read(None, Some(folder.0.path())).is_ok());
}

#[test]
fn the_home_folder_has_the_last_word() {
    let folder = Folder::new();
    folder.write(".my.cnf", b"[client]\nuser=of_home\n");
    let defaults = Defaults::read(None, Some(folder.0.path())).unwrap();
    assert_eq!(defaults.settings.last().unwrap().value.as_deref(), Some("of_home"));
}
