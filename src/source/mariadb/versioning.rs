//! System-versioned tables: rows that stay when they are changed or deleted, with the time when
//! they were true.
//!
//! Two columns tell that time; often they are hidden, and then named `row_start` and `row_end`. A
//! row that is true today ends at the largest TIMESTAMP of its server: 2038 before MariaDB 11.5,
//! 2106 since. Loaded as it stands, the end of 2038 makes every row a thing of the past on a newer
//! server, so a chunk has `\N` there, no end yet, and the target puts its own largest one.

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::definition::Column;
use crate::source::mariadb::definition::Lifetime;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::quote;
use crate::source::mariadb::scan;

/// The end of a row without an end, on the server that reads this, in a session at `+00:00`.
const NO_END: &str = "COALESCE(/*M!110500 TIMESTAMP'2106-02-07 06:28:15.999999', */ \
    TIMESTAMP'2038-01-19 03:14:07.999999')";

/// The columns of a table whose own are hidden.
pub(super) const HIDDEN: [(&str, Lifetime); 2] =
    [("row_start", Lifetime::Start), ("row_end", Lifetime::End)];

/// Returns which end of a row's time a column holds, by what generates it.
pub(super) fn lifetime(generation: Option<&str>) -> Option<Lifetime> {
    match generation? {
        "ROW START" => Some(Lifetime::Start),
        "ROW END" => Some(Lifetime::End),
        _ => None,
    }
}

/// Fails where the history of a table cannot be taken back as it is.
pub(super) fn check(table: &Table) -> Result<()> {
    if !table.is_versioned() {
        return Ok(());
    }
    let refused = |reason: &str| {
        Err(Error::new(Kind::Failed, format!("cannot save table {:?}: {reason}", table.name)))
    };
    let mut times = table.columns.iter().filter(|column| column.lifetime.is_some());
    if times.any(|column| column.data_type != "timestamp") {
        return refused("its history counts transactions (TRX_ID) of this server alone");
    }
    let plain = scan::outside_quotes(&table.create);
    let Some((_, partitions)) = plain.split_once(" PARTITION BY SYSTEM_TIME ") else {
        return Ok(());
    };
    // A loaded row finds its place by its time; by the number of rows before it, or in partitions
    // that come by themselves, it would find another one than it had.
    let options = partitions.split('(').next().unwrap_or_default();
    if !options.starts_with("INTERVAL ") || options.contains(" AUTO") {
        return refused("its history lies in partitions by LIMIT or AUTO");
    }
    Ok(())
}

/// Returns what is read of a column.
pub(super) fn selected(column: &Column) -> String {
    match column.lifetime {
        Some(Lifetime::End) => format!("NULLIF({}, {NO_END})", quote::identifier(&column.name)),
        _ => column.selected(),
    }
}

/// Returns what an end is loaded as, where `value` is what the chunk has of it.
pub(super) fn end_of(value: &str) -> String {
    format!("COALESCE({value}, {NO_END})")
}

/// Returns what stands behind the name of a table whose rows of all times are read.
pub(super) fn of_all_times(table: &Table) -> &'static str {
    if table.is_versioned() { " FOR SYSTEM_TIME ALL" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(data_type: &str, options: &str) -> Table {
        let column = Column {
            name: "e".to_owned(),
            data_type: data_type.to_owned(),
            is_generated: false,
            lifetime: Some(Lifetime::End),
        };
        Table {
            name: "t".to_owned(),
            create: format!(
                "CREATE TABLE `t` (\n  `a` int COMMENT ' PARTITION BY SYSTEM_TIME '\n) ENGINE=X{options}"
            ),
            columns: vec![column],
            primary: Vec::new(),
            key: None,
            is_transactional: true,
            is_analyzed: false,
            estimated_bytes: 0,
            defined: None,
        }
    }

    #[test]
    fn what_a_server_would_put_elsewhere_is_refused_by_name() {
        assert!(check(&table("timestamp", "")).is_ok());
        let interval =
            "\n PARTITION BY SYSTEM_TIME INTERVAL 1 YEAR STARTS TIMESTAMP'2020-01-01 00:00:00'";
        assert!(
            check(&table("timestamp", &format!("{interval}\n(PARTITION `p AUTO` HISTORY"))).is_ok()
        );
        for (data_type, options, reason) in [
            ("bigint", String::new(), "TRX_ID"),
            ("timestamp", "\n PARTITION BY SYSTEM_TIME LIMIT 3\n(PARTITION".to_owned(), "LIMIT"),
            ("timestamp", format!("{interval} AUTO\nPARTITIONS 3"), "AUTO"),
        ] {
            let error = check(&table(data_type, &options)).unwrap_err();
            assert!(error.to_string().contains("\"t\"") && error.to_string().contains(reason));
        }
    }
}
