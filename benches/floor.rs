//! The floor of a create: as many connections as `snap` uses drain the same rows, by the binary
//! protocol, and drop them. Nothing that saves a database over connections can be faster.
//!
//! ```text
//! floor SOCKET DATABASE CONNECTIONS
//! ```
//!
//! `benches/peers` runs it. Without these arguments, as `cargo bench` calls it, it says so and ends.

#![expect(clippy::print_stdout, reason = "a program whose answer is printed")]

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::Mutex;

use mysql_async::Conn;
use mysql_async::OptsBuilder;
use mysql_async::prelude::Queryable as _;
use tokio::task::JoinSet;

/// The base tables of a database, the largest first, as `snap` takes them.
const TABLES: &str = "SELECT table_name FROM information_schema.tables \
    WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY data_length DESC";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [socket, database, connections] = arguments.as_slice() else {
        println!("floor: measured by benches/peers; floor SOCKET DATABASE CONNECTIONS");
        return ExitCode::SUCCESS;
    };
    let options = OptsBuilder::default()
        .socket(Some(socket.as_str()))
        .user(Some("root"))
        .db_name(Some(database.as_str()));
    let connections: usize = connections.parse().expect("a number of connections");
    println!("{} rows", drain(options, connections).await.expect("the server answers"));
    ExitCode::SUCCESS
}

/// Reads every row of every table; returns how many there are.
async fn drain(options: OptsBuilder, connections: usize) -> mysql_async::Result<u64> {
    let mut first = Conn::new(options.clone()).await?;
    let tables: VecDeque<String> = first.query(TABLES).await?.into();
    let tables = Arc::new(Mutex::new(tables));
    let mut readers = JoinSet::new();
    for _ in 0..connections {
        let (options, tables) = (options.clone(), Arc::clone(&tables));
        readers.spawn(async move {
            let mut connection = Conn::new(options).await?;
            let mut rows = 0;
            loop {
                let next = tables.lock().expect("no reader panics").pop_front();
                let Some(table) = next else { return Ok::<u64, mysql_async::Error>(rows) };
                let sql = format!("SELECT * FROM `{}`", table.replace('`', "``"));
                let mut result = connection.exec_iter(sql, ()).await?;
                while let Some(row) = result.next().await? {
                    drop(row);
                    rows += 1;
                }
            }
        });
    }
    let mut rows = 0;
    while let Some(reader) = readers.join_next().await {
        rows += reader.expect("no reader panics")?;
    }
    Ok(rows)
}
