//! Accounts of every kind that MariaDB has log in, through the real program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::place::Place;
use crate::server::assert_succeeds;

impl Place {
    /// Makes an account that may do all, and saves with it; `IDENTIFIED …` says how it logs in.
    pub(crate) fn saves_as(&self, user: &str, identified: &str, password: Option<&str>) {
        self.server.sql(&format!(
            "CREATE USER IF NOT EXISTS {user}@localhost; ALTER USER {user}@localhost {identified}; GRANT ALL ON *.* TO {user}@localhost"
        ));
        let defaults = self.path("account.cnf");
        let password =
            password.map_or_else(String::new, |password| format!("password={password}\n"));
        let socket = self.server.socket();
        fs::write(
            &defaults,
            format!("[client]\nuser={user}\n{password}socket={}\n", socket.display()),
        )
        .expect("write account.cnf");
        fs::set_permissions(&defaults, fs::Permissions::from_mode(0o600)).expect("set its mode");
        let defaults = format!("--defaults-file={}", defaults.display());
        self.snap(&["create", user, &defaults]).succeeded();
        let catalog = self.snap(&["show", user, "--json"]).json();
        let account = &catalog["catalog"]["sources"][0]["detail"]["server"]["account"];
        assert_eq!(account.as_str(), Some(format!("{user}@localhost").as_str()), "{catalog}");
        self.snap(&["restore", user, "--force", &defaults]).succeeded();
    }

    /// The same as the system's user who runs this, whom the socket tells.
    pub(crate) fn saves_by_socket(&self) {
        let whoami = Command::new("id").arg("-un").output().expect("start id");
        let whoami = assert_succeeds(&whoami, "id -un");
        self.saves_as(whoami.trim(), "IDENTIFIED VIA unix_socket", None);
    }

    /// Makes a small database the one that is saved.
    pub(crate) fn hold_little(&self) {
        self.server.sql("CREATE DATABASE studio; CREATE TABLE studio.t (id INT PRIMARY KEY)");
        self.save_only("studio");
    }
}

/// Accounts whose password is `secret`, on every server.
pub(crate) const WITH_PASSWORD: [(&str, &str); 2] = [
    ("native", "IDENTIFIED BY 'secret'"),
    ("edward", "IDENTIFIED VIA ed25519 USING PASSWORD('secret')"),
];

#[test]
fn accounts_of_every_kind_save_and_restore() {
    let place = Place::with_options(&["--plugin-load-add=auth_ed25519"]);
    place.hold_little();
    for (user, identified) in WITH_PASSWORD {
        place.saves_as(user, identified, Some("secret"));
    }
    place.saves_by_socket();
    // The system's user counts, not what an account is called.
    place.server.sql("CREATE USER somebody@localhost IDENTIFIED VIA unix_socket");
    place.snap(&["create", "never", "--user=somebody"]).failed(12, &["as `somebody`"]);
}
