//! The ranges in which a table is read: those of a snapshot's chunks, grouped into jobs or joined into
//! parts.

use std::collections::HashMap;

use serde_json::Value;

use crate::base::error::Result;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::key::Boundary;
use crate::source::mariadb::key::KeyColumn;
use crate::source::mariadb::quote;
use crate::source::mariadb::versioning;

/// The raw bytes that one job reads at least, where the table has as many: enough to keep a
/// connection busy, little enough to share a large table among connections.
const JOB_BYTES: u64 = 64 << 20;

/// A chunk of a snapshot, as far as it tells in which ranges to read a table: for the next snapshot, or
/// to read back what was restored.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownChunk {
    /// Where it begins.
    pub from: Value,
    /// Its size in raw bytes.
    pub raw_bytes: u64,
    /// What it holds, where that is still there.
    pub content: Option<KnownContent>,
}

/// What a chunk of an earlier snapshot holds.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownContent {
    /// The digest of its raw bytes.
    pub raw_digest: String,
    /// The number of its rows.
    pub rows: u64,
    /// What was noted of it.
    pub noted: Value,
}

/// The chunks that the last snapshot cut a table into.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KnownTable {
    /// What the boundaries were values of.
    pub key: Value,
    /// The chunks in order.
    pub chunks: Vec<KnownChunk>,
}

/// The tables of the last snapshot by name.
pub type KnownChunks = HashMap<String, KnownTable>;

/// A contiguous part of a table's primary key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    /// The stored form of `start`: `Null` for the first range.
    pub(super) from: Value,
    start: Option<Boundary>,
    end: Option<Boundary>,
    /// What the range held in the last snapshot, in raw bytes.
    pub(super) previous_bytes: Option<u64>,
    /// What it held, where that is still there.
    pub(super) known: Option<KnownContent>,
}

impl Range {
    /// Returns all of a table.
    pub(super) const fn whole(previous_bytes: Option<u64>) -> Self {
        Self { from: Value::Null, start: None, end: None, previous_bytes, known: None }
    }

    const fn is_bounded(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }
}

/// What one connection reads in one go: consecutive ranges of one table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    /// The position of the table in the definition.
    pub(super) table: usize,
    /// How often the table was begun before.
    pub(super) attempt: u32,
    /// The order of its first chunk among the chunks of the table.
    pub(super) order: u64,
    pub(super) ranges: Vec<Range>,
    /// The size by which jobs are put in order, in bytes.
    pub(super) bytes: u64,
}

impl Job {
    /// Returns the job that reads a table once more, whole.
    pub(super) fn again(position: usize, table: &Table) -> Self {
        let ranges = vec![Range::whole(None)];
        Self { table: position, attempt: 1, order: 0, ranges, bytes: table.estimated_bytes }
    }

    /// Returns whether other queries read other parts of the table.
    pub(super) fn is_part(&self) -> bool {
        self.ranges.iter().any(Range::is_bounded)
    }
}

/// Returns the jobs of all `tables`, largest first, so that no connection is left with a large
/// one at the end.
pub(super) fn jobs<'a>(
    tables: impl Iterator<Item = (usize, &'a Table)>,
    known: &KnownChunks,
) -> Vec<Job> {
    let mut jobs: Vec<Job> = tables
        .flat_map(|(position, table)| {
            let fits = |known: &&KnownTable| known.key == table.boundary_columns();
            let known = known.get(&table.name).filter(fits);
            let chunks = known.map_or(&[][..], |known| &known.chunks);
            grouped(position, table.estimated_bytes, ranges(table, chunks))
        })
        .collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes));
    jobs
}

/// Returns the ranges of one table: those of the last snapshot as far as their boundaries fit.
fn ranges(table: &Table, known: &[KnownChunk]) -> Vec<Range> {
    let Some(key) = &table.key else { return vec![Range::whole(None)] };
    let Some(first) = known.first() else { return vec![Range::whole(None)] };
    let whole = Range::whole(Some(first.raw_bytes));
    let mut ranges = vec![Range { known: first.content.clone(), ..whole }];
    for chunk in &known[1..] {
        let Some(boundary) = Boundary::parse(&chunk.from, key) else {
            return vec![Range::whole(None)];
        };
        if let Some(last) = ranges.last_mut() {
            last.end = Some(boundary.clone());
        }
        ranges.push(Range {
            from: chunk.from.clone(),
            start: Some(boundary),
            end: None,
            previous_bytes: Some(chunk.raw_bytes),
            known: chunk.content.clone(),
        });
    }
    ranges
}

/// Returns ranges that are all of a table together, to be read beside each other: as many as keep
/// connections busy, which begin where some of these chunks do.
pub(super) fn parts(table: &Table, chunks: &[KnownChunk]) -> Vec<Range> {
    let jobs = grouped(0, table.estimated_bytes, ranges(table, chunks)).into_iter();
    let joined = jobs.filter_map(|mut job| {
        let end = job.ranges.last().and_then(|last| last.end.clone());
        let first = job.ranges.drain(..).next()?;
        Some(Range { end, ..first })
    });
    joined.collect()
}

fn grouped(table: usize, estimated_bytes: u64, ranges: Vec<Range>) -> Vec<Job> {
    /// Leaves room for as many chunks as a range may be cut into.
    const STEP: u64 = 1 << 32;
    let mut jobs: Vec<Job> = Vec::new();
    for (range, number) in ranges.into_iter().zip(0_u64..) {
        let bytes = range.previous_bytes.unwrap_or(estimated_bytes);
        match jobs.last_mut() {
            Some(job) if job.bytes < JOB_BYTES => {
                job.bytes += bytes;
                job.ranges.push(range);
            }
            _ => jobs.push(Job {
                table,
                attempt: 0,
                order: number * STEP,
                ranges: vec![range],
                bytes,
            }),
        }
    }
    jobs
}

/// Returns what is read of a row, the stored columns and then the generated ones; and at which of
/// them the key stands. A key column that is not read as it is comes once more behind them.
fn selected(table: &Table) -> (Vec<String>, Vec<usize>) {
    let columns = table.stored_columns().chain(table.generated_columns());
    let mut columns: Vec<String> = columns.map(versioning::selected).collect();
    let place = |key: &KeyColumn| {
        let name = quote::identifier(&key.name);
        columns.iter().position(|column| *column == name).unwrap_or_else(|| {
            columns.push(name);
            columns.len() - 1
        })
    };
    let places = table.key.iter().flatten().map(place).collect();
    (columns, places)
}

/// Returns at which columns of a [`select`] the key stands.
pub(super) fn key_places(table: &Table) -> Vec<usize> {
    selected(table).1
}

/// Returns the query for a range.
pub(super) fn select(database: &str, table: &Table, range: &Range) -> Result<String> {
    let (columns, _) = selected(table);
    let name = quote::qualified(database, &table.name);
    let times = versioning::of_all_times(table);
    let mut sql = format!("SELECT {} FROM {name}{times}", columns.join(", "));
    // Without transactions, all rows are read faster as they lie, and sorted.
    if (table.is_transactional || range.is_bounded()) && !table.primary.is_empty() {
        sql.push_str(" FORCE INDEX (PRIMARY)");
    }
    let key = table.key.as_deref().unwrap_or_default();
    let start = range.start.as_ref().map(|boundary| boundary.at_or_after(key)).transpose()?;
    let end = range.end.as_ref().map(|boundary| boundary.before(key)).transpose()?;
    let conditions: Vec<_> = start.into_iter().chain(end).collect();
    if !conditions.is_empty() {
        sql = format!("{sql} WHERE {}", conditions.join(" AND "));
    }
    if !table.primary.is_empty() {
        let order: Vec<_> = table.primary.iter().map(|name| quote::identifier(name)).collect();
        sql = format!("{sql} ORDER BY {}", order.join(", "));
    }
    Ok(sql)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mariadb::definition::Column;
    use crate::source::mariadb::definition::Lifetime;
    use crate::source::mariadb::key::Order;
    use serde_json::json;

    fn table() -> Table {
        let column = |name: &str, is_generated| Column {
            name: name.to_owned(),
            data_type: "int".to_owned(),
            is_generated,
            lifetime: None,
        };
        Table {
            name: "t".to_owned(),
            create: String::new(),
            columns: vec![column("id", false), column("g", true), column("v", false)],
            primary: vec!["id".to_owned()],
            key: Some(vec![KeyColumn { name: "id".to_owned(), order: Order::Number }]),
            is_transactional: true,
            estimated_bytes: 5,
            is_analyzed: false,
            defined: None,
        }
    }

    fn known(from: Value, raw_bytes: u64) -> KnownChunk {
        KnownChunk { from, raw_bytes, content: None }
    }

    #[test]
    fn the_ranges_of_the_last_snapshot_cover_every_key() {
        let table = table();
        let known = [known(json!(["7"]), 1), known(json!(["10"]), 2), known(json!(["20"]), 3)];
        let ranges = ranges(&table, &known);
        let sql: Vec<_> = ranges.iter().map(|range| select("d", &table, range).unwrap()).collect();
        let select = "SELECT `id`, `v`, `g` FROM `d`.`t` FORCE INDEX (PRIMARY)";
        assert_eq!(sql[0], format!("{select} WHERE `id` < 10 ORDER BY `id`"));
        assert_eq!(sql[1], format!("{select} WHERE `id` >= 10 AND `id` < 20 ORDER BY `id`"));
        assert_eq!(sql[2], format!("{select} WHERE `id` >= 20 ORDER BY `id`"));
    }

    #[test]
    fn the_parts_of_a_table_are_all_of_it() {
        let table = table();
        let known = [
            known(Value::Null, JOB_BYTES - 1),
            known(json!(["7"]), 1),
            known(json!(["10"]), JOB_BYTES),
            known(json!(["20"]), 3),
        ];
        let sql = |chunks: &[KnownChunk]| {
            let parts = parts(&table, chunks);
            parts.iter().map(|part| select("d", &table, part).unwrap()).collect::<Vec<_>>()
        };
        let select = "SELECT `id`, `v`, `g` FROM `d`.`t` FORCE INDEX (PRIMARY)";
        let whole = [format!("{select} ORDER BY `id`")];
        assert_eq!(
            sql(&known),
            [
                format!("{select} WHERE `id` < 10 ORDER BY `id`"),
                format!("{select} WHERE `id` >= 10 AND `id` < 20 ORDER BY `id`"),
                format!("{select} WHERE `id` >= 20 ORDER BY `id`"),
            ]
        );
        assert_eq!(sql(&known[..1]), whole);
        assert_eq!(sql(&[]), whole);
    }

    #[test]
    fn a_key_is_read_once_more_only_where_it_is_not_read_as_it_is() {
        let mut table = table();
        assert_eq!(key_places(&table), [0]);
        table.columns.insert(0, Column { name: "e".to_owned(), ..table.columns[2].clone() });
        table.columns[0].lifetime = Some(Lifetime::End);
        let key = ["e", "id"].map(|name| KeyColumn { name: name.to_owned(), order: Order::Number });
        table.key = Some(key.to_vec());
        assert_eq!(key_places(&table), [4, 1]);
        assert_eq!(selected(&table).0[1..], ["`id`", "`v`", "`g`", "`e`"]);
    }

    #[test]
    fn a_table_without_known_or_fitting_chunks_is_read_whole() {
        let table = table();
        assert_eq!(ranges(&table, &[]), [Range::whole(None)]);
        let foreign = [known(Value::Null, 1), known(json!(["x", "y"]), 1)];
        assert_eq!(ranges(&table, &foreign), [Range::whole(None)]);
        let keyless = Table { key: None, ..table };
        assert_eq!(ranges(&keyless, &[known(Value::Null, 1)]), [Range::whole(None)]);
    }

    #[test]
    fn chunks_of_another_key_are_no_ranges() {
        let table = table();
        let chunks = vec![known(Value::Null, 1), known(json!(["7"]), 1)];
        let mut altered = table.clone();
        altered.columns[0].data_type = "bigint".to_owned();
        for (key, is_part) in [
            (table.boundary_columns(), true),
            (altered.boundary_columns(), false),
            (Value::Null, false),
        ] {
            let known = KnownTable { key, chunks: chunks.clone() };
            let known = HashMap::from([("t".to_owned(), known)]);
            let jobs = jobs([(0, &table)].into_iter(), &known);
            assert_eq!(jobs[0].is_part(), is_part);
        }
    }

    #[test]
    fn large_tables_are_shared_and_come_first() {
        let table = table();
        let many = vec![
            known(Value::Null, JOB_BYTES),
            known(json!(["5"]), JOB_BYTES + 1),
            known(json!(["9"]), 1),
        ];
        let known = KnownTable { key: table.boundary_columns(), chunks: many };
        let known = HashMap::from([("t".to_owned(), known)]);
        let jobs = jobs([(0, &table), (1, &table)].into_iter(), &known);
        assert_eq!(jobs.len(), 6);
        assert_eq!(jobs[0].bytes, JOB_BYTES + 1);
        assert!(jobs.is_sorted_by_key(|job| std::cmp::Reverse(job.bytes)));
    }
}
