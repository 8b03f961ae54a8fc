//! Bad input from the outside: the exit code, all that is said, and that nothing is listed.

use std::fs;

use crate::place::Place;
use crate::place::SECURITY_FILE;

/// Returns exit code and stderr of a `snap` that must answer nothing.
fn refusal(place: &Place, arguments: &[&str]) -> (i32, String) {
    let output = place.snap(arguments);
    assert_eq!(output.stdout, "", "{arguments:?}");
    (output.code, output.stderr)
}

/// Writes an option file; returns its path.
fn option_file(place: &Place, name: &str, options: &str) -> String {
    let path = place.path(name);
    fs::write(&path, format!("[client]\n{options}")).expect("write an option file");
    path.display().to_string()
}

#[test]
fn a_server_out_of_reach_exits_20_and_names_the_address() {
    let place = Place::empty();
    let socket = place.path("none.sock").display().to_string();
    let defaults = option_file(&place, "none.cnf", &format!("user=root\nsocket={socket}\n"));
    for verb in [&["create", "a"][..], &["create"]] {
        let arguments = [verb, &["--defaults-file", &defaults]].concat();
        let said = format!(
            "error: cannot connect to the database server at socket {socket}: No such file or directory (os error 2)\n\
             hint: is the server running? --socket, or `socket` in an option file, names another place\n"
        );
        assert_eq!(refusal(&place, &arguments), (20, said));
    }
    assert_eq!(place.ids(), "");
}

#[test]
fn an_account_that_is_refused_or_lacks_a_right_exits_12_and_is_named() {
    let place = Place::studio();
    place.server.sql(
        "CREATE USER weak@localhost IDENTIFIED BY 'right';
         GRANT SELECT ON centreon_studio.* TO weak@localhost",
    );
    let socket = place.server.socket().display().to_string();
    let account = |name, password| {
        let options = format!("user=weak\nsocket={socket}\npassword={password}\n");
        option_file(&place, name, &options)
    };
    let wrong = account("wrong.cnf", "Wr0ng");
    let said = format!(
        "error: cannot log in to the database server at socket {socket} as `weak`: \
         ERROR 1045 (28000): Access denied for user 'weak'@'localhost' (using password: YES)\n\
         hint: the password is wrong, or there is no such account: give user and password in the \
         [client] group of ~/.my.cnf or of the file that --defaults-file names; \
         SNAP_DATABASE_PASSWORD gives the password alone\n"
    );
    assert_eq!(refusal(&place, &["create", "a", "--defaults-file", &wrong]), (12, said));

    let weak = account("weak.cnf", "right");
    let said = "error: cannot save database \"centreon_studio\" as `weak`@`localhost`: it lacks \
        SHOW VIEW to read views, TRIGGER to see triggers, EVENT to see events, \
        SELECT to read procedures and functions of other accounts\n\
        hint: GRANT EVENT, SHOW VIEW, TRIGGER ON `centreon_studio`.* TO `weak`@`localhost`; \
        GRANT SELECT ON `mysql`.`proc` TO `weak`@`localhost`;\n";
    let arguments = ["create", "a", "--defaults-file", &weak];
    assert_eq!(refusal(&place, &arguments), (12, said.to_owned()));
    assert_eq!(place.ids(), "");

    place.snap(&["create", "b"]).succeeded();
    let before = place.server.dump("centreon_studio");
    let (code, said) = refusal(&place, &["restore", "b", "--force", "--defaults-file", &weak]);
    assert_eq!(code, 12);
    assert!(
        said.starts_with("error: cannot restore database \"centreon_studio\" as `weak`"),
        "{said}"
    );
    assert!(said.contains("\nhint: GRANT ALTER, "), "{said}");
    assert!(place.server.dump("centreon_studio") == before, "the live database changed");
}

#[test]
fn what_a_profile_requires_and_nobody_has_exits_1_and_nothing_is_listed() {
    let place = Place::empty();
    place.make_security_file();
    let hint = "hint: correct the profile, or leave the source out with --exclude\n";
    let said = format!("error: cannot save database: centreon_studio is absent\n{hint}");
    assert_eq!(refusal(&place, &["create", "a"]), (1, said));

    place.save_security_file_only();
    let file = place.root().join(SECURITY_FILE);
    fs::remove_file(file).expect("remove the security file");
    let said = format!("error: cannot save users: /{SECURITY_FILE} is absent\n{hint}");
    assert_eq!(refusal(&place, &["create", "a"]), (1, said));
    assert_eq!(place.ids(), "");
}

#[test]
fn an_optional_path_that_is_absent_is_noted_for_ever() {
    let place = Place::empty();
    let required = "name = 'users'\nkind = 'files'\npath = '/opt/manager/rest-security.conf'\n";
    let optional = "name = 'extra'\nkind = 'files'\npath = '/opt/none'\noptional = true\n";
    let source = |text| format!("[[profiles.studio.sources]]\n{text}");
    place.configure(&(source(required) + &source(optional)));
    place.make_security_file();
    let output = place.snap(&["create", "a"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, "note: extra is absent: /opt/none\n"));
    let shown = place.snap(&["show", "a"]);
    assert!(shown.succeeded().contains("note: extra is absent: /opt/none"), "{}", shown.stdout);
}

#[test]
fn an_id_is_refused_before_any_work() {
    let place = Place::empty();
    place.save_security_file_only();
    let long = "x".repeat(300);
    for id in ["a/b", "a b", "..", "", ".", "-", "1a", "../../etc", "é", "a\n", long.as_str()] {
        for verb in ["create", "show", "restore", "download", "verify", "delete"] {
            let (code, said) = refusal(&place, &[verb, "--", id]);
            let shown: String = id.chars().take(128).collect();
            let expected = format!(
                "error: cannot use {shown:?} as the id of a snapshot\n\
                 hint: an id has letters, digits, `-`, `.` and `_`, first a letter, at most 128\n"
            );
            assert_eq!((code, said), (2, expected), "{verb}");
        }
        let flag = format!("--snapshot-id={id}");
        assert_eq!(refusal(&place, &["upload", "none.tar", &flag]).0, 2);
    }
    assert!(!place.repository().exists(), "a repository was made");

    place.snap(&["create", "taken"]).succeeded();
    let said = "error: snapshot taken exists already\n\
        hint: choose another id, or none: snap makes one up\n";
    assert_eq!(refusal(&place, &["create", "taken"]), (14, said.to_owned()));
    assert_eq!(place.ids(), "taken");
}

#[test]
fn what_is_no_repository_is_left_alone() {
    let place = Place::empty();
    place.save_security_file_only();
    let root = place.root().display().to_string();
    let before = place.tree();
    let said = |why: &str| {
        format!(
            "error: cannot open repository {root}{why}\n\
             hint: `snap create` makes a repository in an absent or empty folder; \
             --repository or SNAP_REPOSITORY says where\n"
        )
    };
    for verb in [&["create", "a"][..], &["list"], &["show", "a"], &["prune"], &["verify"]] {
        let arguments = [verb, &["--repository", &root]].concat();
        assert_eq!(refusal(&place, &arguments), (10, said(": it is something else")), "{verb:?}");
    }
    let none = format!("{root}/none");
    for verb in [&["list"][..], &["restore", "a"], &["delete", "a"], &["download", "a"]] {
        let arguments = [verb, &["--repository", &none]].concat();
        assert_eq!(refusal(&place, &arguments), (10, said("/none: there is none")), "{verb:?}");
    }
    assert_eq!(place.tree(), before);
    assert_eq!(fs::read_dir(place.root()).expect("list the root").count(), 1);
}

#[test]
fn a_format_of_the_future_exits_14() {
    let place = Place::empty();
    place.save_security_file_only();
    place.snap(&["create", "a"]).succeeded();
    let listed = place.repository().join("snapshots/a.json");
    let text = fs::read_to_string(&listed).expect("read the descriptor");
    let newer = text.replace("vnd.snap.snapshot.v1", "vnd.snap.snapshot.v2");
    fs::write(&listed, newer).expect("write the descriptor");
    let hint = "hint: use the version of snap that wrote it, or a newer one\n";
    let (code, said) = refusal(&place, &["show", "a"]);
    assert_eq!(code, 14, "{said}");
    assert!(said.contains("vnd.snap.snapshot.v2, which this version does not know\n"), "{said}");
    assert!(said.ends_with(hint), "{said}");

    fs::write(&listed, text).expect("write the descriptor");
    let layout = place.repository().join("oci-layout");
    fs::write(layout, r#"{"imageLayoutVersion":"2.0.0"}"#).expect("write oci-layout");
    for verb in [&["list"][..], &["create", "b"], &["prune"], &["restore", "a"]] {
        let (code, said) = refusal(&place, verb);
        assert_eq!(code, 14, "{said}");
        let expected = format!(
            "error: cannot open repository {}: the image layout has version \"2.0.0\", \
             which this version does not know\n{hint}",
            place.repository().display()
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn a_wrong_value_exits_2_and_says_what_is_allowed() {
    let place = Place::empty();
    let config = place.path("snap.toml").display().to_string();
    for (arguments, complaint) in [
        (&["create", "--connections", "0"][..], "0 is not in 1..=64"),
        (&["list", "--port", "65536"], "65536 is not in 1..=65535"),
        (&["prune", "--grace", "soon"], "such as `90min`, `24h` or `7d`"),
        (&["completions", "cmd"], "[possible values: bash"),
        (&["list", "--profile", "studoi"], "hint: did you mean `studio`?"),
        (
            &["create", "--exclude", "databse"],
            "hint: its sources are database, certificates, users",
        ),
        (&["list", "--repository", "s3://bucket"], "s3:// is not supported yet"),
    ] {
        let (code, said) = refusal(&place, arguments);
        assert_eq!(code, 2, "{said}");
        assert!(said.starts_with("error: ") && said.contains(complaint), "{said}");
    }
    place.configure(
        "# ours\n[[profiles.studio.sources]]\nname = 'users'\nkind = 'files'\npaht = '/opt'\n",
    );
    let said = format!(
        "error: cannot use {config}, line 5: unknown key `paht` in [profiles.studio.sources]\n\
         hint: did you mean `path`?\n"
    );
    assert_eq!(refusal(&place, &["create"]), (2, said));
}

#[test]
fn a_database_of_the_server_or_of_snap_itself_is_no_place_to_restore_to() {
    let place = Place::studio();
    place.snap(&["create", "before"]).succeeded();
    let databases = place.server.sql("SHOW DATABASES");
    for (name, complaint) in [
        ("mysql", "it is the server's own"),
        ("SYS", "it is the server's own"),
        ("performance_schema", "it is the server's own"),
        ("centreon_studio__snap_previous_AAAAAA", "what snap keeps beside a database"),
        ("x__snap_staging_AAAAAA", "what snap keeps beside a database"),
    ] {
        let (code, said) = refusal(&place, &["restore", "before", "--database", name, "--force"]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(complaint), "{said}");
    }
    assert_eq!(place.server.sql("SHOW DATABASES"), databases);
}

#[test]
fn a_snapshot_of_nothing_is_refused() {
    let place = Place::empty();
    let all = ["--exclude", "database", "--exclude", "certificates", "--exclude", "users"];
    let (code, said) = refusal(&place, &[&["create"][..], &all].concat());
    assert_eq!((code, said.contains("no source is left to save")), (2, true), "{said}");
}
