//! The rows of a table as they come from the server, those together that arrived together.

use mysql_async::BinaryProtocol;
use mysql_async::Column;
use mysql_async::QueryResult;
use mysql_async::Value;
use mysql_async::prelude::Queryable;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::Link;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::failure::Peer;
use crate::source::mariadb::field;
use crate::source::mariadb::field::Field;
use crate::source::mariadb::field::Sent;
use crate::source::mariadb::imprint::ColumnsHash;
use crate::source::mariadb::key::Boundary;
use crate::source::mariadb::moment;
use crate::source::mariadb::quote;
use crate::source::mariadb::range;
use crate::source::mariadb::range::Range;
use crate::source::mariadb::tsv;
use crate::source::mariadb::tsv::Format;
use crate::source::mariadb::versioning;
use crate::source::mariadb::wire::Wire;
use crate::source::mariadb::wire::packets::Batch;
use crate::source::mariadb::wire::packets::Frames;

/// How the columns of a result are sent and written.
pub(super) struct Shape {
    pub(super) sent: Vec<Sent>,
    pub(super) formats: Vec<Format>,
    pub(super) columns: ColumnsHash,
}

impl Shape {
    /// Returns it for a result of these columns.
    pub(super) fn of(columns: &[Column]) -> Self {
        Self {
            sent: columns.iter().map(Sent::of).collect(),
            formats: tsv::formats(columns),
            columns: ColumnsHash::of(columns),
        }
    }
}

/// A row as it came.
pub(super) struct Row<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) shape: &'a Shape,
}

/// Its fields: values that the client made, or its packet, where they are read in place.
pub(super) enum Fields<'a> {
    Values(Vec<Value>),
    Packet(&'a [u8]),
}

impl Row<'_> {
    /// Returns one field of a row that has been read once; NULL where there is none.
    pub(super) fn field(&self, place: usize) -> Field<'_> {
        let field = match &self.fields {
            Fields::Values(values) => values.get(place).map(Field::from),
            Fields::Packet(packet) => field::fields(packet, &self.shape.sent).nth(place).flatten(),
        };
        field.unwrap_or(Field::Null)
    }

    /// Returns the length of its packet; 0 where that was not seen.
    pub(super) const fn packet_bytes(&self) -> usize {
        match &self.fields {
            Fields::Packet(packet) => packet.len(),
            Fields::Values(_) => 0,
        }
    }

    /// Returns the values at the places of the key.
    pub(super) fn key(&self, places: &[usize]) -> serde_json::Value {
        Boundary::of_fields(places.iter().map(|place| self.field(*place)))
    }
}

/// Rows that arrived together.
pub(super) struct Arrived<'a> {
    form: Form<'a>,
    shape: &'a Shape,
}

enum Form<'a> {
    Values(Vec<Value>),
    Packets(Batch<'a>),
}

impl<'a> Arrived<'a> {
    /// Returns rows of a shape whose packets were kept.
    pub(super) const fn kept(frames: Frames<'a>, shape: &'a Shape) -> Self {
        Self { form: Form::Packets(Batch::Frames(frames)), shape }
    }

    /// Returns their shape.
    pub(super) const fn shape(&self) -> &'a Shape {
        self.shape
    }

    /// Returns their packets; `None` where these were not seen, or not together.
    pub(super) fn frames(&self) -> Option<Frames<'a>> {
        match &self.form {
            Form::Packets(Batch::Frames(frames)) => Some(frames.clone()),
            _ => None,
        }
    }

    /// Returns them one after another.
    pub(super) fn rows(self) -> impl Iterator<Item = Row<'a>> {
        let (values, one, frames) = match self.form {
            Form::Values(values) => (Some(values), None, Frames::default()),
            Form::Packets(Batch::One(packet)) => (None, Some(packet), Frames::default()),
            Form::Packets(Batch::Frames(frames)) => (None, None, frames),
        };
        let packets = one.into_iter().chain(frames).map(Fields::Packet);
        let fields = values.into_iter().map(Fields::Values).chain(packets);
        fields.map(move |fields| Row { fields, shape: self.shape })
    }
}

/// The rows of a range, by the binary protocol.
pub(super) struct Rows<'a> {
    result: Answer<'a>,
    shape: Shape,
    table: &'a str,
    peer: Peer,
}

/// Who reads the rows.
enum Answer<'a> {
    Client(QueryResult<'a, 'static, BinaryProtocol>),
    Wire(&'a mut Wire),
}

impl<'a> Rows<'a> {
    /// Returns the rows of a range. A wire is asked for those of the `next` one too, which the server goes
    /// on with at once.
    pub(super) async fn open(
        connection: &'a mut Connection,
        database: &str,
        table: &'a Table,
        range: &Range,
        next: Option<&Range>,
    ) -> Result<Self> {
        let sql = range::select(database, table, range)?;
        let peer = connection.peer();
        let opened = match connection.link() {
            Link::Client(client) => client
                .exec_iter(sql, ())
                .await
                .map(|result| (Shape::of(result.columns_ref()), Answer::Client(result))),
            Link::Wire(wire) => {
                // What is wrong with the next one is told when its turn comes.
                let next = next.and_then(|next| range::select(database, table, next).ok());
                wire.query_before(&sql, next.as_deref())
                    .await
                    .map(|columns| (Shape::of(&columns), Answer::Wire(wire)))
            }
        };
        let (shape, result) = opened.map_err(|cause| read_error(&peer, &table.name, cause))?;
        Ok(Self { result, shape, table: &table.name, peer })
    }

    /// Returns the shape of all of them.
    pub(super) const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the rows that have arrived, one at least; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Arrived<'_>>> {
        let next = match &mut self.result {
            Answer::Client(result) => {
                result.next().await.map(|row| row.map(|row| Form::Values(row.unwrap())))
            }
            Answer::Wire(wire) => wire.next_rows().await.map(|it| it.map(Form::Packets)),
        };
        let form = next.map_err(|cause| read_error(&self.peer, self.table, cause))?;
        Ok(form.map(|form| Arrived { form, shape: &self.shape }))
    }
}

/// The server's answers when a table is not what it was when its definition was read: altered,
/// truncated or replaced under the snapshot, gone, or without a column or its key.
const DEFINITION_CHANGED: &[u16] = &[1412, 1146, 1054, 1176];

fn read_error(peer: &Peer, table: &str, cause: mysql_async::Error) -> Error {
    match &cause {
        mysql_async::Error::Server(answer) if DEFINITION_CHANGED.contains(&answer.code) => {
            moment::inconsistent(table)
        }
        _ => moment::given_way(peer.error(&format!("cannot read table {table:?}"), cause)),
    }
}

impl Connection {
    /// Returns the number of rows of a table in this connection's snapshot, with its history.
    pub(super) async fn count_rows(&mut self, database: &str, table: &Table) -> Result<u64> {
        self.count(database, table, versioning::of_all_times(table)).await
    }

    /// Returns the number of rows that a plain query finds in a table.
    pub(super) async fn count_current(&mut self, database: &str, table: &Table) -> Result<u64> {
        self.count(database, table, "").await
    }

    async fn count(&mut self, database: &str, table: &Table, times: &str) -> Result<u64> {
        let name = quote::qualified(database, &table.name);
        let sql = format!("SELECT COUNT(*) FROM {name}{times}");
        let doing = format!("cannot count the rows of table {:?}", table.name);
        let counted: Option<u64> = self.first(&doing, &sql).await.map_err(moment::given_way)?;
        counted.ok_or_else(|| Error::failed(doing))
    }
}
