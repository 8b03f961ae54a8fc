//! Whose rights the programs of a snapshot run with, seen from the account that restores them.

use crate::base::error::Result;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::quote;
use crate::source::mariadb::schema;

/// Returns the definers of a schema blob's programs that are not the account of the login, quoted as
/// SQL names them.
pub async fn others(login: &Login, schema: &[u8]) -> Result<Vec<String>> {
    let definers = schema::outline(schema)?.definers;
    if definers.is_empty() {
        return Ok(Vec::new());
    }
    let connection = connect(login).await?;
    let quoted = definers.iter().map(|definer| quote::account(definer));
    let others = quoted.filter(|definer| definer != connection.account()).collect();
    connection.close().await;
    Ok(others)
}
