//! An account with exactly the rights that `snap doctor` asks for can do its work, and with one less is told which.

use std::fs;

use crate::place::Output;
use crate::place::Place;

/// A right on something: `GRANT right ON scope TO account` for each.
struct Right {
    right: String,
    scope: String,
}

/// The account of these tests, as messages name it.
const ACCOUNT: &str = "`snap`@`localhost`";

impl Place {
    /// Returns a studio whose server knows an account that may do nothing yet.
    fn with_account() -> Self {
        let place = Self::studio();
        place.server.sql(&format!("CREATE USER {ACCOUNT}"));
        let defaults = format!("[client]\nuser=snap\nsocket={}\n", place.server.socket().display());
        fs::write(place.path("account.cnf"), defaults).expect("write account.cnf");
        place
    }

    /// Runs `snap` as the account.
    fn snap_as_account(&self, arguments: &[&str]) -> Output {
        let file = self.path("account.cnf");
        let flag = format!("--defaults-file={}", file.display());
        self.snap(&[&[flag.as_str()][..], arguments].concat())
    }

    /// Gives the account all that `snap doctor` asks for under this name; returns it.
    fn grant_what_doctor_asks_for(&self, check: &str) -> Vec<Right> {
        let checks = self.snap_as_account(&["doctor", "--json"]).json();
        let checks = checks["checks"].as_array().expect("a list of checks").clone();
        let check = checks.iter().find(|found| found["name"] == check).expect("doctor checks it");
        assert_eq!(check["outcome"], "bad");
        let grants = check["fix"].as_str().expect("a fix").to_owned();
        self.server.sql(&grants);
        grants.lines().flat_map(rights).collect()
    }

    /// Takes each right away for one run, which must be denied and name the account and the statement that helps.
    #[track_caller]
    fn assert_each_is_needed(&self, rights: &[Right], arguments: &[&str]) {
        for Right { right, scope } in rights {
            self.server.sql(&format!("REVOKE {right} ON {scope} FROM {ACCOUNT}"));
            let denied = self.snap_as_account(arguments);
            denied.failed(
                12,
                &[ACCOUNT, "hint: ", &format!("GRANT {right} ON {scope} TO {ACCOUNT};")],
            );
            self.server.sql(&format!("GRANT {right} ON {scope} TO {ACCOUNT}"));
        }
    }
}

/// Returns the rights of a statement such as `GRANT SELECT, INSERT ON t TO a;`.
fn rights(grant: &str) -> Vec<Right> {
    let (rights, rest) =
        grant.strip_prefix("GRANT ").and_then(|rest| rest.split_once(" ON ")).expect("a GRANT");
    let (scope, account) = rest.rsplit_once(" TO ").expect("a grantee");
    assert_eq!(account, format!("{ACCOUNT};"));
    let right = |right: &str| Right { right: right.to_owned(), scope: scope.to_owned() };
    rights.split(", ").map(right).collect()
}

#[test]
fn the_rights_that_doctor_asks_for_are_enough_to_create_and_none_is_too_many() {
    let place = Place::with_account();
    let rights = place.grant_what_doctor_asks_for("rights to create");
    place.snap_as_account(&["create", "before"]).succeeded();
    place.snap(&["restore", "before", "--only", "database", "--database", "copy"]).succeeded();
    assert!(
        place.server.dump("copy") == place.server.dump("centreon_studio"),
        "something was not seen"
    );
    // Without RELOAD one connection reads alone.
    let (needed, optional): (Vec<_>, Vec<_>) =
        rights.into_iter().partition(|right| right.right != "RELOAD");
    place.assert_each_is_needed(&needed, &["create"]);
    assert_eq!(optional.len(), 1);
    place.server.sql(&format!("REVOKE RELOAD ON *.* FROM {ACCOUNT}"));
    let alone = place.snap_as_account(&["create", "alone"]);
    alone.succeeded();
    assert!(alone.stderr.contains("one connection reads alone"), "{alone:#?}");
    let ids = place.snap(&["list", "--json"]).json();
    assert_eq!(ids["snapshots"].as_array().map(Vec::len), Some(2), "{ids}");
}

#[test]
fn the_rights_that_doctor_asks_for_are_enough_to_restore_and_none_is_too_many() {
    let place = Place::with_account();
    let before = place.live();
    place.snap(&["create", "before"]).succeeded();
    let rights = place.grant_what_doctor_asks_for("rights to restore");
    let restore = ["restore", "before", "--force", "--full", "--restore-certificates"];
    for _ in 0..2 {
        place.upgrade_badly();
        place.snap_as_account(&restore).succeeded();
        assert!(place.live() == before, "it differs");
    }
    let beside = place.beside();
    place.assert_each_is_needed(&rights, &restore);
    assert!(place.live() == before, "something was touched");
    assert_eq!(place.beside(), beside);
    place.server.sql("DROP DATABASE centreon_studio");
    place.snap_as_account(&[&restore[..], &["--to-version", "4.1"]].concat()).succeeded();
    assert!(place.live() == before, "onto nothing: it differs");
}
