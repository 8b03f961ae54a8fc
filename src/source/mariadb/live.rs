//! A live database as far as a restore compares it: its definitions, and what they link.

use std::collections::BTreeMap;

use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::compare::Found;
use crate::source::mariadb::compare::Gone;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::definition::Database;
use crate::source::mariadb::definition::Definition;
use crate::source::mariadb::definition::Program;
use crate::source::mariadb::definition::ProgramKind;
use crate::source::mariadb::definition::Sequence;
use crate::source::mariadb::foreign_keys;
use crate::source::mariadb::links::Links;
use crate::source::mariadb::links::Mention;
use crate::source::mariadb::parameters;
use crate::source::mariadb::parameters::Parameter;
use crate::source::mariadb::programs;
use crate::source::mariadb::shown;
use crate::source::mariadb::tables;
use crate::source::mariadb::tables::Listed;

/// The definitions of a live database.
pub(super) struct Live {
    ignores_case: bool,
    database: Database,
    listed: Vec<Listed>,
    /// The statement of each table that can be read.
    creates: BTreeMap<String, String>,
    sequences: Vec<Sequence>,
    foreign_keys: Vec<(String, String)>,
    programs: Vec<Program>,
    /// Trigger and table.
    triggers: Vec<(String, String)>,
    parameters: Vec<Parameter>,
}

impl Live {
    /// Reads the definitions, or `None` where there is no such database.
    pub(super) async fn read(connection: &mut Connection, name: &str) -> Result<Option<Self>> {
        let Some(database) = tables::database(connection, name).await? else { return Ok(None) };
        connection.select_database(name).await?;
        let listed = tables::listed(connection, name).await?;
        let mut creates = BTreeMap::new();
        for table in listed.iter().filter(|table| table.is_stored() && !table.is_sequence()) {
            match shown::show_create_table(connection, name, table.name()).await {
                Ok(create) => drop(creates.insert(table.name().to_owned(), create)),
                Err(error) if error.kind() == Kind::Unreachable => return Err(error),
                // What is broken, or read by nobody, is replaced.
                Err(_) => {}
            }
        }
        Ok(Some(Self {
            ignores_case: connection.read_facts().await?.lower_case_table_names > 0,
            database,
            creates,
            sequences: tables::sequences(connection, name, &listed).await?,
            foreign_keys: foreign_keys::within(connection, name).await?,
            programs: programs::programs(connection, name).await?,
            triggers: programs::triggers(connection, name).await?,
            parameters: parameters::parameters(connection, name).await?,
            listed,
        }))
    }

    /// Returns what is live under the name of a table that is to read like this.
    pub(super) fn find_table(&self, name: &str, create: &str) -> Found {
        if !self.has(name) {
            return Found::Absent;
        }
        match self.creates.get(name) {
            Some(live) if live == create => Found::Identical,
            Some(_) => Found::Differs("its definition differs".to_owned()),
            None => Found::Differs("it is no such table".to_owned()),
        }
    }

    /// Returns what is live under the name of a sequence.
    pub(super) fn find_sequence(&self, wanted: &Sequence) -> Found {
        match self.sequences.iter().find(|sequence| sequence.name == wanted.name) {
            Some(live) if live == wanted => Found::Identical,
            Some(live) if live.create == wanted.create => {
                Found::Differs(format!("it goes on at {}", live.next))
            }
            Some(_) => Found::Differs("its definition differs".to_owned()),
            None if self.has(&wanted.name) => Found::Differs("it is no sequence".to_owned()),
            None => Found::Absent,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.listed.iter().any(|listed| listed.is_stored() && listed.name() == name)
    }

    /// Returns what the live definitions link.
    pub(super) fn links(&self) -> Links {
        let mut links = Links::new(self.ignores_case);
        for (table, parent) in &self.foreign_keys {
            links.add_foreign_key(table, parent);
        }
        let table_of = |program: &Program| {
            let trigger = self.triggers.iter().find(|(trigger, _)| *trigger == program.name);
            let is_trigger = program.kind == ProgramKind::Trigger;
            trigger.filter(|_| is_trigger).map(|(_, table)| table.clone())
        };
        let mentions: Vec<Mention> = self
            .programs
            .iter()
            .map(|program| Mention {
                name: program.name.clone(),
                table: table_of(program),
                text: program.create.lossy(),
            })
            .collect();
        let stored = self.listed.iter().filter(|listed| listed.is_stored());
        let tables: Vec<&str> = stored.map(Listed::name).collect();
        links.add_triggers(&mentions, &tables);
        links
    }

    /// Returns what the snapshot does not have.
    pub(super) fn gone(&self, definition: &Definition) -> Vec<Gone> {
        let stored = self.listed.iter().filter(|listed| listed.is_stored());
        let is_saved = |listed: &&Listed| {
            definition.tables.iter().any(|table| table.name == listed.name())
                || definition.sequences.iter().any(|sequence| sequence.name == listed.name())
        };
        let tables = stored.filter(|listed| !is_saved(listed)).map(|listed| Gone {
            kind: if listed.is_sequence() { "sequence" } else { "table" },
            name: listed.name().to_owned(),
            bytes: listed.bytes(),
        });
        let is_replaced = |program: &&Program| {
            let same = |saved: &Program| saved.kind == program.kind && saved.name == program.name;
            definition.programs.iter().any(same)
        };
        let programs = self.programs.iter().filter(|program| !is_replaced(program));
        let programs = programs.map(|program| Gone {
            kind: program.kind.noun(),
            name: program.name.clone(),
            bytes: 0,
        });
        tables.chain(programs).collect()
    }

    /// Returns whether all that is neither table nor sequence is as it was saved.
    pub(super) fn has_programs_of(&self, definition: &Definition) -> bool {
        let own = Database { name: self.database.name.clone(), ..definition.database.clone() };
        self.database == own
            && self.programs == definition.programs
            && self.parameters == definition.parameters
    }
}
