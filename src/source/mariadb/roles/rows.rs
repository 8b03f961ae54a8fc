//! The rows of the tables that hold roles: ids and names, and links between ids.

use std::collections::BTreeMap;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::source::mariadb::definition::Table;
use crate::source::mariadb::roles::decode::decoded;
use crate::source::mariadb::schema;
use crate::source::mariadb::statement::CreateTable;
use crate::source::mariadb::tsv;

/// As many rows are read at most: they are held in memory.
const MOST_ROWS: usize = 1_000_000;

/// A table whose rows have an id and a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// `roles`
    Roles,
    /// `users`
    Users,
    /// `groups`
    Groups,
    /// `tenants`
    Tenants,
}

/// A table that links the ids of two others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Linking {
    /// `users_roles`
    UsersRoles,
    /// `groups_roles`
    GroupsRoles,
    /// `users_tenants`
    UsersTenants,
    /// `groups_tenants`
    GroupsTenants,
}

/// A row of a table of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The user or the group.
    pub holder: u64,
    /// The role or the tenant.
    pub to: u64,
    /// The role in the tenant, where tenants have roles.
    pub role: Option<u64>,
}

/// What stands in all of them; a table that the database does not have is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleTables {
    /// The names by id.
    pub names: BTreeMap<Named, BTreeMap<u64, String>>,
    /// The links, as often as they stand there.
    pub links: BTreeMap<Linking, Vec<Link>>,
}

impl Named {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Roles, Self::Users, Self::Groups, Self::Tenants];

    /// Returns the name of the table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Tenants => "tenants",
        }
    }

    /// Returns the column of the names.
    pub(super) const fn column(self) -> &'static str {
        match self {
            Self::Users => "username",
            Self::Roles | Self::Groups | Self::Tenants => "name",
        }
    }
}

impl Linking {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::UsersRoles, Self::GroupsRoles, Self::UsersTenants, Self::GroupsTenants];

    /// Those that lead to tenants.
    pub const TO_TENANTS: [Self; 2] = [Self::UsersTenants, Self::GroupsTenants];

    /// Returns the name of the table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::UsersRoles => "users_roles",
            Self::GroupsRoles => "groups_roles",
            Self::UsersTenants => "users_tenants",
            Self::GroupsTenants => "groups_tenants",
        }
    }

    /// Returns the two columns that link.
    pub(super) const fn columns(self) -> [&'static str; 2] {
        match self {
            Self::UsersRoles => ["user_id", "role_id"],
            Self::GroupsRoles => ["group_id", "role_id"],
            Self::UsersTenants => ["user_id", "tenant_id"],
            Self::GroupsTenants => ["group_id", "tenant_id"],
        }
    }

    /// Returns whether it leads to tenants.
    pub(super) fn is_to_tenants(self) -> bool {
        Self::TO_TENANTS.contains(&self)
    }
}

/// Returns the names of all tables that roles are read from.
pub fn tables() -> impl Iterator<Item = &'static str> {
    Named::ALL.map(Named::table).into_iter().chain(Linking::ALL.map(Linking::table))
}

impl RoleTables {
    /// Adds a row of a table of names.
    pub(super) fn add_name(
        &mut self,
        table: Named,
        id: Option<u64>,
        name: Option<String>,
    ) -> Result<()> {
        let refused = |what: &str| refused(&format!("{:?} {what}", table.table()));
        let id = id.ok_or_else(|| refused("has a row without an id"))?;
        // Who has no name cannot log in, and is somebody all the same.
        let name = name.unwrap_or_else(|| format!("(id {id})"));
        let names = self.names.entry(table).or_default();
        if names.insert(id, name).is_some() {
            return Err(refused(&format!("has two rows with the id {id}")));
        }
        self.check_size()
    }

    /// Adds a row of a table of links.
    pub(super) fn add_link(
        &mut self,
        table: Linking,
        ids: [Option<u64>; 2],
        role: Option<u64>,
    ) -> Result<()> {
        let [Some(holder), Some(to)] = ids else {
            return Err(refused(&format!("{:?} has a row that links nothing", table.table())));
        };
        self.links.entry(table).or_default().push(Link { holder, to, role });
        self.check_size()
    }

    /// Puts links in an order in which equal ones are equal.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.links.values_mut().for_each(|links| links.sort_unstable());
        self
    }

    fn check_size(&self) -> Result<()> {
        let names: usize = self.names.values().map(BTreeMap::len).sum();
        let links: usize = self.links.values().map(Vec::len).sum();
        if names + links <= MOST_ROWS {
            return Ok(());
        }
        Err(refused(&format!("there are more than {MOST_ROWS} rows of users, groups and links")))
    }
}

/// Returns the error for rows that cannot be understood.
pub(super) fn refused(what: &str) -> Error {
    Error::new(Kind::Refused, format!("cannot remap roles: {what}")).hint(
        "--to-version with a version below 4.2 restores everything as it was saved, to be put right",
    )
}

/// The tables of a saved database that roles are read from.
pub struct SavedTables {
    tables: Vec<SavedTable>,
}

/// One of them.
struct SavedTable {
    /// Its place among the items of the catalog.
    position: usize,
    rows: Rows,
    /// The places of the two columns among those of a line.
    columns: [usize; 2],
    /// The character set of names.
    charset: Option<String>,
}

#[derive(Clone, Copy)]
enum Rows {
    Names(Named),
    Links(Linking),
}

impl SavedTables {
    /// Returns the tables of a saved database.
    pub fn of(schema: &[u8]) -> Result<Self> {
        let definition = schema::unpack(schema)?;
        let named = Named::ALL.map(|it| (it.table(), Rows::Names(it), ["id", it.column()]));
        let linking = Linking::ALL.map(|it| (it.table(), Rows::Links(it), it.columns()));
        let mut tables = Vec::new();
        for (name, rows, columns) in named.into_iter().chain(linking) {
            let found = definition.tables.iter().position(|table| table.name == name);
            let Some(position) = found else { continue };
            let table = &definition.tables[position];
            let [Some(first), Some(second)] = columns.map(|column| place(table, column)) else {
                continue;
            };
            let charset = charset(table, columns[1])?;
            tables.push(SavedTable { position, rows, columns: [first, second], charset });
        }
        Ok(Self { tables })
    }

    /// Returns the places of the tables among the items of the catalog.
    pub fn positions(&self) -> impl Iterator<Item = usize> {
        self.tables.iter().map(|table| table.position)
    }

    /// Adds the rows of a chunk of the table at `position`.
    pub fn take_chunk(&self, position: usize, chunk: &[u8], into: &mut RoleTables) -> Result<()> {
        let Some(table) = self.tables.iter().find(|it| it.position == position) else {
            return Ok(());
        };
        for line in tsv::lines(chunk) {
            let cells = tsv::cells(line, table.columns)?;
            match table.rows {
                Rows::Names(named) => {
                    let [id, name] = cells;
                    let name = name.map(|name| decoded(&name, table.charset.as_deref()));
                    into.add_name(named, number(id)?, name)?;
                }
                Rows::Links(linking) => {
                    let [holder, to] = cells;
                    into.add_link(linking, [number(holder)?, number(to)?], None)?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the place of a column in the lines of a table.
pub(super) fn place(table: &Table, column: &str) -> Option<usize> {
    table.stored_columns().position(|stored| stored.name == column)
}

/// Returns the character set of a column.
pub(super) fn charset(table: &Table, column: &str) -> Result<Option<String>> {
    Ok(CreateTable::parse(&table.create)?.charset_of(column).map(str::to_owned))
}

fn number(cell: Option<Vec<u8>>) -> Result<Option<u64>> {
    let parse = |cell: Vec<u8>| str::from_utf8(&cell).ok()?.parse().ok();
    match cell {
        None => Ok(None),
        Some(cell) => parse(cell).map(Some).ok_or_else(|| refused("an id is not a number")),
    }
}
