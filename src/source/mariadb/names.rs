//! The names of the schemas beside a database: staging, and the previous state.

/// The longest name that MariaDB takes, in characters.
const LONGEST: usize = 64;

/// Returns the name of the staging schema of a database; an empty suffix gives what all such
/// names of the database begin with.
pub(super) fn staging(database: &str, suffix: &str) -> String {
    named(database, "__snap_staging_", suffix)
}

/// Returns the name of the schema that keeps what a restore replaced; an empty suffix gives what
/// all such names of the database begin with.
pub(super) fn previous(database: &str, suffix: &str) -> String {
    named(database, "__snap_previous_", suffix)
}

/// The database's name is cut where the whole would be too long for MariaDB.
fn named(database: &str, infix: &str, suffix: &str) -> String {
    const SUFFIX: usize = 8;
    let room = LONGEST - infix.len() - SUFFIX;
    let start: String = database.chars().take(room).collect();
    format!("{start}{infix}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_and_tells_what_it_belongs_to() {
        assert_eq!(staging("studio", "K3X9PQ"), "studio__snap_staging_K3X9PQ");
        assert!(previous(&"é".repeat(64), "12345678").chars().count() <= LONGEST);
        assert!(staging("studio", "K3X9PQ").starts_with(&staging("studio", "")));
    }
}
