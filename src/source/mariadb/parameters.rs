//! The collations of what routines take and return.
//!
//! A routine that names a character set and no collation gets the one that its server has for it:
//! `utf8mb4_general_ci` before MariaDB 11.5, `utf8mb4_uca1400_ai_ci` since. The server writes down
//! that of a result, and decides that of a parameter anew in every session.

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::quote;

/// Something of text that a routine takes or returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parameter {
    /// `FUNCTION` or `PROCEDURE`.
    kind: String,
    routine: String,
    /// 0 for the result of a function.
    position: u32,
    collation: String,
}

/// Returns the parameters and results of text in a database, as the connection's session has them.
pub(super) async fn parameters(
    connection: &mut Connection,
    database: &str,
) -> Result<Vec<Parameter>> {
    let sql = "SELECT ROUTINE_TYPE, SPECIFIC_NAME, ORDINAL_POSITION, COLLATION_NAME \
               FROM information_schema.PARAMETERS WHERE {} AND COLLATION_NAME IS NOT NULL \
               ORDER BY ROUTINE_TYPE, SPECIFIC_NAME, ORDINAL_POSITION";
    let sql = sql.replace("{}", &quote::is_database("SPECIFIC_SCHEMA", database));
    let rows: Vec<(String, String, u32, String)> =
        connection.rows("cannot list the parameters of routines", &sql).await?;
    let parameter =
        |(kind, routine, position, collation)| Parameter { kind, routine, position, collation };
    Ok(rows.into_iter().map(parameter).collect())
}

/// Compares what was created with what was saved: fails where a result has another collation, and
/// notes where a parameter has, as it would after an upgrade of the server too.
pub(super) fn compare(
    saved: &[Parameter],
    created: &[Parameter],
    monitor: &dyn Monitor,
) -> Result<()> {
    for parameter in saved {
        let Parameter { kind, routine, position, collation } = parameter;
        let is_same = |other: &&Parameter| {
            (&other.kind, &other.routine, other.position) == (kind, routine, *position)
        };
        let Some(now) = created.iter().find(is_same) else { continue };
        if now.collation == *collation {
            continue;
        }
        let kind = kind.to_lowercase();
        let differs = format!("{} here, where it was saved with {collation}", now.collation);
        if *position == 0 {
            let text = format!("{kind} {routine:?} came out otherwise: it returns {differs}");
            return Err(Error::new(Kind::Mismatch, text));
        }
        monitor.note(&format!("{kind} {routine:?} takes its parameter {position} as {differs}"));
    }
    Ok(())
}
