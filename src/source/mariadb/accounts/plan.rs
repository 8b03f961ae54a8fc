//! What a restore does with accounts, decided before anything is done.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::source::mariadb::accounts::Accounts;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::accounts::check;
use crate::source::mariadb::accounts::decide::KnownRights;
use crate::source::mariadb::accounts::decide::Live;
use crate::source::mariadb::accounts::decide::decide;
use crate::source::mariadb::accounts::note;
use crate::source::mariadb::accounts::reach;
use crate::source::mariadb::accounts::read;
use crate::source::mariadb::accounts::step::Step;
use crate::source::mariadb::connection::Connection;
use crate::source::mariadb::connection::connect;
use crate::source::mariadb::login::Login;
use crate::source::mariadb::rights::granting::Needs;
use crate::source::mariadb::schema;

/// Everybody can be granted something since this release.
const PUBLIC_SINCE: (u16, u16, u16) = (10, 11, 0);

/// What happens to the accounts of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AccountsPlan {
    /// What happens to each of them.
    pub accounts: Vec<AccountPlan>,
    /// What has to be done before the database is swapped.
    #[serde(skip)]
    pub(super) before: Vec<Step>,
    /// What has to wait for tables and routines.
    #[serde(skip)]
    pub(super) after: Vec<Step>,
    /// The accounts whose passwords begin their days anew.
    #[serde(skip)]
    pub(super) renewed: Vec<String>,
    #[serde(skip)]
    pub(super) database: String,
}

/// What happens to one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountPlan {
    /// The account as SQL names it.
    pub account: String,
    /// What is done.
    pub action: AccountAction,
    /// Why no more is done.
    pub reason: Option<String>,
    /// What is granted to it.
    pub grants: Vec<String>,
    /// What it should have and cannot have here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
    /// The statements for what it had beyond the database: whether it may have that here is for a
    /// person to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
}

/// What a restore does with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountAction {
    /// It is absent.
    Create,
    /// It exists, and gets what it lacks on the database.
    Grant,
    /// It exists, or is none of ours to touch, and stays as it is.
    Keep,
    /// It cannot be restored here.
    Skip,
}

/// Returns what a restore into `database` would do with the accounts of a schema blob; `None` where
/// it holds none. Fails where our own account lacks a right that it takes.
pub async fn plan(login: &Login, schema: &[u8], database: &str) -> Result<Option<AccountsPlan>> {
    let definition = schema::unpack(schema)?;
    let Some(mut saved) = definition.accounts else { return Ok(None) };
    check::check(&saved)?;
    let mut connection = connect(login).await?;
    let rights = connection.read_rights().await?;
    let doing = "restore the accounts of";
    rights.demand(&rights.missing_to_save_accounts(), doing, database)?;
    let live = connection.live_accounts(&saved, &login.user, database).await?;
    let name = &definition.database.name;
    for account in &mut saved.accounts {
        // An archive may say anything.
        account.grants.retain(|grant| reach::concerns(grant, name));
    }
    let plan = decide(&saved, &live, name, database);
    rights.demand(&rights.missing_for(&plan.needs(&live), database), doing, database)?;
    connection.close().await;
    Ok(Some(plan))
}

impl AccountPlan {
    /// Returns the plan for an account that stays as it is.
    pub(super) fn keeping(name: &Grantee, reason: Option<String>) -> Self {
        Self {
            account: name.quoted(),
            action: AccountAction::Keep,
            reason,
            grants: Vec::new(),
            lacks: Vec::new(),
            withheld: Vec::new(),
        }
    }
}

impl AccountsPlan {
    /// Returns what our own account must be able to do.
    fn needs(&self, live: &Live) -> Needs<'_> {
        let mut needs = Needs::default();
        let mut own_roles: BTreeSet<&str> = BTreeSet::new();
        let own = live.there.accounts.iter().find(|account| account.name.is(&live.me));
        let is_admin =
            |role: &str| own.and_then(|own| own.membership(role)).is_some_and(|has| has.is_admin);
        for step in self.before.iter().chain(&self.after) {
            match step {
                Step::CreateRole(role) => {
                    needs.creates = true;
                    own_roles.insert(role);
                }
                Step::CreateUser { .. } => needs.creates = true,
                Step::Grant { grant, .. } => needs.grants.push(grant),
                Step::Add { addition, .. } => needs.grants.push(&addition.grant),
                Step::Join { role, .. } if is_admin(role) => {}
                Step::Join { role, .. } => drop(needs.roles.insert(role)),
                Step::SetDefaultRole { .. } => needs.sets_default_roles = true,
                Step::Leave { .. } | Step::LeaveAdministration { .. } => {}
            }
        }
        needs.roles.retain(|role| !own_roles.contains(role));
        needs
    }

    /// Returns what cannot be restored here, a sentence for each account.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let lacking = self.accounts.iter().filter(|plan| !plan.lacks.is_empty());
        let lacking = lacking.map(|plan| {
            let (account, lacks) = (&plan.account, plan.lacks.join(", "));
            match plan.action {
                AccountAction::Skip => format!("account {account} is not restored: {lacks}"),
                _ => format!("account {account} is not restored in full: {lacks}"),
            }
        });
        let withheld = self.accounts.iter().filter(|plan| !plan.withheld.is_empty());
        lacking.chain(withheld.map(|plan| {
            let (account, withheld) = (&plan.account, plan.withheld.join("; "));
            format!(
                "account {account} is restored without what goes beyond the database; if it may \
                 have that here, run: {withheld};"
            )
        }))
    }

    /// Returns the accounts that stay what they are, a sentence for each reason.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let mut kept: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for plan in &self.accounts {
            if let Some(reason) = &plan.reason {
                kept.entry(reason).or_default().push(&plan.account);
            }
        }
        let sentence = |(reason, accounts): (&str, Vec<&str>)| match accounts.as_slice() {
            [account] => format!("account {account} stays as it is: it {reason}"),
            several => {
                format!("accounts {} stay as they are: each {reason}", several.join(", "))
            }
        };
        let renewed = (!self.renewed.is_empty()).then(|| {
            let accounts = self.renewed.join(", ");
            format!("the days after which a password expires begin anew: {accounts}")
        });
        kept.into_iter().map(sentence).chain(renewed).collect::<Vec<_>>().into_iter()
    }
}

impl Connection {
    /// Returns what decides over accounts on this server.
    async fn live_accounts(
        &mut self,
        saved: &Accounts,
        login_user: &str,
        database: &str,
    ) -> Result<Live> {
        let me = Grantee::parse(self.account()).ok_or_else(|| {
            Error::failed(format!("cannot understand the account's name {}", self.account()))
        })?;
        let mut names: Vec<_> = saved.accounts.iter().map(|it| it.name.clone()).collect();
        names.push(me.clone());
        let mut there = read::named(self, &names, database).await?;
        there.forget(&note::doomed(self, database).await?);
        let plugins = "SELECT PLUGIN_NAME FROM information_schema.PLUGINS \
                       WHERE PLUGIN_TYPE = 'AUTHENTICATION' AND PLUGIN_STATUS = 'ACTIVE'";
        let plugins: Vec<(String,)> =
            self.rows("cannot read the server's plugins", plugins).await?;
        let (now, default_lifetime_days) = self.password_clock().await?;
        Ok(Live {
            me,
            there,
            plugins: plugins.into_iter().map(|(name,)| name).collect(),
            rights: self.known_rights().await?,
            has_public: self.raw().server_version() >= PUBLIC_SINCE,
            login_user: login_user.to_owned(),
            now,
            default_lifetime_days,
        })
    }

    /// Returns the words that are rights here.
    pub(super) async fn known_rights(&mut self) -> Result<KnownRights> {
        let rights: Vec<(String, String, String)> =
            self.rows("cannot read the server's rights", "SHOW PRIVILEGES").await?;
        let names = rights.into_iter().map(|(name, _, _)| name.to_ascii_uppercase());
        Ok(KnownRights(names.collect()))
    }

    /// Returns the server's time in seconds since 1970, and the days that a password is good for.
    async fn password_clock(&mut self) -> Result<(i64, u32)> {
        let sql = "SELECT UNIX_TIMESTAMP(), @@GLOBAL.default_password_lifetime";
        let row = self.first("cannot read the age of passwords", sql).await?;
        Ok(row.expect("this SELECT has one row"))
    }
}
