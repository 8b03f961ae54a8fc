//! A column that holds the name of a role in each row.

use std::collections::BTreeMap;

use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::quote;
use crate::source::mariadb::roles::decode::decoded;
use crate::source::mariadb::roles::rows::charset;
use crate::source::mariadb::roles::rows::place;
use crate::source::mariadb::roles::rows::refused;
use crate::source::mariadb::schema;
use crate::source::mariadb::staging::Staging;
use crate::source::mariadb::tsv;

/// The names in a column, and how many rows have each. Rows without one do not count.
pub type Names = BTreeMap<String, u64>;

/// A column of a saved database.
pub struct SavedColumn {
    /// The place of its table among the items of the catalog.
    pub position: usize,
    /// Its place in a line.
    place: usize,
    charset: Option<String>,
    /// Why its values cannot be changed, where they cannot.
    obstacle: Option<&'static str>,
}

impl SavedColumn {
    /// Returns the column, or `None` where the saved database has no such one.
    pub fn find(schema: &[u8], table: &str, column: &str) -> Result<Option<Self>> {
        let definition = schema::unpack(schema)?;
        let found = definition.tables.iter().position(|found| found.name == table);
        let Some(position) = found else { return Ok(None) };
        let table = &definition.tables[position];
        let place = place(table, column);
        let obstacle = table.is_versioned().then_some("its table keeps the rows that were");
        let charset = charset(table, column)?;
        Ok(place.map(|place| Self { position, place, charset, obstacle }))
    }

    /// Adds the names in a chunk of the table.
    pub fn take_chunk(&self, chunk: &[u8], into: &mut Names) -> Result<()> {
        for line in tsv::lines(chunk) {
            let [name] = tsv::cells(line, [self.place])?;
            if let Some(name) = name {
                *into.entry(decoded(&name, self.charset.as_deref())).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Fails with [`Kind::Refused`](crate::base::error::Kind) where no value of it can be changed.
    pub fn demand_fit(&self, title: &str) -> Result<()> {
        self.obstacle
            .map_or(Ok(()), |why| Err(refused(&format!("{title} cannot be changed: {why}"))))
    }
}

impl Staging {
    /// Returns the names that stand in a column.
    pub async fn read_role_column(&mut self, table: &str, column: &str) -> Result<Names> {
        self.connection.names_in(table, column).await
    }

    /// Makes names of a column other ones, all at once.
    pub async fn write_role_column(
        &mut self,
        table: &str,
        column: &str,
        renamed: &BTreeMap<String, String>,
    ) -> Result<()> {
        if renamed.is_empty() {
            return Ok(());
        }
        let schema = self.plan.schema().to_owned();
        self.connection.heed_foreign_keys().await?;
        self.connection.rename_in(&schema, table, column, renamed).await?;
        self.connection.ignore_foreign_keys().await?;
        self.analyze_again(table).await
    }
}

impl Connection {
    async fn names_in(&mut self, table: &str, column: &str) -> Result<Names> {
        let exact = exactly(column);
        let sql = format!(
            "SELECT {exact}, COUNT(*) FROM {} WHERE {} IS NOT NULL GROUP BY {exact}",
            quote::identifier(table),
            quote::identifier(column)
        );
        let doing = format!("cannot read the roles in {table}.{column}");
        let rows: Vec<(String, u64)> = self.rows(&doing, &sql).await?;
        Ok(rows.into_iter().collect())
    }

    /// A value that does not fit its column is an error; a time that follows every change of its row
    /// stays.
    async fn rename_in(
        &mut self,
        schema: &str,
        table: &str,
        column: &str,
        renamed: &BTreeMap<String, String>,
    ) -> Result<()> {
        let exact = exactly(column);
        let cases = renamed
            .iter()
            .map(|(old, new)| format!(" WHEN {} THEN {}", quote::text(old), quote::text(new)));
        let cases: String = cases.collect();
        let old = renamed.keys().map(|old| quote::text(old)).collect::<Vec<_>>().join(", ");
        let mut settings = vec![format!("{} = CASE {exact}{cases} END", quote::identifier(column))];
        for own in self.columns_that_follow(schema, table).await? {
            let own = quote::identifier(&own);
            settings.push(format!("{own} = {own}"));
        }
        let sql = format!(
            "UPDATE {} SET {} WHERE {exact} IN ({old})",
            quote::identifier(table),
            settings.join(", ")
        );
        let doing = format!("cannot change the roles in {table}.{column}");
        self.execute(&doing, "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES'")
            .await?;
        self.execute(&doing, &sql).await?;
        self.prepare_altering().await
    }

    /// Returns the columns of a table that the server sets by itself when a row is changed.
    async fn columns_that_follow(&mut self, schema: &str, table: &str) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS \
             WHERE {} AND TABLE_NAME = {} AND EXTRA LIKE '%on update%'",
            quote::is_database("TABLE_SCHEMA", schema),
            quote::text(table)
        );
        self.rows("cannot look for columns that follow changes", &sql).await
    }
}

/// Returns the value of a column in SQL, so that it equals itself alone: not the same in other letters,
/// nor with spaces at its end.
fn exactly(column: &str) -> String {
    format!("CONVERT({} USING utf8mb4) COLLATE utf8mb4_nopad_bin", quote::identifier(column))
}
