//! What it takes to save and to restore accounts: whoever grants a right needs it, and the right to
//! pass it on.

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
        let (server, own): (Vec<&Grant>, Vec<&Grant>) =
            needs.grants.iter().partition(|grant| grant.scope == Scope::Server);
        for (grants, scope) in [(server, None), (own, Some(database))] {
            let lacking: BTreeSet<&str> = grants
                .iter()
                .flat_map(|grant| grant.rights.iter().chain(grant.columns.keys()))
                .map(String::as_str)
                .filter(|right| *right != NONE && !self.has(right, scope))
                .collect();
            if grants.is_empty() || (lacking.is_empty() && self.may_grant(scope)) {
                continue;
            }
            let pattern = match scope {
                None => "*.*".to_owned(),
                Some(database) => format!("{}.*", quote::identifier(&grants::escaped(database))),
            };
            let lacking = if lacking.is_empty() { BTreeSet::from([NONE]) } else { lacking };
            let statement = self.statement(&lacking, &pattern);
            let statement = statement.replace(';', " WITH GRANT OPTION;");
            let rights = lacking.into_iter().collect::<Vec<_>>().join(", ");
            lacks(statement, format!("{rights} on {pattern} with the right to grant it"));
        }
        missing
    }

    /// Returns whether the account has a right on a database, or on the server without one.
    fn has(&self, right: &str, database: Option<&str>) -> bool {
        match database {
            Some(database) => self.allows_on(database, right),
            None => self.allows_everywhere(right),
        }
    }

    /// Returns whether the account may grant what it has on a database, or on the server.
    fn may_grant(&self, database: Option<&str>) -> bool {
        let on_server = self.grants.iter().filter(|grant| grant.scope == Scope::Server);
        let on_database = database.map(|database| grants::deciding(&self.grants, database));
        let mut those = on_server.chain(on_database.into_iter().flatten());
        those.any(|grant| grant.is_grantable)
    }
}
