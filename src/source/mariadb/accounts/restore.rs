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
use crate::source::mariadb::accounts::additions::Addition;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::accounts::plan::Step;
use crate::source::mariadb::accounts::properties::Properties;
use crate::source::mariadb::accounts::read;
use crate::source::mariadb::accounts::statements;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::quote;

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
            for statement in undoing(&step) {
                let doing = "cannot take back a change of the accounts";
                if let Err(error) = self.connection.execute(doing, &statement).await {
                    monitor.warn(&error.chain());
                }
            }
        }
    }

    async fn take(&mut self, step: Step) -> Result<()> {
        // Remembered first: of two statements the second may fail.
        self.done.push(step.clone());
        match self.connection.take(&step).await {
            Err(error) if is_single(&step) => {
                self.done.pop();
                Err(error)
            }
            taken => taken,
        }
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

/// Returns whether a step is one statement, which is done or not.
fn is_single(step: &Step) -> bool {
    !matches!(step, Step::CreateUser { .. } | Step::Add { .. })
}

/// Returns the statements that undo a step; what belongs to a new account goes with it.
fn undoing(step: &Step) -> Vec<String> {
    match step {
        Step::CreateRole(role) => vec![format!("DROP ROLE IF EXISTS {}", quote::identifier(role))],
        Step::CreateUser { name, .. } => vec![format!("DROP USER IF EXISTS {}", name.quoted())],
        Step::Add { to, addition } => {
            let before = addition.before.as_ref();
            // `ALL` took in what was there before.
            let again = before.map(|before: &Grant| statements::grant(before, to));
            statements::revoke(&addition.grant, to).into_iter().chain(again).collect()
        }
        Step::Join { member, role, is_undone: true, .. } => {
            vec![format!("REVOKE {} FROM {}", quote::identifier(role), member.quoted())]
        }
        Step::Join { .. }
        | Step::Grant { .. }
        | Step::SetDefaultRole { .. }
        | Step::Leave { .. }
        | Step::LeaveAdministration { .. } => Vec::new(),
    }
}

impl Connection {
    /// Makes a grant to somebody who is gone fail: the server's own answer is an account without a
    /// password.
    async fn create_no_account_by_granting(&mut self) -> Result<()> {
        let statement = "SET SESSION sql_mode = 'NO_AUTO_CREATE_USER'";
        self.execute("cannot prepare a session for accounts", statement).await
    }

    async fn take(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::CreateUser { name, properties } => self.create_user(name, properties).await,
            Step::CreateRole(role) => {
                let role = quote::identifier(role);
                self.execute(&format!("cannot create role {role}"), &format!("CREATE ROLE {role}"))
                    .await
            }
            Step::Grant { to, grant } | Step::Add { to, addition: Addition { grant, .. } } => {
                let (scope, statement) =
                    (statements::scope(&grant.scope), statements::grant(grant, to));
                let doing = format!("cannot grant {} rights on {scope}", to.quoted());
                self.execute(&doing, &statement).await
            }
            Step::Join { member, role, is_admin, .. } => {
                let doing = format!("cannot give role {role:?} to {}", member.quoted());
                self.execute(&doing, &statements::join(role, member, *is_admin)).await
            }
            Step::SetDefaultRole { user, role } => {
                let (user, role) = (user.quoted(), quote::identifier(role));
                let doing = format!("cannot set the default role of {user}");
                self.execute(&doing, &format!("SET DEFAULT ROLE {role} FOR {user}")).await
            }
            Step::Leave { role } => self.leave("", role).await,
            Step::LeaveAdministration { role } => self.leave("ADMIN OPTION FOR ", role).await,
        }
    }

    async fn leave(&mut self, what: &str, role: &str) -> Result<()> {
        let role = quote::identifier(role);
        let doing = format!("cannot hand over role {role}");
        self.execute(&doing, &format!("REVOKE {what}{role} FROM CURRENT_USER()")).await
    }

    /// Creates a user. A server may repeat a part of a statement that it does not understand: what
    /// tells a hash is left out of the error.
    async fn create_user(&mut self, name: &Grantee, properties: &Properties) -> Result<()> {
        let name = name.quoted();
        let doing = format!("cannot create account {name}");
        for statement in properties.create(&name)? {
            match self.raw().query_drop(statement).await {
                Err(ClientError::Server(answer)) if properties.is_told_by(&answer.message) => {
                    let text = format!("{doing}: the server answers with error {}", answer.code);
                    return Err(Error::failed(text));
                }
                outcome => outcome.map_err(|cause| self.peer().error(&doing, cause))?,
            }
        }
        Ok(())
    }
}
