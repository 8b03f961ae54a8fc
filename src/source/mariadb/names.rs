//! The names of the schemas beside a database: staging, the previous state, and what becomes of
//! accounts.

use crate::base::digest::sha256;

/// The longest name that MariaDB takes, in characters.
const LONGEST: usize = 64;

const STAGING: &str = "__snap_staging_";
const PREVIOUS: &str = "__snap_previous_";
const ACCOUNTS: &str = "__snap_accounts_";

/// Returns whether a name may be one of those beside a database.
pub(super) fn is_reserved(database: &str) -> bool {
    [STAGING, PREVIOUS, ACCOUNTS].iter().any(|infix| database.contains(infix))
}

/// Returns the name of the staging schema of a database; an empty suffix gives what all such
/// names of the database begin with.
pub(super) fn staging(database: &str, suffix: &str) -> String {
    named(database, STAGING, suffix)
}

/// Returns the name of the schema that keeps what a restore replaced; an empty suffix gives what
/// all such names of the database begin with.
pub(super) fn previous(database: &str, suffix: &str) -> String {
    named(database, PREVIOUS, suffix)
}

/// Returns the name of the schema that notes what a restore changes of accounts; an empty suffix
/// gives what all such names of the database begin with.
pub(super) fn accounts(database: &str, suffix: &str) -> String {
    named(database, ACCOUNTS, suffix)
}

/// A name that leaves no room is cut, and ends in a digest of the whole: databases whose names
/// only begin alike do not share what stands beside them.
fn named(database: &str, infix: &str, suffix: &str) -> String {
    const SUFFIX: usize = 8;
    const DIGEST: usize = 8;
    let room = LONGEST - PREVIOUS.len() - SUFFIX;
    if database.chars().count() <= room {
        return format!("{database}{infix}{suffix}");
    }
    let start: String = database.chars().take(room - DIGEST).collect();
    let hash = sha256(database.as_bytes());
    let digest = &hash[hash.len() - DIGEST..];
    format!("{start}{digest}{infix}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_and_tells_what_it_belongs_to() {
        assert_eq!(staging("studio", "K3X9PQ"), "studio__snap_staging_K3X9PQ");
        assert!(previous(&"é".repeat(64), "12345678").chars().count() <= LONGEST);
        assert!(staging("studio", "K3X9PQ").starts_with(&staging("studio", "")));
        assert!(is_reserved(&previous("studio", "K3X9PQ")) && !is_reserved("studio__snap"));
    }

    #[test]
    fn long_names_that_begin_alike_stay_apart() {
        let [one, other] = ["1", "2"].map(|end| format!("{}{end}", "é".repeat(63)));
        assert_ne!(staging(&one, "x"), staging(&other, "x"));
        assert!(previous(&one, "12345678").chars().count() <= LONGEST);
    }
}
