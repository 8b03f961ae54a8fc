//! Changes a server's accounts as planned, proves them, and takes every change back on failure.
//!
//! Accounts come before the swap, so that programs find their definers; what is granted on tables
//! and routines comes after it. Account statements know no transactions: each is remembered, and
//! undone in reverse; and noted on the server before (`note`), for whoever comes after a restore
//! that was killed.

use mysql_async::Error as ClientError;
use mysql_async::prelude::Queryable as _;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::source::mariadb::accounts::Account;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::accounts::note::Note;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::accounts::read;
use crate::source::mariadb::accounts::read::There;
use crate::source::mariadb::accounts::step::Step;
use crate::source::mariadb::accounts::step::Undoing;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Login;

/// Accounts on their way to what they were.
pub struct RestoredAccounts {
    login: Login,
    connection: Connection,
    note: Note,
    plan: AccountsPlan,
    /// What was done, in order.
    done: Vec<Step>,
}

impl RestoredAccounts {
    /// Creates the accounts, with all they have apart from grants on tables and routines. Fails with
    /// everything as it was.
    ///
    /// `suffix` tells what belongs to this restore from others.
    pub async fn create(
        login: &Login,
        plan: AccountsPlan,
        suffix: &str,
        monitor: &dyn Monitor,
    ) -> Result<Self> {
        let mut connection = connect(login).await?;
        connection.create_no_account_by_granting().await?;
        let note = Note::begin(&mut connection, &plan.database, suffix).await?;
        let login = login.clone();
        let mut accounts = Self { login, connection, note, plan, done: Vec::new() };
        match accounts.take_before().await {
            Ok(()) => Ok(accounts),
            Err(error) => {
                accounts.undo(monitor).await;
                Err(error)
            }
        }
    }

    async fn take_before(&mut self) -> Result<()> {
        for step in self.plan.before.clone() {
            self.take(step).await?;
        }
        self.prove_login().await
    }

    /// Fails where the server takes our login for another account than before: it might do less, or
    /// not let us in.
    async fn prove_login(&self) -> Result<()> {
        let doing = "cannot restore accounts: it would change who we are to the server";
        let fresh = connect(&self.login).await.map_err(|error| error.while_doing(doing))?;
        let (was, is) = (self.connection.account(), fresh.account());
        if was != is {
            return Err(Error::new(Kind::Mismatch, format!("{doing}: {is} and no more {was}")));
        }
        fresh.close().await;
        Ok(())
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

    /// Ends the restore of accounts: from now on nobody takes it back.
    pub async fn finish(mut self) -> Result<()> {
        self.note.forget(&mut self.connection).await
    }

    /// Takes back all that was done. What cannot be taken back is a warning: the rest still can.
    pub async fn undo(mut self, monitor: &dyn Monitor) {
        let doing = "cannot take back a change of the accounts";
        // The connection was idle during the swap: it may be gone.
        if is_lost(&self.connection.execute(doing, "DO 0").await)
            && let Err(error) = self.reconnect().await
        {
            monitor.warn(&error.while_doing(doing).chain());
        }
        while let Some(step) = self.done.pop() {
            for statement in step.undoing().iter().flat_map(Undoing::statements) {
                if let Err(error) = self.connection.execute(doing, &statement).await {
                    monitor.warn(&error.chain());
                }
            }
        }
        if let Err(error) = self.note.forget(&mut self.connection).await {
            monitor.warn(&error.chain());
        }
    }

    async fn reconnect(&mut self) -> Result<()> {
        self.connection = connect(&self.login).await?;
        self.connection.create_no_account_by_granting().await
    }

    /// Takes a step, which counts as done from its first statement on: what the server refused to
    /// create was there before us, and is not ours to drop. Nobody knows of a statement whose
    /// answer was lost: it counts as done.
    async fn take(&mut self, step: Step) -> Result<()> {
        let undoing = step.undoing();
        if let Some(undoing) = &undoing {
            self.note.add(&mut self.connection, undoing).await?;
        }
        for (position, statement) in step.statements()?.into_iter().enumerate() {
            let taken = self.connection.run(&step, statement).await;
            if position == 0 {
                if taken.is_ok() || is_lost(&taken) {
                    self.done.push(step.clone());
                } else if undoing.is_some() {
                    self.note.strike(&mut self.connection).await?;
                }
            }
            taken?;
        }
        Ok(())
    }

    /// Fails where an account is not what was planned.
    async fn prove(&mut self) -> Result<()> {
        let names: Vec<_> = self.done.iter().filter_map(Step::changes).collect();
        let restored = read::named(&mut self.connection, &names, &self.plan.database).await?;
        for name in names {
            let found = restored.accounts.iter().find(|account| account.name.is(&name));
            if !found.is_some_and(|found| self.is_as_planned(found, &restored)) {
                let name = name.quoted();
                return Err(Error::new(
                    Kind::Mismatch,
                    format!("account {name} came out otherwise than it was planned"),
                ));
            }
        }
        Ok(())
    }

    /// Returns whether an account has what it was given and, where it is new, nothing else.
    fn is_as_planned(&self, found: &Account, restored: &There) -> bool {
        let count = |is_one: fn(&Step) -> bool| {
            let theirs = self.done.iter().filter(|step| step.is_for(&found.name));
            theirs.filter(|step| is_one(step)).count()
        };
        let creation = self.done.iter().find(|step| match step {
            Step::CreateUser { name, .. } => found.name.is(name),
            Step::CreateRole(role) => found.name == Grantee::Role(role.clone()),
            _ => false,
        });
        let is_whole = creation.is_none_or(|creation| {
            creation.properties() == found.properties.as_ref()
                && found.grants.len() == count(|step| matches!(step, Step::Grant { .. }))
                && found.roles.len() == count(|step| matches!(step, Step::Join { .. }))
                && usize::from(found.default_role.is_some())
                    == count(|step| matches!(step, Step::SetDefaultRole { .. }))
                && !restored.beyond.contains(&found.name)
        });
        is_whole && self.done.iter().all(|step| has(found, step))
    }
}

fn is_lost(outcome: &Result<()>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == Kind::Unreachable)
}

/// Returns whether an account has what a step gave to it.
fn has(account: &Account, step: &Step) -> bool {
    match step {
        Step::Grant { to, grant } if account.name.is(to) => account.grants.contains(grant),
        Step::Add { to, addition } if account.name.is(to) => {
            account.grants.iter().any(|there| there.covers(&addition.grant))
        }
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
        AccountsPlan {
            accounts: Vec::new(),
            before,
            after: Vec::new(),
            renewed: Vec::new(),
            database: "d".to_owned(),
        }
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
            let error =
                RestoredAccounts::create(&login, plan(steps), "LATE00", &Silent).await.err();
            assert_eq!(error.map(|error| error.kind()), Some(Kind::Failed));
        }
        let mut connection = server().connection().await;
        let sql = "SELECT User FROM mysql.global_priv WHERE User IN \
                   ('early', 'late', 'late_role') ORDER BY User";
        let names: Vec<String> = connection.rows("cannot read", sql).await.unwrap();
        assert_eq!(names, ["late", "late_role"]);
    }

    #[tokio::test]
    async fn an_account_that_our_login_is_taken_for_from_now_on_is_taken_back() {
        server().run("CREATE USER shadowed@'%'; GRANT ALL ON *.* TO shadowed@'%'");
        let login = server().login("shadowed", None);
        let steps = vec![user("`shadowed`@`localhost`")];
        let created = RestoredAccounts::create(&login, plan(steps), "SHADOW", &Silent).await;
        let error = created.err().unwrap();
        assert_eq!(error.kind(), Kind::Mismatch);
        assert!(error.to_string().contains("`shadowed`@`localhost` and no more `shadowed`@`%`"));
        assert_eq!(connect(&login).await.unwrap().account(), "`shadowed`@`%`");
    }
}
