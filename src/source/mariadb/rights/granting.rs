//! What it takes to save and to restore accounts: whoever grants a right needs it, and the right to
//! pass it on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::source::mariadb::grants;
use crate::source::mariadb::grants::ALL;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::NONE;
use crate::source::mariadb::grants::Scope;
use crate::source::mariadb::quote;
use crate::source::mariadb::rights::Missing;
use crate::source::mariadb::rights::Rights;

/// What a restore of accounts does, as far as it takes rights.
#[derive(Default)]
pub(in crate::source::mariadb) struct Needs<'a> {
    /// Whether users or roles are created.
    pub(in crate::source::mariadb) creates: bool,
    /// Whether users get a default role.
    pub(in crate::source::mariadb) sets_default_roles: bool,
    /// What is granted.
    pub(in crate::source::mariadb) grants: Vec<&'a Grant>,
    /// The roles of others that get members.
    pub(in crate::source::mariadb) roles: BTreeSet<&'a str>,
}

impl Rights {
    /// Returns what the account lacks to read all accounts and their rights.
    pub fn missing_to_save_accounts(&self) -> Vec<Missing> {
        let is_met = self.allows_on("mysql", "SELECT");
        let missing = (!is_met).then(|| Missing {
            grant: self.statement(&BTreeSet::from(["SELECT"]), "`mysql`.*"),
            why: "SELECT to read the accounts".to_owned(),
            optional: false,
        });
        missing.into_iter().collect()
    }

    /// Returns what the account lacks to restore any accounts that have no rights beyond the
    /// database; who restores none needs nothing of it.
    pub fn missing_to_restore_accounts(&self, database: &str) -> Vec<Missing> {
        let all = Grant {
            grantee: String::new(),
            rights: BTreeSet::from([ALL.to_owned()]),
            columns: grants::Columns::new(),
            scope: Scope::Databases(grants::escaped(database)),
            is_grantable: false,
        };
        let needs = Needs {
            creates: true,
            sets_default_roles: true,
            grants: vec![&all],
            roles: BTreeSet::new(),
        };
        let mut missing = self.missing_to_save_accounts();
        missing.extend(self.missing_for(&needs, database));
        missing.into_iter().map(|missing| Missing { optional: true, ..missing }).collect()
    }

    /// Returns what the account lacks for these changes of accounts.
    pub(in crate::source::mariadb) fn missing_for(
        &self,
        needs: &Needs<'_>,
        database: &str,
    ) -> Vec<Missing> {
        let mut missing = Vec::new();
        let mut lacks = |grant: String, why: String| {
            missing.push(Missing { grant, why, optional: false });
        };
        if needs.creates && !self.allows_everywhere("CREATE USER") {
            let grant = self.statement(&BTreeSet::from(["CREATE USER"]), "*.*");
            lacks(grant, "CREATE USER to create accounts".to_owned());
        }
        if needs.sets_default_roles && !self.allows_on("mysql", "UPDATE") {
            let grant = self.statement(&BTreeSet::from(["UPDATE"]), "`mysql`.*");
            lacks(grant, "UPDATE to set default roles".to_owned());
        }
        for role in &needs.roles {
            let role = quote::identifier(role);
            let grant = format!("GRANT {role} TO {} WITH ADMIN OPTION;", self.account);
            lacks(grant, format!("the administration of role {role} to give it members"));
        }
        let mut by_place: BTreeMap<Place<'_>, BTreeSet<&str>> = BTreeMap::new();
        for grant in &needs.grants {
            let rights = grant.rights.iter().chain(grant.columns.keys()).map(String::as_str);
            let rights = rights.filter(|right| *right != NONE);
            by_place.entry(Place::of(grant, database)).or_default().extend(rights);
        }
        for (place, mut rights) in by_place {
            rights.retain(|right| !self.at(place).any(|grant| grant.allows(right)));
            if rights.is_empty() && self.at(place).any(|grant| grant.is_grantable) {
                continue;
            }
            if rights.is_empty() {
                rights.insert(NONE);
            }
            let place = place.to_sql();
            let statement = self.statement(&rights, &place);
            let statement = statement.trim_end_matches(';');
            let rights = rights.into_iter().collect::<Vec<_>>().join(", ");
            let why = format!("{rights} on {place} with the right to grant it");
            lacks(format!("{statement} WITH GRANT OPTION;"), why);
        }
        missing
    }

    /// Returns the own grants that say what may be granted in a place.
    fn at(&self, place: Place<'_>) -> impl Iterator<Item = &Grant> {
        let deciding = match place {
            Place::Inside(database) => grants::deciding(&self.grants, database),
            Place::Server | Place::Pattern(_) => Vec::new(),
        };
        let counts = move |grant: &&Grant| match (&grant.scope, place) {
            (Scope::Server, _) => true,
            (Scope::Databases(own), Place::Pattern(pattern)) => own == pattern || own == "%",
            _ => false,
        };
        self.grants.iter().filter(counts).chain(deciding)
    }
}

/// Where something is granted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Server,
    /// On all databases that a pattern matches: the server takes it only from who has that very
    /// pattern, since another one may match less.
    Pattern(&'a str),
    /// On something in this database.
    Inside(&'a str),
}

impl<'a> Place<'a> {
    fn of(grant: &'a Grant, database: &'a str) -> Self {
        match &grant.scope {
            Scope::Server => Self::Server,
            Scope::Databases(pattern) => Self::Pattern(pattern),
            Scope::Table { .. } | Scope::Routine { .. } => Self::Inside(database),
        }
    }

    fn to_sql(self) -> String {
        match self {
            Self::Server => "*.*".to_owned(),
            Self::Pattern(pattern) => format!("{}.*", quote::identifier(pattern)),
            Self::Inside(name) => format!("{}.*", quote::identifier(&grants::escaped(name))),
        }
    }
}
