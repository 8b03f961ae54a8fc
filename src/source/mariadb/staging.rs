//! A database under construction, beside the live one and hidden by its name.
//!
//! What is live already as it would be built stays where it is; its tables are built without rows,
//! for the views and programs that stand on them, and dropped with the schema.
//!
//! Tables are created without secondary indexes, filled, indexed, read back and compared with the
//! catalog; foreign keys come when all tables stand, and every program is created once to see that
//! it can be. Nothing live is touched until the swap.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::digest::sha256;
use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::fault;
use crate::base::monitor::Monitor;
use crate::source::mariadb::compare::Comparison;
use crate::source::mariadb::compare::Extent;
use crate::source::mariadb::compare::Hold;
use crate::source::mariadb::compare::Subject;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::connection::connect_for_rows;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Sequence;
use crate::source::mariadb::load::Loader;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::moment::TableLock;
use crate::source::mariadb::names;
use crate::source::mariadb::parameters;
use crate::source::mariadb::plan::Blueprint;
use crate::source::mariadb::plan::Plan;
use crate::source::mariadb::programs;
use crate::source::mariadb::proof::Expected;
use crate::source::mariadb::quote;
use crate::source::mariadb::rehearsal;
use crate::source::mariadb::remark;
use crate::source::mariadb::removal;
use crate::source::mariadb::replay;
use crate::source::mariadb::residue;
use crate::source::mariadb::site::Purpose;
use crate::source::mariadb::site::Site;
use crate::source::mariadb::tables;
use crate::source::mariadb::undo;

/// Seconds that a restore waits for an earlier one whose client is gone.
const CLAIM_SECONDS: u32 = 3;

/// A staging schema and the connection that owns it.
pub struct Staging {
    pub(super) login: Login,
    pub(super) connection: Connection,
    pub(super) plan: Arc<Plan>,
    /// What keeps the tables that stay from being written until the swap.
    pub(super) lock: Option<TableLock>,
}

/// A database that no other restore may touch, before anything is built.
pub struct Claim {
    login: Login,
    connection: Connection,
    plan: Plan,
}

impl Claim {
    /// Claims a database; leftovers of broken restores of it are dropped first.
    ///
    /// Fails with [`Kind::Busy`] where another restore of this database is at work.
    pub async fn take(
        login: &Login,
        blueprint: &Blueprint<'_>,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let mut connection = connect(login).await?;
        connection.prepare_loading().await?;
        connection.claim_restore_of(blueprint.target).await?;
        undo::killed_swaps(&mut connection, blueprint.target, monitor).await?;
        drop_leftovers(&mut connection, blueprint.target, monitor).await?;
        let server = connection.read_facts().await?;
        let plan = Plan::new(blueprint, &server)?;
        Ok(Self { login: login.clone(), connection, plan })
    }

    /// Compares what is live with what would be built, table by table; what is found identical
    /// stays so until the swap.
    pub async fn compare(
        &self,
        expected: &[Expected],
        extent: Extent,
        connections: usize,
        monitor: &dyn Monitor,
    ) -> Result<Comparison> {
        let subject = Subject {
            login: &self.login,
            target: self.plan.target(),
            definition: self.plan.definition(),
            expected,
            changed: self.plan.changed(),
            is_same_server: self.plan.is_same_server(),
            connections,
        };
        subject.compare(extent, Hold::Writes, monitor).await
    }

    /// Creates the staging schema with empty tables for all that does not stay as it was found.
    pub async fn build(self, found: Comparison, monitor: &dyn Monitor) -> Result<Staging> {
        let Self { login, connection, plan } = self;
        let plan = Arc::new(plan.keeping(found.kept));
        let mut staging = Staging { login, connection, plan, lock: found.lock };
        if let Err(error) = staging.create_tables().await {
            staging.discard_noting(monitor).await;
            return Err(error);
        }
        fault::point("staging.created");
        Ok(staging)
    }
}

impl Staging {
    /// Returns the positions of the tables that are to be loaded.
    pub fn positions(&self) -> Vec<usize> {
        self.plan.replaced().map(|(position, _)| position).collect()
    }

    /// Returns whether several loaders may fill the table at a position at once.
    pub fn takes_several_loaders(&self, position: usize) -> bool {
        !self.plan.staged(position).locks_neighbours
    }

    /// Returns a loader on a connection of its own.
    pub async fn loader(&self) -> Result<Loader> {
        let mut connection = connect_for_rows(&self.login).await?;
        connection.prepare_loading().await?;
        connection.receive_text_as_stored().await?;
        connection.select_database(self.plan.schema()).await?;
        Ok(Loader::new(connection, Arc::clone(&self.plan)))
    }

    /// Returns what comes of loading, while the server is made to write its redo log in time.
    pub async fn write_redo_during<T>(&mut self, loading: impl Future<Output = T>) -> T {
        self.connection.write_redo_during(loading).await
    }

    /// Adds the foreign keys, and proves the definitions.
    pub async fn connect_tables(&mut self) -> Result<()> {
        self.connection.prepare_altering().await?;
        let mut loader = self.loader().await?;
        loader.receive_text_as_utf8().await?;
        for (position, table) in self.plan.replaced() {
            self.connection.alter_table(&table.name, &self.plan.staged(position).last).await?;
        }
        for (position, _) in self.plan.replaced() {
            loader.prove_definition(self.plan.schema(), position).await?;
        }
        self.prove_sequences().await
    }

    /// Rehearses every program. A view that was broken when it was saved may be so still: the swap
    /// tells.
    pub async fn rehearse(&mut self, monitor: &dyn Monitor) -> Result<()> {
        let database = self.staging_database();
        let programs = &self.plan.definition().programs;
        let site = Site::new(&database, Purpose::Rehearsal);
        let broken = programs::create(&mut self.connection, &site, programs).await?;
        let likeness = self.plan.likeness();
        rehearsal::prove(&mut self.connection, &site, programs, &broken, likeness).await?;
        self.compare_parameters(monitor).await?;
        removal::drop_all(&mut self.connection, self.plan.schema()).await
    }

    /// Drops the staging schema with all that it holds.
    pub async fn discard(mut self) -> Result<()> {
        self.connection.drop_database(self.plan.schema()).await
    }

    /// Drops the staging schema after something failed: that it cannot be dropped is not why.
    pub async fn discard_noting(self, monitor: &dyn Monitor) {
        if let Err(left) = residue::told(self.discard().await, monitor) {
            monitor.note(&format!("staging is left behind: {}", left.chain()));
        }
    }

    /// Creates the staging schema with its sequences but these, and no tables.
    pub(super) async fn create_schema(&mut self, but: &BTreeSet<String>) -> Result<()> {
        let database = self.staging_database();
        self.connection.create_database(&database).await?;
        self.connection.select_database(&database.name).await?;
        let sequences = self.plan.definition().sequences.iter();
        for sequence in sequences.filter(|sequence| !but.contains(&sequence.name)) {
            self.connection.create_sequence(sequence).await?;
        }
        Ok(())
    }

    /// Creates a table without rows, and without what is built after them.
    pub(super) async fn create_table(&mut self, position: usize) -> Result<()> {
        let doing =
            format!("cannot create table {:?}", self.plan.definition().tables[position].name);
        self.connection.execute(&doing, &self.plan.staged(position).create).await
    }

    /// Builds the indexes of a table that no rows come into.
    pub(super) async fn index_empty(&mut self, position: usize) -> Result<()> {
        let table = &self.plan.definition().tables[position].name;
        for clauses in &self.plan.staged(position).indexes {
            self.connection.alter_table(table, clauses).await?;
        }
        Ok(())
    }

    async fn create_tables(&mut self) -> Result<()> {
        self.create_schema(&BTreeSet::new()).await?;
        let plan = Arc::clone(&self.plan);
        for (position, table) in plan.definition().tables.iter().enumerate() {
            self.create_table(position).await?;
            if plan.kept().contains(&table.name) {
                // A view may name an index.
                self.index_empty(position).await?;
            }
        }
        Ok(())
    }

    /// Compares the collations of routines in a session such as every program has.
    async fn compare_parameters(&self, monitor: &dyn Monitor) -> Result<()> {
        let mut connection = connect(&self.login).await?;
        let created = parameters::parameters(&mut connection, self.plan.schema()).await?;
        connection.close().await;
        parameters::compare(&self.plan.definition().parameters, &created, monitor)
    }

    async fn prove_sequences(&mut self) -> Result<()> {
        let schema = self.plan.schema();
        let listed = tables::listed(&mut self.connection, schema).await?;
        let staged = tables::sequences(&mut self.connection, schema, &listed).await?;
        let saved = &self.plan.definition().sequences;
        let place = |sequence: &Sequence| (sequence.next, sequence.round);
        for (old, new) in saved.iter().zip(&staged) {
            if place(old) != place(new) {
                return Err(Error::new(
                    Kind::Mismatch,
                    format!(
                        "sequence {:?} came out otherwise: it goes on at {}",
                        old.name, new.next
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Returns the attributes of the staging schema: those of the saved database.
    fn staging_database(&self) -> Database {
        Database { name: self.plan.schema().to_owned(), ..self.plan.definition().database.clone() }
    }
}

async fn drop_leftovers(
    connection: &mut Connection,
    target: &str,
    monitor: &dyn Monitor,
) -> Result<()> {
    for schema in connection.databases_like(&names::staging(target, "")).await? {
        match residue::told(connection.drop_database(&schema).await, monitor) {
            Ok(true) => {
                let text = format!("a broken restore left the schema {schema}: it is dropped");
                monitor.note(&text);
            }
            Ok(false) => {}
            // It only takes room, and no name of ours is used twice.
            Err(error) if error.kind() == Kind::Failed => monitor.note(&error.chain()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Connection {
    /// Creates a database with its attributes.
    pub(super) async fn create_database(&mut self, database: &Database) -> Result<()> {
        let name = quote::identifier(&database.name);
        let statement = format!(
            "CREATE DATABASE {name} CHARACTER SET {} COLLATE {} COMMENT {}",
            quote::word(&database.charset)?,
            quote::word(&database.collation)?,
            quote::string(&database.comment)
        );
        self.execute(&format!("cannot create database {name}"), &statement).await
    }

    /// Makes a database the one that unqualified names belong to.
    pub(super) async fn select_database(&mut self, name: &str) -> Result<()> {
        let name = quote::identifier(name);
        self.execute(&format!("cannot select database {name}"), &format!("USE {name}")).await
    }

    /// Returns the databases whose names begin with `start`.
    pub(super) async fn databases_like(&mut self, start: &str) -> Result<Vec<String>> {
        let characters = start.chars().count();
        let is_start = quote::is_database(&format!("LEFT(SCHEMA_NAME, {characters})"), start);
        let sql = format!(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA \
             WHERE {is_start} ORDER BY SCHEMA_NAME"
        );
        self.rows("cannot list the databases", &sql).await
    }

    /// Keeps other restores away from a database until this connection ends. A server takes a
    /// moment to notice that a client is gone.
    pub(super) async fn claim_restore_of(&mut self, database: &str) -> Result<()> {
        let name = quote::text(&sha256(database.as_bytes())[..40]);
        let sql = format!("SELECT GET_LOCK({name}, {CLAIM_SECONDS})");
        let doing = format!("cannot claim database {database:?} for a restore");
        match self.first::<Option<u8>>(&doing, &sql).await? {
            Some(Some(1)) => Ok(()),
            _ => Err(Error::new(Kind::Busy, format!("{doing}: another restore is at work on it"))),
        }
    }

    /// Lets other restores at the databases of this connection.
    pub(super) async fn release_claims(&mut self) -> Result<()> {
        self.execute("cannot release a claim", "DO RELEASE_ALL_LOCKS()").await
    }

    /// Creates a sequence of the selected database that goes on where the saved one was.
    async fn create_sequence(&mut self, sequence: &Sequence) -> Result<()> {
        let doing = format!("cannot create sequence {:?}", sequence.name);
        for statement in replay::sequence_statements(sequence) {
            self.execute(&doing, &statement).await?;
        }
        Ok(())
    }

    /// Alters a table of the selected database by these clauses, all in one statement.
    pub(super) async fn alter_table(&mut self, table: &str, clauses: &[String]) -> Result<()> {
        if clauses.is_empty() {
            return Ok(());
        }
        let statement = format!("ALTER TABLE {} {}", quote::identifier(table), clauses.join(", "));
        self.execute(&format!("cannot alter table {table:?}"), &remark::taken(&statement)).await
    }
}
