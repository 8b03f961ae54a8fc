//! Changes a server's accounts as planned, proves them, and takes every change back on failure.
//!
//! Accounts come before the swap, so that programs find their definers; what is granted on tables
//! and routines comes after it. Account statements know no transactions: each is remembered, and
//! undone in reverse.

use mysql_async::Error as ClientError;
use mysql_async::prelude::Queryable as _;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::accounts::Account;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::accounts::properties::Properties;
use crate::source::mariadb::accounts::read;
use crate::source::mariadb::accounts::step::Step;
use crate::source::mariadb::accounts::step::Undoing;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Login;

/// Accounts on their way to what they were.
pub struct RestoredAccounts {
    connection: Connection,
    plan: AccountsPlan,
    /// What was done, in order.
    done: Vec<Step>,
}

impl RestoredAccounts {
    /// Creates the accounts, with all they have apart from grants on tables and routines. Fails with
    /// everything as it was.
    pub async fn create(login: &Login, plan: AccountsPlan, monitor: &dyn Monitor) -> Result<Self> {
        let mut connection = connect(login).await?;
        connection.create_no_account_by_granting().await?;
        let mut accounts = Self { connection, plan, done: Vec::new() };
        for step in accounts.plan.before.clone() {
            if let Err(error) = accounts.take(step).await {
                accounts.undo(monitor).await;
                return Err(error);
            }
        }
        Ok(accounts)
    }

    /// Grants what is on tables and routines, and proves the new accounts; a failure leaves it to the
    /// caller to [`undo`](Self::undo) all.
    pub async fn complete(&mut self, monitor: &dyn Monitor) -> Result<()> {
        for step in self.plan.after.clone() {
            match self.take(step).await {
                // Such as a column that the view on the new server does not have.
                Err(error) if error.kind() == Kind::Failed => monitor.warn(&error.chain()),
                taken => taken?,
            }
        }
        self.prove().await?;
        for warning in self.plan.warnings() {
            monitor.warn(&warning);
        }
        for note in self.plan.notes() {
            monitor.note(&note);
        }
        Ok(())
    }

    /// Takes back all that was done. What cannot be taken back is a warning: the rest still can.
    pub async fn undo(mut self, monitor: &dyn Monitor) {
        while let Some(step) = self.done.pop() {
            for statement in step.undoing().iter().flat_map(Undoing::statements) {
                let doing = "cannot take back a change of the accounts";
                if let Err(error) = self.connection.execute(doing, &statement).await {
                    monitor.warn(&error.chain());
                }
            }
        }
    }

    /// Takes a step, which counts as done from its first statement on: what the server refused to
    /// create was there before us, and is not ours to drop. Nobody knows of a statement whose
    /// answer was lost: it counts as done.
    async fn take(&mut self, step: Step) -> Result<()> {
        for (position, statement) in step.statements()?.into_iter().enumerate() {
            let taken = self.connection.run(&step, statement).await;
            let is_done =
                taken.as_ref().map_or_else(|error| error.kind() == Kind::Unreachable, |()| true);
            if position == 0 && is_done {
                self.done.push(step.clone());
            }
            taken?;
        }
        Ok(())
    }

    /// Fails where a new account does not read as it was saved.
    async fn prove(&mut self) -> Result<()> {
        let mut expected: Vec<(Grantee, Option<&Properties>)> = Vec::new();
        for step in &self.done {
            match step {
                Step::CreateUser { name, properties } => {
                    expected.push((name.clone(), Some(properties)));
                }
                Step::CreateRole(role) => expected.push((Grantee::Role(role.clone()), None)),
                _ => {}
            }
        }
        let names: Vec<_> = expected.iter().map(|(name, _)| name.clone()).collect();
        let database = &self.plan.database;
        let restored = read::named(&mut self.connection, &names, database).await?;
        for (name, properties) in expected {
            let found = restored.accounts.iter().find(|account| account.name.is(&name));
            let is_right = found.is_some_and(|found| {
                found.properties.as_ref() == properties
                    && self.done.iter().all(|step| has(found, step))
            });
            if !is_right {
                let name = name.quoted();
                return Err(Error::new(
                    Kind::Mismatch,
                    format!("account {name} came out otherwise than it was saved"),
                ));
            }
        }
        Ok(())
    }
}

/// Returns whether an account has what a step gave to it.
fn has(account: &Account, step: &Step) -> bool {
    match step {
        Step::Grant { to, grant } if account.name.is(to) => account.grants.contains(grant),
        Step::Join { member, role, is_admin, .. } if account.name.is(member) => {
            account.membership(role).is_some_and(|has| has.is_admin == *is_admin)
        }
        Step::SetDefaultRole { user, role } if account.name.is(user) => {
            account.default_role.as_ref() == Some(role)
        }
        _ => true,
    }
}

impl Connection {
    /// Makes a grant to somebody who is gone fail: the server's own answer is an account without a
    /// password.
    async fn create_no_account_by_granting(&mut self) -> Result<()> {
        let statement = "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER'";
        self.execute("cannot prepare a session for accounts", statement).await
    }

    /// Runs a statement of a step. A server may repeat a part of a statement that it does not
    /// understand: what tells a hash is left out of the error.
    async fn run(&mut self, step: &Step, statement: String) -> Result<()> {
        match self.raw().query_drop(statement).await {
            Err(ClientError::Server(answer)) if step.is_told_by(&answer.message) => {
                let (doing, code) = (step.doing(), answer.code);
                Err(Error::failed(format!("{doing}: the server answers with error {code}")))
            }
            outcome => outcome.map_err(|cause| self.peer().error(&step.doing(), cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::base::monitor::Silent;
    use crate::source::mariadb::throwaway::server;

    use super::*;

    fn user(name: &str) -> Step {
        let properties = r#"{"ways": [{"plugin": "mysql_native_password"}]}"#;
        Step::CreateUser {
            name: Grantee::parse(name).unwrap(),
            properties: serde_json::from_str(properties).unwrap(),
        }
    }

    fn plan(before: Vec<Step>) -> AccountsPlan {
        AccountsPlan { accounts: Vec::new(), before, after: Vec::new(), database: "d".to_owned() }
    }

    #[tokio::test]
    async fn an_account_that_the_server_refused_to_create_is_not_dropped() {
        server().run("CREATE USER late@localhost; CREATE ROLE late_role");
        let login = server().login(server().superuser(), None);
        let late = || user("`late`@`localhost`");
        for steps in [
            vec![user("`early`@`localhost`"), late()],
            vec![late()],
            vec![Step::CreateRole("late_role".to_owned())],
        ] {
            let error = RestoredAccounts::create(&login, plan(steps), &Silent).await.err();
            assert_eq!(error.map(|error| error.kind()), Some(Kind::Failed));
        }
        let mut connection = server().connection().await;
        let sql = "SELECT User FROM mysql.global_priv WHERE User IN \
                   ('early', 'late', 'late_role') ORDER BY User";
        let names: Vec<String> = connection.rows("cannot read", sql).await.unwrap();
        assert_eq!(names, ["late", "late_role"]);
    }
}
