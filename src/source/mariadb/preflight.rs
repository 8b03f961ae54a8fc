//! Whether a server has all that a snapshot's definitions name: asked before anything is written.
//!
//! Each statement is prepared and not run: the server itself tells which type, collation or word
//! it does not know. What a statement refers to is not there yet, so other refusals mean nothing.

use std::collections::HashSet;

use mysql_async::Error as ClientError;
use mysql_async::prelude::Queryable as _;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::names;
use crate::source::mariadb::quote;
use crate::source::mariadb::schema;
use crate::source::mariadb::server::ServerFacts;
use crate::source::mariadb::statement::CreateTable;

/// A word, character set, system variable, collation, function, option or type that the server
/// does not know, or a definition that it does not allow.
const UNKNOWN: &[u16] = &[1064, 1115, 1193, 1253, 1273, 1901, 1911, 4161];

/// The first version that takes the history of a table.
const TAKES_HISTORY: [u32; 3] = [10, 11, 0];

/// Fails with [`Kind::Refused`] where the server lacks what the definitions of a schema blob need.
pub async fn demand_support(login: &Login, schema: &[u8], target: &str) -> Result<()> {
    let definition = schema::unpack(schema)?;
    let mut connection = connect(login).await?;
    connection.prepare_loading().await?;
    let server = connection.read_facts().await?;
    check_case(&definition, &server)?;
    let mut preflight = Preflight { version: server.version, connection };
    preflight.demand_history(&definition).await?;
    preflight.demand_collations(&definition).await?;
    preflight.demand_tables(&definition, &names::staging(target, "")).await?;
    // A database to speak in, where nothing can be created.
    preflight.connection.select_database("information_schema").await?;
    for program in &definition.programs {
        preflight.demand_program(program).await?;
    }
    preflight.connection.close().await;
    Ok(())
}

/// Fails where the server would write the name of a table or view otherwise, or take two for one.
fn check_case(definition: &Definition, server: &ServerFacts) -> Result<()> {
    let views = definition.programs.iter().filter(|program| program.kind == ProgramKind::View);
    let mut names = definition
        .tables
        .iter()
        .map(|table| &table.name)
        .chain(definition.sequences.iter().map(|sequence| &sequence.name))
        .chain(views.map(|view| &view.name));
    match names.find(|name| server.lower_case_table_names == 1 && name.to_lowercase() != **name) {
        Some(name) => Err(Error::new(
            Kind::Refused,
            format!("cannot restore {name:?}: the server writes all names of tables in lower case"),
        )
        .hint("restore onto a server that runs with lower_case_table_names = 0")),
        None => Ok(()),
    }
}

struct Preflight {
    version: String,
    connection: Connection,
}

impl Preflight {
    fn refused(&self, what: &str, reason: &str) -> Error {
        let text = format!("cannot restore {what} on MariaDB {}: {reason}", self.version);
        Error::new(Kind::Refused, text)
            .hint("a server of the snapshot's version or a later one has what is missing")
    }

    async fn demand_history(&mut self, definition: &Definition) -> Result<()> {
        let Some(table) = definition.tables.iter().find(|table| table.is_versioned()) else {
            return Ok(());
        };
        let what = format!("the history of table {:?}", table.name);
        if self.connection.read_facts().await?.release < TAKES_HISTORY {
            return Err(self.refused(&what, "it takes none"));
        }
        if self.connection.forbids_other_times().await? {
            return Err(self
                .refused(&what, "secure_timestamp is on")
                .hint("start the server with secure_timestamp=NO for the restore"));
        }
        Ok(())
    }

    /// Fails where a collation is unknown that a database or a program has by itself.
    async fn demand_collations(&mut self, definition: &Definition) -> Result<()> {
        let database = &definition.database;
        let own = (&database.collation, format!("database {:?}", database.name));
        let of_programs = definition.programs.iter().flat_map(|program| {
            let collations = [Some(&program.collation), program.database_collation.as_ref()];
            collations.into_iter().flatten().map(|collation| (collation, program.title()))
        });
        let mut asked = HashSet::new();
        for (collation, what) in std::iter::once(own).chain(of_programs) {
            if asked.insert(collation) {
                let statement = format!("CREATE DATABASE `x` COLLATE {}", quote::word(collation)?);
                self.demand(&what, statement.into_bytes()).await?;
            }
        }
        Ok(())
    }

    async fn demand_tables(&mut self, definition: &Definition, schema: &str) -> Result<()> {
        let schema = quote::identifier(schema);
        let engines = self.connection.engines().await?;
        let in_schema = |create: &str, words: &str| {
            create.replacen(&format!("{words} `"), &format!("{words} {schema}.`"), 1)
        };
        for sequence in &definition.sequences {
            let what = format!("sequence {:?}", sequence.name);
            let statement = in_schema(&sequence.create, "CREATE SEQUENCE");
            self.demand(&what, statement.into_bytes()).await?;
        }
        for table in &definition.tables {
            let what = format!("table {:?}", table.name);
            if let Some(engine) = CreateTable::parse(&table.create)?.engine()
                && !engines.iter().any(|known| known.eq_ignore_ascii_case(engine))
            {
                return Err(self.refused(&what, &format!("Unknown storage engine '{engine}'")));
            }
            let statement = in_schema(&table.create, "CREATE TABLE");
            self.demand(&what, statement.into_bytes()).await?;
        }
        Ok(())
    }

    async fn demand_program(&mut self, program: &Program) -> Result<()> {
        let what = program.title();
        // Views and triggers name tables, which are not there: the rehearsal asks for them.
        if matches!(program.kind, ProgramKind::View | ProgramKind::Trigger) {
            return Ok(());
        }
        self.connection.speak_as(program).await?;
        let demanded = self.demand(&what, program.create.0.clone()).await;
        self.connection.speak_plainly().await?;
        demanded
    }

    /// Fails where the server does not know a word of a statement.
    async fn demand(&mut self, what: &str, statement: Vec<u8>) -> Result<()> {
        let raw = self.connection.raw();
        match raw.prep(statement).await {
            Ok(prepared) => {
                let closed = raw.close(prepared).await;
                closed.map_err(|cause| self.connection.peer().error("cannot ask the server", cause))
            }
            Err(ClientError::Server(answer)) if UNKNOWN.contains(&answer.code) => {
                Err(self.refused(what, &answer.message))
            }
            Err(ClientError::Server(_)) => Ok(()),
            Err(cause) => Err(self.connection.peer().error("cannot ask the server", cause)),
        }
    }
}

impl Connection {
    /// Returns the engines that tables can have.
    async fn engines(&mut self) -> Result<Vec<String>> {
        let sql =
            "SELECT ENGINE FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT')";
        self.rows("cannot list the engines", sql).await
    }

    /// Returns whether nobody may write another time than that of the server's clock.
    async fn forbids_other_times(&mut self) -> Result<bool> {
        let sql = "SELECT CAST(@@secure_timestamp AS CHAR) IN ('YES', 'REPLICATION')";
        let answer: Option<u8> = self.first("cannot read the server's settings", sql).await?;
        Ok(answer == Some(1))
    }
}
