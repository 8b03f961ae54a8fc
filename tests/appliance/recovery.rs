//! The recovery that the README describes, done as it stands there: without `snap`.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use crate::place::Place;
use crate::place::SECURITY_FILE;
use crate::server::assert_succeeds;
use crate::stored;
use crate::tree;

/// What the settings of one program must not do to the next, and what only a client of the right
/// mode reads as it was written.
const TRAPS: &str = r#"
    ALTER DATABASE centreon_studio COMMENT 'L''étude, "la nôtre"';
    USE centreon_studio;
    CREATE SEQUENCE countdown START WITH 10 INCREMENT BY -1 MINVALUE 1 MAXVALUE 10 CYCLE NOCACHE;
    DO (SELECT GROUP_CONCAT(NEXT VALUE FOR countdown) FROM seq_1_to_13);
    SET sql_mode = 'NO_BACKSLASH_ESCAPES';
    CREATE PROCEDURE zz_backslash() SELECT 'C:\', "it's" -- kept
    ;
    SET sql_mode = '';
    CREATE VIEW backslash AS SELECT 'C:\\centreon\'' AS path;
    ALTER DATABASE COLLATE utf8mb3_bin;
    CREATE FUNCTION aa_binary(a CHAR(9)) RETURNS INT RETURN a = 'A';
    ALTER DATABASE COLLATE utf8mb3_general_ci;
"#;

/// What a dump does not hold: the database's comment, and how often a sequence began anew.
const BESIDE: &str = "SELECT schema_comment, cycle_count, next_not_cached_value
    FROM information_schema.schemata JOIN centreon_studio.countdown
    WHERE schema_name = 'centreon_studio'";

/// Returns the script that the README gives, saved as it says.
fn script(place: &Place) -> PathBuf {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.expect("read README.md");
    let (_, section) = readme.split_once("\n## Recovery without snap\n").expect("find the section");
    let (_, script) = section.split_once("\n```sh\n").expect("find the script");
    let (script, _) = script.split_once("\n```\n").expect("find the end of the script");
    let path = place.path("recover.sh");
    fs::write(&path, script).expect("save the script");
    path
}

/// Runs the script as root would, whose `.my.cnf` tells `mariadb` where the server is.
pub(crate) fn recover(place: &Place, repository: &Path, id: &str, folder: &Path) -> Output {
    let home = place.path("home");
    fs::create_dir_all(&home).expect("create a home");
    fs::copy(place.path("my.cnf"), home.join(".my.cnf")).expect("write .my.cnf");
    let mut command = Command::new("bash");
    command.arg(script(place)).args([repository.as_os_str(), id.as_ref(), folder.as_os_str()]);
    command.env("HOME", home).output().expect("start bash")
}

/// Returns what the recovered file trees are made of, to compare with `Place::tree`.
fn recovered_tree(folder: &Path) -> String {
    let name = Path::new(SECURITY_FILE).file_name().expect("a security file has a name");
    let certificates = tree::describe(&folder.join("certificates"));
    certificates + &tree::describe(&folder.join("users").join(name))
}

#[test]
fn the_readme_brings_a_snapshot_back_without_snap() {
    let place = Place::studio();
    place.server.sql(TRAPS);
    let (dump, beside) = (place.server.dump("centreon_studio"), place.server.sql(BESIDE));
    assert_eq!(beside, "L'étude, \"la nôtre\"\t1\t7\n");
    let tree = place.tree();
    place.snap(&["create", "before-upgrade"]).succeeded();
    let archive = place.path("before-upgrade.snap.tar").display().to_string();
    place.snap(&["download", "before-upgrade", "-o", &archive]).succeeded();
    let unpacked = place.path("archive");
    fs::create_dir(&unpacked).expect("create a folder");
    let tar = Command::new("tar").args(["-xf", &archive, "-C"]).arg(&unpacked).output();
    assert_succeeds(&tar.expect("start tar"), "unpack the archive");

    for (repository, name) in [(place.repository(), "one"), (unpacked, "other")] {
        place.server.sql("DROP DATABASE centreon_studio");
        let folder = place.path(name);
        let output = recover(&place, &repository, "before-upgrade", &folder);
        assert_succeeds(&output, "recover.sh");
        let warnings = String::from_utf8_lossy(&output.stdout);
        let others: Vec<_> = warnings.lines().filter(|w| !w.contains("Event scheduler")).collect();
        assert_eq!(others, [""; 0], "the server warned");
        assert!(place.server.dump("centreon_studio") == dump, "{name}: the database differs");
        assert_eq!(place.server.sql(BESIDE), beside);
        assert_eq!(recovered_tree(&folder), tree, "{name}");
    }
    // A database that is there stays as it is.
    place.server.sql("DROP TABLE centreon_studio.metric");
    let output = recover(&place, &place.repository(), "before-upgrade", &place.path("third"));
    assert!(!output.status.success(), "{output:?}");
    let left = "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'metric'";
    assert_eq!(place.server.sql(left), "0\n");
}

#[test]
fn the_recovery_of_the_readme_stops_before_a_damaged_blob() {
    let place = Place::empty();
    place.save_security_file_only();
    place.snap(&["create", "before"]).succeeded();
    let damaged = stored::chunk(&place, "before", &format!("/{SECURITY_FILE}"));
    stored::flip_a_bit(&damaged);
    let output = recover(&place, &place.repository(), "before", &place.path("recovered"));
    assert!(!output.status.success(), "{output:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let name = damaged.file_name().expect("a blob has a name").to_string_lossy();
    assert!(stdout.contains(&*name), "{stdout}");
    assert!(!place.path("recovered").exists());
}
