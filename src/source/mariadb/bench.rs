//! What is measured of this folder without a server: rows become lines, and lines become bulks.
//!
//! For `benches/stages.rs` alone, and hidden from the documentation: what is measured are the steps of
//! a create and of a restore themselves, which stay private.

use mysql_async::Column as ResultColumn;
use mysql_async::consts::ColumnType;
use serde_json::Value;

use crate::source::mariadb::bulk::ChunkLines;
use crate::source::mariadb::bulk::Inserted;
use crate::source::mariadb::bulk::Insertion;
use crate::source::mariadb::cut::KeyCutter;
use crate::source::mariadb::cut::Sizes;
use crate::source::mariadb::definition::Column;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::key::KeyColumn;
use crate::source::mariadb::key::Order;
use crate::source::mariadb::lines::Lines;
use crate::source::mariadb::rows::Fields;
use crate::source::mariadb::rows::Row;
use crate::source::mariadb::rows::Shape;

/// As many decimals as a number has whose point is not fixed.
const NOT_FIXED: u8 = 31;

/// What the server knows the statement of a bulk by.
const STATEMENT: u32 = 1;

/// The packets that a server's socket holds, about.
const ARRIVE_TOGETHER: usize = 1_000;

/// A table that is on no server.
pub struct BenchTable {
    table: Table,
    shape: Shape,
    insertion: Insertion,
}

impl BenchTable {
    /// Returns a table of columns of these types, each with the digits of its seconds; the first one
    /// is the key, a number. The types are those that go in as a bulk.
    pub fn new(columns: &[(&str, u8)]) -> Self {
        let results: Vec<_> = columns.iter().map(|(of, digits)| result(of, *digits)).collect();
        let named = |(position, (data_type, _)): (usize, &(&str, u8))| Column {
            name: format!("c{position}"),
            data_type: (*data_type).to_owned(),
            is_generated: false,
            lifetime: None,
        };
        let columns: Vec<_> = columns.iter().enumerate().map(named).collect();
        let key = columns[0].name.clone();
        let table = Table {
            name: "t".to_owned(),
            create: String::new(),
            columns,
            primary: vec![key.clone()],
            key: Some(vec![KeyColumn { name: key, order: Order::Number }]),
            is_transactional: true,
            is_analyzed: false,
            estimated_bytes: 0,
            defined: None,
        };
        let insertion = Insertion::into(&table).expect("a bulk takes all of its types");
        Self { shape: Shape::of(&results), insertion, table }
    }

    /// Returns the rows of a chunk as the server sends them, each in a packet.
    pub fn packets(&self, chunk: &[u8]) -> Vec<Vec<u8>> {
        let mut bulk = self.insertion.bulk(STATEMENT);
        let mut lines = ChunkLines::new(&self.insertion, chunk, usize::MAX, Inserted::default());
        let packet = |line| {
            bulk.clear();
            lines.add(line, &mut bulk).expect("a line is a row of the table");
            [&[0], lines.image.as_slice()].concat()
        };
        chunk.split_inclusive(|byte| *byte == b'\n').map(packet).collect()
    }

    /// Returns the chunk of rows that came in these packets: what a create does with each row.
    pub fn encode(&self, packets: &[Vec<u8>]) -> Vec<u8> {
        let mut lines = Lines::new(&self.table);
        let mut cutter = KeyCutter::new(Sizes::for_database(0), Value::Null, None);
        for together in packets.chunks(ARRIVE_TOGETHER) {
            for packet in together {
                let row = Row { fields: Fields::Packet(packet), shape: &self.shape };
                let hash = lines.add(&row).expect("a packet is a row of the table");
                let cut = cutter.push(&lines.line, hash);
                assert!(cut.is_none(), "the rows are those of one chunk");
            }
            cutter.saw(Some(&together.concat()));
        }
        let piece = cutter.finish();
        assert!(
            piece.trace.imprint(&self.shape.columns, u64::MAX).is_some(),
            "all packets were seen"
        );
        piece.bytes
    }

    /// Makes the bulks of a chunk, as a restore does before it sends them; returns their bytes.
    pub fn bulks(&self, chunk: &[u8]) -> usize {
        let mut bulk = self.insertion.bulk(STATEMENT);
        let mut lines = ChunkLines::new(&self.insertion, chunk, usize::MAX, Inserted::default());
        let mut bytes = 0;
        loop {
            lines.fill(&mut bulk).expect("a line is a row of the table");
            if bulk.len() == 0 {
                return bytes;
            }
            bytes += bulk.len();
        }
    }
}

/// Returns the column of a result that holds values of a type.
fn result(data_type: &str, second_digits: u8) -> ResultColumn {
    let (column_type, decimals) = match data_type {
        "tinyint" => (ColumnType::MYSQL_TYPE_TINY, 0),
        "int" => (ColumnType::MYSQL_TYPE_LONG, 0),
        "bigint" => (ColumnType::MYSQL_TYPE_LONGLONG, 0),
        "double" => (ColumnType::MYSQL_TYPE_DOUBLE, NOT_FIXED),
        "datetime" => (ColumnType::MYSQL_TYPE_DATETIME, second_digits),
        "timestamp" => (ColumnType::MYSQL_TYPE_TIMESTAMP, second_digits),
        _ => (ColumnType::MYSQL_TYPE_VAR_STRING, 0),
    };
    ResultColumn::new(column_type).with_decimals(decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_rows_and_bulks_and_rows_the_same_lines() {
        let table = BenchTable::new(&[
            ("bigint", 0),
            ("tinyint", 0),
            ("double", 0),
            ("datetime", 3),
            ("varchar", 0),
        ]);
        let chunk = b"1\t-2\t0.25\t2020-04-01 10:20:30.400\ta\\tb\\\\\\0\n2\t\\N\t3\t\\N\t\\N\n";
        let packets = table.packets(chunk);
        assert_eq!(packets.len(), 2);
        assert_eq!(table.encode(&packets).as_slice(), chunk);
        let marks = 10;
        let images: usize = packets.iter().map(|packet| packet.len() - 2).sum();
        assert_eq!(table.bulks(chunk), images + marks);
    }
}
