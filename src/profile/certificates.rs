//! The certificates of Cloudify Manager, `/etc/cloudify/ssl`: what a restore makes of them.
//!
//! Since 4.2 a manager has an authority of its own, which signs its internal certificate; before,
//! the internal certificate was its own authority. Restored onto a manager that looks for the
//! authority, the old certificates get a copy of the internal ones under its names, as the manager's
//! own restore does it: agents that know the old certificate then go on to trust what it signs.

use crate::profile::version::Version;

/// The authority of the internal certificate, by which it is known whether there is one.
pub const AUTHORITY: &str = "cloudify_internal_ca_cert.pem";

/// What stands in for the certificate and the key of the authority: file, name of the copy.
pub const STAND_INS: [(&str, &str); 2] = [
    ("cloudify_internal_cert.pem", AUTHORITY),
    ("cloudify_internal_key.pem", "cloudify_internal_ca_key.pem"),
];

/// The first version that has the authority.
const SINCE: &str = "4.2";

/// Returns whether the target looks for an authority: by its version, and where that is not known, by
/// whether it has one now.
pub fn wants_authority(target: Option<&Version>, has_one: bool) -> bool {
    let since = || SINCE.parse::<Version>().expect("a test reads it");
    target.map_or(has_one, |version| *version >= since())
}

/// Returns what is said where copies stand in for the authority.
pub fn copied() -> String {
    let names: Vec<_> = STAND_INS.iter().map(|(file, copy)| format!("{copy} of {file}")).collect();
    format!(
        "the certificates of the snapshot have no internal authority (CA), as before Cloudify {SINCE}: \
         copies stand in for it, as in the manager's own restore: {}",
        names.join(", ")
    )
}

/// Returns what is said where nothing can stand in for the authority.
pub fn not_copied() -> String {
    format!(
        "the certificates of the snapshot have no internal authority (CA), and not both files that \
         stand in for it: put {AUTHORITY} and its key there by hand, or agents cannot connect"
    )
}

/// Returns what is said where the snapshot has no certificates to restore to this path.
pub fn absent(path: &str) -> String {
    format!(
        "the snapshot has no certificates, as those of Cloudify 4.0.0, and {path} stays as it is: \
         copy that folder of the old manager here by hand (cp -a, which keeps owners and modes; the \
         folder itself with mode 755), then reboot: without it old agents cannot connect"
    )
}

/// Whether the user wants the host to stay up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reboot {
    /// The user is told to reboot it.
    #[default]
    Advised,
    /// It stays up: `--no-reboot`.
    Unwanted,
}

/// Returns what there is to do before restored certificates are used. Cloudify Manager reboots its
/// host for it.
pub fn in_use(reboot: Reboot, units: &[String]) -> String {
    let restart = match units {
        [] => "restart everything that reads them".to_owned(),
        units => format!(
            "restart what reads them: systemctl restart {}, and whatever else does",
            units.join(" ")
        ),
    };
    match reboot {
        Reboot::Advised => format!(
            "what runs goes on with the certificates of before: reboot the host, as Cloudify Manager \
             does after a restore and snap never does, or {restart}"
        ),
        Reboot::Unwanted => {
            format!("what runs goes on with the certificates of before: {restart}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_wanted_since_4_2_or_where_there_is_one() {
        let wants = |text: &str, has_one| wants_authority(text.parse().ok().as_ref(), has_one);
        assert!(wants("4.2", false) && wants("4.10", false) && wants("", true));
        assert!(!wants("4.1.1.1", true) && !wants("4.0", false) && !wants("", false));
    }

    #[test]
    fn only_who_did_not_forbid_it_is_told_to_reboot() {
        let units = ["nginx".to_owned(), "cloudify-restservice".to_owned()];
        let advised = in_use(Reboot::Advised, &units);
        let unwanted = in_use(Reboot::Unwanted, &units);
        assert!(advised.contains("reboot the host") && !unwanted.contains("reboot"));
        for text in [advised, unwanted] {
            assert!(text.contains("systemctl restart nginx cloudify-restservice,"), "{text}");
        }
        assert!(in_use(Reboot::Unwanted, &[]).ends_with("restart everything that reads them"));
    }
}
