//! What a server says of itself: version and settings, read once, kept in the catalog.

use mysql_async::Row;
use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;

/// Facts of a server that decide how it is read and loaded, or whether a restore can succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "the server's own switches, not states of ours")]
pub struct ServerFacts {
    /// The version as the server writes it, such as `10.11.19-MariaDB-0+deb12u1`.
    pub version: String,
    /// The version's numbers, such as `[10, 11, 19]`: what versions are compared by.
    pub release: [u32; 3],
    /// The host that the server runs on.
    pub hostname: String,
    /// The folder of the server's data, on that host.
    pub datadir: String,
    /// The account that asked, such as `snap@localhost`.
    pub account: String,
    /// The `sql_mode` of new sessions.
    pub sql_mode: String,
    /// The character set of new databases.
    pub character_set: String,
    /// The collation of new databases.
    pub collation: String,
    /// How names of tables are compared: 0 as they are, 1 and 2 without case.
    pub lower_case_table_names: u8,
    /// The largest packet and the largest value, in bytes.
    pub max_allowed_packet: u64,
    /// Whether `LOAD DATA LOCAL` is allowed.
    pub local_infile: bool,
    /// Whether the server takes no writes.
    pub read_only: bool,
    /// Whether the binary log is written.
    pub log_bin: bool,
    /// Whether, with the binary log, functions and triggers can be made without `SUPER`.
    pub trusts_function_creators: bool,
}

/// In the order of [`Answer`]; as text, because a setting may change its type between versions.
const FACTS: &str = "SELECT VERSION(), @@global.hostname, @@global.datadir, CURRENT_USER(), \
    @@global.sql_mode, @@global.character_set_server, @@global.collation_server, \
    CAST(@@global.lower_case_table_names AS CHAR), CAST(@@global.max_allowed_packet AS CHAR), \
    CAST(@@global.local_infile AS CHAR), CAST(@@global.read_only AS CHAR), \
    CAST(@@global.log_bin AS CHAR), CAST(@@global.log_bin_trust_function_creators AS CHAR)";

/// What a server says of Galera, by which others write to the same tables through other servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Galera {
    /// The setting `wsrep_on`; `None` for a server that is built without.
    on: Option<String>,
    /// The status `wsrep_cluster_size`: a node that does not replicate for now counts the others.
    nodes: Option<String>,
}

impl Galera {
    /// Returns whether the server is a node of a cluster.
    pub(super) fn is_node(&self) -> bool {
        let is_on = self.on.as_ref().is_some_and(|on| on.eq_ignore_ascii_case("ON") || on == "1");
        let nodes = self.nodes.as_ref().and_then(|nodes| nodes.parse::<u32>().ok());
        is_on || nodes.is_some_and(|nodes| nodes > 0)
    }

    /// Fails with [`Kind::Refused`] where changes that are not logged would be on one node alone.
    pub(super) fn allow_without_binlog(&self) -> Result<()> {
        if self.is_node() {
            return Err(Error::new(Kind::Refused, "the server is a node of a Galera cluster")
                .hint("leave out --binlog off: the nodes would differ from then on"));
        }
        Ok(())
    }
}

impl Connection {
    /// Returns what the server says of Galera.
    pub(super) async fn read_galera(&mut self) -> Result<Galera> {
        let settings = "SHOW GLOBAL VARIABLES LIKE 'wsrep\\_on'";
        let status = "SHOW GLOBAL STATUS LIKE 'wsrep\\_cluster\\_size'";
        let doing = "cannot read the server's settings";
        let on: Option<(String, String)> = self.first(doing, settings).await?;
        let nodes: Option<(String, String)> = self.first(doing, status).await?;
        Ok(Galera { on: on.map(|(_, value)| value), nodes: nodes.map(|(_, value)| value) })
    }

    /// Returns what the server says of itself.
    pub async fn read_facts(&mut self) -> Result<ServerFacts> {
        let row = self.first("cannot read the server's settings", FACTS).await?;
        Answer(row.expect("this SELECT has one row")).facts()
    }
}

/// The one row that `FACTS` gives.
struct Answer(Row);

impl Answer {
    fn facts(&self) -> Result<ServerFacts> {
        let version = self.text(0)?;
        Ok(ServerFacts {
            release: release(&version).ok_or_else(|| unknown("version", &version))?,
            version,
            hostname: self.text(1)?,
            datadir: self.text(2)?,
            account: self.text(3)?,
            sql_mode: self.text(4)?,
            character_set: self.text(5)?,
            collation: self.text(6)?,
            lower_case_table_names: self.number(7)?,
            max_allowed_packet: self.number(8)?,
            local_infile: self.switch(9)?,
            read_only: self.switch(10)?,
            log_bin: self.switch(11)?,
            trusts_function_creators: self.switch(12)?,
        })
    }

    fn text(&self, column: usize) -> Result<String> {
        let value = self.0.get_opt::<Option<String>, _>(column).and_then(std::result::Result::ok);
        let value = value.ok_or_else(|| unknown("setting", &format!("number {column}")))?;
        Ok(value.unwrap_or_default())
    }

    fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T> {
        let text = self.text(column)?;
        text.parse().map_err(|_| unknown("setting", &text))
    }

    /// Returns whether a setting is on, in any of the words that versions have for it.
    fn switch(&self, column: usize) -> Result<bool> {
        Ok(!matches!(self.text(column)?.to_ascii_uppercase().as_str(), "0" | "OFF" | ""))
    }
}

impl ServerFacts {
    /// Returns whether a server of this `version` prints and computes things as this one does:
    /// patches and what distributions add to a version change neither.
    pub(super) fn is_of_release(&self, version: &str) -> bool {
        release(version).is_some_and(|release| release[..2] == self.release[..2])
    }
}

fn unknown(what: &str, value: &str) -> Error {
    Error::failed(format!("cannot understand the server's {what} {value:?}"))
}

/// Returns the numbers at the front of a version; old servers put `5.5.5-` before their own.
fn release(version: &str) -> Option<[u32; 3]> {
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let numbers = version.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = numbers.split('.').map(str::parse);
    let mut next = || parts.next()?.ok();
    Some([next()?, next()?, next().unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::throwaway;

    #[test]
    fn a_node_of_a_cluster_may_not_be_changed_alone_and_any_other_server_may() {
        let galera = |on: Option<&str>, nodes: Option<&str>| Galera {
            on: on.map(str::to_owned),
            nodes: nodes.map(str::to_owned),
        };
        for alone in [galera(None, None), galera(Some("OFF"), Some("0")), galera(Some("0"), None)] {
            alone.allow_without_binlog().unwrap();
        }
        let nodes = [
            galera(Some("ON"), Some("3")),
            galera(Some("1"), None),
            // Between two clusters, and with replication switched off for the moment.
            galera(Some("on"), Some("0")),
            galera(Some("OFF"), Some("1")),
        ];
        for node in nodes {
            let refused = node.allow_without_binlog().unwrap_err();
            assert_eq!(refused.kind(), Kind::Refused, "{node:?}");
            assert!(refused.to_string().contains("Galera"), "{refused}");
            assert!(refused.advice().unwrap().contains("leave out --binlog off"), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_server_that_runs_alone_says_so() {
        let mut connection = throwaway::server().connection().await;
        let galera = connection.read_galera().await.unwrap();
        assert_eq!(galera.on.as_deref(), Some("OFF"));
        assert!(!galera.is_node(), "{galera:?}");
    }

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        assert_eq!(release("10.11.19-MariaDB-0+deb12u1"), Some([10, 11, 19]));
        assert_eq!(release("5.5.5-10.3.39-MariaDB-log"), Some([10, 3, 39]));
        assert_eq!(release("11.8.1"), Some([11, 8, 1]));
        assert_eq!(release("12.0-preview"), Some([12, 0, 0]));
        assert_eq!(release("MariaDB"), None);
        assert!(release("10.11.2") < release("10.11.19"));
    }
}
