//! Accounts of a restore that fails, is killed, or loses the server: they come with the database or not at all.

use std::fs;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::place::Place;
use crate::restore_failures::WAITING;
use crate::restore_failures::finished;
use crate::server::until;
use crate::users::ALL_NAMES;
use crate::users::SMALL_ROLES;
use crate::users::SMALL_USERS;
use crate::users::assert_same;
use crate::users::small_home;

const RESTORE: &[&str] = &["restore", "before", "--restore-users", "--force"];

/// Takes away what the snapshot knows, but for one account that keeps less than it had.
const CHANGED: &str = "
    DROP VIEW centreon_studio.v; DROP USER studio@localhost; DROP ROLE readers;
    REVOKE EXECUTE ON PROCEDURE centreon_studio.p FROM sleepy@localhost;
    REVOKE INSERT (id) ON centreon_studio.t FROM sleepy@localhost;
    GRANT SELECT ON centreon_studio.* TO sleepy@localhost; UPDATE centreon_studio.t SET secret = 3";

const NOTES: &str = "SHOW DATABASES LIKE '%snap\\_accounts%'";

impl Place {
    /// Begins a restore that has its accounts and waits for a reader; kills it there.
    fn restore_until_killed(&self) {
        self.server.sql("UPDATE centreon_studio.t SET secret = secret + 1");
        let reader = self.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM t");
        let restore = self.start(RESTORE);
        self.wait_for(WAITING);
        kill_process(Pid::from_child(&restore), Signal::KILL).expect("kill snap");
        finished(restore);
        drop(reader);
        self.wait_for(
            "SELECT 1 FROM (SELECT COUNT(*) AS sessions FROM information_schema.processlist
             WHERE command <> 'Daemon' AND id <> CONNECTION_ID()) AS others WHERE sessions = 0",
        );
    }
}

#[test]
fn the_accounts_of_a_killed_restore_are_taken_back_by_the_next_one() {
    let home = small_home();
    let (users, members) = (home.accounts(SMALL_USERS, SMALL_ROLES), home.members());
    home.server.sql(CHANGED);
    let names = home.server.sql(ALL_NAMES);
    let sleepy = home.accounts(&["sleepy@localhost"], &[]);
    home.restore_until_killed();
    assert_ne!(home.server.sql(ALL_NAMES), names, "it was killed too early");
    assert_ne!(home.server.sql(NOTES), "");
    let next = home.snap(&["restore", "--resume"]);
    next.failed(0, &["note: a killed restore had begun to restore accounts"]);
    assert_eq!(home.server.sql(ALL_NAMES), names);
    assert_same(&home.accounts(&["sleepy@localhost"], &[]), &sleepy);
    assert_eq!(home.server.sql(NOTES), "");

    // What was begun is finished, and not taken for what was there.
    home.restore_until_killed();
    let dry = home.snap(&[RESTORE, &["--dry-run"]].concat());
    assert_eq!(dry.code, 11, "{dry:#?}");
    assert!(dry.stdout.contains("`studio`@`localhost`  create"), "{dry:#?}");
    assert_ne!(home.server.sql(NOTES), "", "a dry run changed something");
    // Where its journal is lost, too.
    fs::remove_dir_all(home.path("state/executions")).expect("remove the journals");
    home.snap(RESTORE).succeeded();
    assert_eq!(home.server.sql(NOTES), "");
    home.server.sql("REVOKE SELECT ON `centreon_studio`.* FROM sleepy@localhost");
    assert_same(&home.accounts(SMALL_USERS, SMALL_ROLES), &users);
    assert_eq!(home.members(), members);
}

#[test]
fn what_a_note_says_is_taken_back_only_where_a_restore_could_have_done_it() {
    let home = small_home();
    home.server.sql(CHANGED);
    home.restore_until_killed();
    let note = home.server.sql(NOTES);
    let note = note.trim_end();
    home.server.sql(&format!(
        "CREATE USER victim@localhost; GRANT SELECT ON other.* TO victim@localhost; INSERT INTO {note}.changes (position, state) VALUES
         (91, '{{\"drop-user\": {{\"user\": {{\"user\": \"root\", \"host\": \"localhost\"}}}}}}'),
         (92, '{{\"revoke\": {{\"from\": {{\"user\": {{\"user\": \"victim\", \"host\": \"localhost\"}}}}, \"addition\": {{\"before\": null,
           \"grant\": {{\"rights\": [\"SELECT\"], \"scope\": {{\"databases\": \"other\"}}}}}}}}}}'),
         (93, 'null')"
    ));
    let next = home.snap(&["restore", "--resume"]);
    next.failed(3, &["no restore changes that"]);
    let root = home
        .server
        .sql("SELECT COUNT(*) FROM mysql.global_priv WHERE User = 'root' AND Host = 'localhost'");
    assert_eq!(root, "1\n");
    let victim = home.server.sql("SHOW GRANTS FOR victim@localhost");
    assert!(victim.contains("GRANT SELECT ON `other`.*"), "{victim}");
}

#[test]
fn accounts_are_taken_back_over_a_new_connection_where_theirs_is_lost() {
    let home = small_home();
    home.server.sql(CHANGED);
    let (live, names) = (home.server.dump("centreon_studio"), home.server.sql(ALL_NAMES));
    let reader = home.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM t");
    // Who looks is connected before the restore: a later client could still be seen as it ends.
    let mut onlooker = home.server.session();
    onlooker.run("DO 0");
    let restore = home.start(RESTORE);
    until("the swap waits", || !onlooker.run(WAITING).is_empty());
    // The connection of the accounts was opened last of those that sleep; that of the swap waits.
    let last = "SELECT CONCAT('KILL ', MAX(id)) FROM information_schema.processlist WHERE command = 'Sleep'";
    let kill = onlooker.run(last);
    onlooker.run(&kill);
    drop(reader);
    finished(restore).failed(20, &["lost the database server"]);
    assert!(home.server.dump("centreon_studio") == live, "the database differs");
    assert_eq!(home.server.sql(ALL_NAMES), names);
    assert_eq!(home.server.sql("SHOW DATABASES LIKE '%snap%'"), "");
}

#[test]
fn a_restore_that_fails_leaves_the_rights_on_routines_that_it_does_not_know() {
    let home = small_home();
    home.server.sql(CHANGED);
    home.server.sql(
        "CREATE PROCEDURE centreon_studio.later() SELECT 1; CREATE FUNCTION centreon_studio.much() RETURNS INT RETURN 1;
         GRANT EXECUTE ON PROCEDURE centreon_studio.later TO sleepy@localhost;
         GRANT EXECUTE ON FUNCTION centreon_studio.much TO sleepy@localhost",
    );
    let rights = "SELECT User, Routine_name, Proc_priv FROM mysql.procs_priv ORDER BY 1, 2";
    let before = home.server.sql(rights);
    let live = home.server.dump("centreon_studio");
    let reader = home.session("USE centreon_studio; BEGIN; SELECT COUNT(*) FROM t");
    let restore = home.start(RESTORE);
    home.wait_for(WAITING);
    home.server.sql("DROP USER studio@localhost");
    drop(reader);
    finished(restore).failed(22, &["account `studio`@`localhost` came out otherwise"]);
    assert_eq!(home.server.sql(rights), before);
    assert!(home.server.dump("centreon_studio") == live, "the database differs");
    // Once it succeeds they go.
    home.snap(RESTORE).succeeded();
    let routines = "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'centreon_studio'";
    assert_eq!(home.server.sql(routines), "p\n");
}
