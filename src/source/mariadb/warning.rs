//! What a server has to say of a statement that it took all the same.

use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;

/// A warning or a note.
pub(super) struct Warning {
    /// The server's number for it; 0 where it kept the number of warnings alone.
    pub(super) code: u16,
    /// Its words.
    pub(super) text: String,
}

impl Connection {
    /// Returns the warnings of the last statement, as far as the server keeps them.
    pub(super) async fn warnings(&mut self) -> Result<Vec<Warning>> {
        if self.warning_count() == 0 {
            return Ok(Vec::new());
        }
        let rows: Vec<(String, u16, String)> =
            self.rows("cannot read the warnings of the server", "SHOW WARNINGS").await?;
        let mut warnings: Vec<_> =
            rows.into_iter().map(|(_, code, text)| Warning { code, text }).collect();
        if warnings.is_empty() {
            warnings.push(Warning { code: 0, text: "a warning".to_owned() });
        }
        Ok(warnings)
    }
}
