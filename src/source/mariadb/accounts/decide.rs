//! Decides what becomes of each saved account, by what is there: pure, so that it can be tested.

use std::collections::BTreeSet;

use crate::source::mariadb::accounts::Account;
use crate::source::mariadb::accounts::Accounts;
use crate::source::mariadb::accounts::Grantee;
use crate::source::mariadb::accounts::Membership;
use crate::source::mariadb::accounts::additions;
use crate::source::mariadb::accounts::additions::Addition;
use crate::source::mariadb::accounts::plan::AccountAction;
use crate::source::mariadb::accounts::plan::AccountPlan;
use crate::source::mariadb::accounts::plan::AccountsPlan;
use crate::source::mariadb::accounts::properties::Properties;
use crate::source::mariadb::accounts::read::There;
use crate::source::mariadb::accounts::statements;
use crate::source::mariadb::accounts::step::Step;
use crate::source::mariadb::grants::ALL;
use crate::source::mariadb::grants::Grant;
use crate::source::mariadb::grants::NONE;
use crate::source::mariadb::grants::Scope;

/// Why an account of the server's own is not touched.
const OF_THE_SERVER: &str = "belongs to the server";

/// What a restore finds on the server.
pub(super) struct Live {
    pub(super) me: Grantee,
    pub(super) there: There,
    pub(super) plugins: BTreeSet<String>,
    /// The rights that this version knows.
    pub(super) rights: BTreeSet<String>,
    pub(super) has_public: bool,
}

/// What becomes of an account.
enum Fate<'a> {
    New,
    There(&'a Account),
    LeftAlone(&'static str),
    Lost(String),
}

/// Returns what is done, by what was saved and what is there.
pub(super) fn decide(saved: &Accounts, live: &Live, from: &str, to: &str) -> AccountsPlan {
    let mut planner = Planner {
        saved,
        live,
        from,
        to,
        reaching: saved.reaching_roles(),
        plan: AccountsPlan {
            accounts: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            database: to.to_owned(),
        },
    };
    // Roles first: users are given them.
    let (roles, others): (Vec<_>, Vec<_>) =
        saved.accounts.iter().partition(|account| account.is_role());
    for account in roles.iter().chain(&others) {
        planner.create(account);
    }
    for account in roles.iter().chain(&others) {
        planner.grant(account);
    }
    for role in roles {
        planner.hand_over(role);
    }
    for account in &saved.of_the_server {
        planner.plan.accounts.push(AccountPlan {
            account: account.name.quoted(),
            action: AccountAction::Keep,
            reason: Some(OF_THE_SERVER.to_owned()),
            grants: Vec::new(),
            lacks: Vec::new(),
        });
    }
    planner.plan
}

struct Planner<'a> {
    saved: &'a Accounts,
    live: &'a Live,
    from: &'a str,
    to: &'a str,
    reaching: BTreeSet<&'a str>,
    plan: AccountsPlan,
}

impl<'a> Planner<'a> {
    /// Returns what becomes of an account.
    fn fate(&self, account: &Account) -> Fate<'a> {
        let name = &account.name;
        if name.is(&self.live.me) {
            return Fate::LeftAlone("is the one in use");
        }
        if name.is_of_the_server() {
            return Fate::LeftAlone(OF_THE_SERVER);
        }
        if *name == Grantee::Public && !self.live.has_public {
            return Fate::Lost("this server cannot grant to everybody".to_owned());
        }
        if self.live.there.ignored.iter().any(|ignored| ignored.is(name)) {
            return Fate::LeftAlone("is ignored by the server (skip-name-resolve)");
        }
        if let Some(there) = self.live.there.accounts.iter().find(|there| there.name.is(name)) {
            return Fate::There(there);
        }
        if matches!(name, Grantee::User { .. }) && account.properties.is_none() {
            return Fate::Lost("the snapshot does not say how it logs in".to_owned());
        }
        let plugins = account.properties.iter().flat_map(Properties::plugins);
        let absent: BTreeSet<_> =
            plugins.filter(|plugin| !self.live.plugins.contains(*plugin)).collect();
        if !absent.is_empty() {
            let absent = absent.into_iter().collect::<Vec<_>>().join(", ");
            return Fate::Lost(format!("the server has no plugin {absent}"));
        }
        Fate::New
    }

    fn fate_of_role(&self, role: &str) -> Fate<'a> {
        let name = Grantee::Role(role.to_owned());
        let saved = self.saved.accounts.iter().find(|account| account.name == name);
        saved.map_or(Fate::Lost(String::new()), |account| self.fate(account))
    }

    fn can_have(&self, role: &str) -> bool {
        matches!(self.fate_of_role(role), Fate::New | Fate::There(_))
    }

    fn create(&mut self, account: &Account) {
        let Fate::New = self.fate(account) else { return };
        let name = account.name.clone();
        self.plan.before.push(match (&name, &account.properties) {
            (Grantee::Role(role), _) => Step::CreateRole(role.clone()),
            (_, Some(properties)) => Step::CreateUser { name, properties: properties.clone() },
            // Everybody is there already.
            (_, None) => return,
        });
    }

    /// Plans what an account is granted, and reports it.
    fn grant(&mut self, account: &Account) {
        let mut plan = AccountPlan {
            account: account.name.quoted(),
            action: AccountAction::Keep,
            reason: None,
            grants: Vec::new(),
            lacks: self.unknown_rights(account),
        };
        match self.fate(account) {
            Fate::LeftAlone(reason) => plan.reason = Some(reason.to_owned()),
            Fate::Lost(why) => {
                plan.action = AccountAction::Skip;
                plan.lacks = vec![why];
            }
            // Nobody is `PUBLIC` before something is granted.
            Fate::New if account.name == Grantee::Public => {
                self.grant_to_everybody(account, &mut plan.grants);
                plan.action = AccountAction::Grant;
            }
            Fate::New => {
                self.grant_to_new(account, &mut plan.grants);
                plan.action = AccountAction::Create;
            }
            Fate::There(there) => {
                self.add_to(account, there, &mut plan.grants);
                plan.reason = what_stays(account, there);
                if !plan.grants.is_empty() {
                    plan.action = AccountAction::Grant;
                }
            }
        }
        self.plan.accounts.push(plan);
    }

    fn grant_to_new(&mut self, account: &Account, told: &mut Vec<String>) {
        let name = &account.name;
        for grant in additions::for_new(&account.grants, self.from, self.to) {
            let Some(grant) = self.known(grant) else { continue };
            told.push(statements::grant(&grant, name));
            let is_later = is_on_object(&grant);
            self.push(Step::Grant { to: name.clone(), grant }, is_later);
        }
        for has in &account.roles {
            if self.can_have(&has.role) {
                self.join(name, has, false, told);
            }
        }
        if let Some(role) = &account.default_role
            && self.can_have(role)
        {
            let (user, role) = (name.clone(), role.clone());
            told.push(statements::default_role(&role, &user));
            self.push(Step::SetDefaultRole { user, role }, false);
        }
    }

    /// Plans what everybody gets; rights on the server stay what they are for all who exist.
    fn grant_to_everybody(&mut self, account: &Account, told: &mut Vec<String>) {
        for grant in additions::for_new(&account.grants, self.from, self.to) {
            let Some(grant) = self.known(grant).filter(|it| it.scope != Scope::Server) else {
                continue;
            };
            told.push(statements::grant(&grant, &Grantee::Public));
            let is_later = is_on_object(&grant);
            let addition = Addition { grant, before: None };
            self.push(Step::Add { to: Grantee::Public, addition }, is_later);
        }
    }

    fn add_to(&mut self, account: &Account, there: &Account, told: &mut Vec<String>) {
        let (saved, live) = (&account.grants, &there.grants);
        let missing = additions::for_existing(saved, live, self.from, self.to);
        for Addition { grant, before } in missing {
            let Some(grant) = self.known(grant) else { continue };
            told.push(statements::grant(&grant, &there.name));
            let is_later = is_on_object(&grant);
            let addition = Addition { grant, before };
            self.push(Step::Add { to: there.name.clone(), addition }, is_later);
        }
        for has in &account.roles {
            let is_new = match self.fate_of_role(&has.role) {
                Fate::New => true,
                // What else a role of this name may do here nobody knows.
                Fate::There(_) if self.reaching.contains(has.role.as_str()) => false,
                _ => continue,
            };
            if there.membership(&has.role).is_none() {
                self.join(&there.name, has, !is_new, told);
            }
        }
    }

    fn join(
        &mut self,
        member: &Grantee,
        has: &Membership,
        is_undone: bool,
        told: &mut Vec<String>,
    ) {
        let Membership { role, is_admin } = has.clone();
        let member = member.clone();
        told.push(statements::join(&role, &member, is_admin));
        self.push(Step::Join { member, role, is_admin, is_undone }, false);
    }

    /// Plans to leave a new role as its members were, unless nobody else could pass it on.
    fn hand_over(&mut self, account: &Account) {
        let (Fate::New, Grantee::Role(role)) = (self.fate(account), &account.name) else { return };
        let everybody = || self.saved.accounts.iter().chain(&self.saved.of_the_server);
        let mine = everybody()
            .find(|account| account.name.is(&self.live.me))
            .and_then(|account| account.membership(role));
        let others = everybody().filter(|account| {
            matches!(self.fate(account), Fate::New | Fate::There(_))
                && account.membership(role).is_some_and(|has| has.is_admin)
        });
        if others.count() == 0 {
            return;
        }
        let role = role.clone();
        match mine {
            Some(mine) if mine.is_admin => {}
            Some(_) => self.push(Step::LeaveAdministration { role }, false),
            None => self.push(Step::Leave { role }, false),
        }
    }

    /// Returns a grant with the rights that this server knows; `None` where none is left.
    fn known(&self, mut grant: Grant) -> Option<Grant> {
        grant.rights.retain(|right| self.live.knows(right));
        grant.columns.retain(|right, _| self.live.knows(right));
        (!grant.is_empty()).then_some(grant)
    }

    fn unknown_rights(&self, account: &Account) -> Vec<String> {
        let rights = account.grants.iter().flat_map(|it| it.rights.iter().chain(it.columns.keys()));
        let unknown: BTreeSet<_> = rights.filter(|right| !self.live.knows(right)).collect();
        unknown.into_iter().map(|right| format!("the server knows no right {right:?}")).collect()
    }

    fn push(&mut self, step: Step, is_later: bool) {
        if is_later { self.plan.after.push(step) } else { self.plan.before.push(step) }
    }
}

impl Live {
    /// Returns whether this is a right here, so that it may stand in a statement.
    fn knows(&self, right: &str) -> bool {
        right == ALL || right == NONE || self.rights.contains(right)
    }
}

/// Returns why an account that exists is not made what it was.
fn what_stays(saved: &Account, there: &Account) -> Option<String> {
    saved.properties.as_ref()?;
    Some(if saved.properties == there.properties {
        "exists".to_owned()
    } else {
        "exists with another password or other limits".to_owned()
    })
}

fn is_on_object(grant: &Grant) -> bool {
    matches!(grant.scope, Scope::Table { .. } | Scope::Routine { .. })
}

#[cfg(test)]
mod tests {
    use crate::source::mariadb::accounts::reach;

    use super::*;

    /// Returns an account: `name | role, role! | grant; grant`, where `!` is for administration.
    fn account(text: &str) -> Account {
        let mut parts = text.split('|').map(str::trim);
        let name = Grantee::parse(parts.next().unwrap()).unwrap();
        let roles = parts.next().unwrap_or_default().split(", ").filter(|role| !role.is_empty());
        let membership = |role: &str| Membership {
            role: role.trim_end_matches('!').to_owned(),
            is_admin: role.ends_with('!'),
        };
        let grants = parts.next().unwrap_or_default().split("; ").filter(|line| !line.is_empty());
        let grant = |line: &str| {
            let grant = Grant::parse(&format!("GRANT {line} TO `x`")).unwrap();
            Grant { grantee: String::new(), ..grant }
        };
        let properties = r#"{"ways": [{"plugin": "mysql_native_password"}]}"#;
        Account {
            properties: matches!(name, Grantee::User { .. })
                .then(|| serde_json::from_str(properties).unwrap()),
            name,
            default_role: None,
            roles: roles.map(membership).collect(),
            grants: grants.map(grant).collect(),
        }
    }

    fn live(accounts: &[&str]) -> Live {
        let there = There {
            accounts: accounts.iter().map(|text| account(text)).collect(),
            ignored: vec![Grantee::parse("`ignored`@`h`").unwrap()],
        };
        Live {
            me: Grantee::parse("`me`@`h`").unwrap(),
            there,
            plugins: BTreeSet::from(["mysql_native_password".to_owned()]),
            rights: BTreeSet::from(["SELECT".to_owned(), "INSERT".to_owned()]),
            has_public: true,
        }
    }

    fn plan(saved: &[&str], live: &Live) -> AccountsPlan {
        let accounts = saved.iter().map(|text| account(text)).collect();
        decide(&reach::reaching(accounts, &[]), live, "d", "d")
    }

    fn told(plan: &AccountsPlan) -> Vec<String> {
        let tell = |it: &AccountPlan| {
            let why = it.reason.iter().chain(&it.lacks).cloned().collect::<Vec<_>>().join("; ");
            format!("{} {:?} {} {why}", it.account, it.action, it.grants.join("; "))
        };
        plan.accounts.iter().map(tell).collect()
    }

    #[test]
    fn what_is_not_ours_to_touch_is_kept() {
        let saved = ["`me`@`h`||SELECT ON `d`.*", "`root`@`x`||SELECT ON `d`.*"];
        let plan = plan(&saved, &live(&["`me`@`h`"]));
        let expected =
            ["`me`@`h` Keep  is the one in use", "`root`@`x` Keep  belongs to the server"];
        assert_eq!(told(&plan), expected);
        assert_eq!((plan.before, plan.after), (Vec::new(), Vec::new()));
        // An archive may call the server's own accounts by another list.
        let mine = account("`root`@`x`||SELECT ON `d`.*");
        let saved = Accounts { accounts: vec![mine], of_the_server: Vec::new() };
        let plan = decide(&saved, &live(&[]), "d", "d");
        assert_eq!((plan.before, plan.after), (Vec::new(), Vec::new()));
    }

    #[test]
    fn only_words_that_the_server_lists_as_rights_reach_a_statement() {
        let mut forged = account("`a`@`h`||SELECT ON `d`.*");
        forged.grants[0].rights.insert("ALL ON *.* TO `a`@`h` -- ".to_owned());
        forged.grants[0].columns.insert("X".to_owned(), BTreeSet::from(["c".to_owned()]));
        let saved = Accounts { accounts: vec![forged], of_the_server: Vec::new() };
        let plan = decide(&saved, &live(&[]), "d", "d");
        assert_eq!(plan.accounts[0].grants, ["GRANT SELECT ON `d`.* TO `a`@`h`"]);
        assert_eq!(plan.accounts[0].lacks.len(), 2, "{:?}", plan.accounts[0].lacks);
        assert_eq!(plan.warnings().count(), 1);
    }

    #[test]
    fn a_server_that_lacks_the_plugin_or_ignores_the_account_gets_none_of_it() {
        let saved = ["`r`||SELECT ON `d`.*", "`a`@`h`|r|", "`ignored`@`h`|r|"];
        let bare = Live { plugins: BTreeSet::new(), ..live(&[]) };
        let plan = plan(&saved, &bare);
        let expected = [
            "`r` Create GRANT SELECT ON `d`.* TO `r` ",
            "`a`@`h` Skip  the server has no plugin mysql_native_password",
            "`ignored`@`h` Keep  is ignored by the server (skip-name-resolve)",
        ];
        assert_eq!(told(&plan), expected);
        // With nobody else to pass it on, the role stays with us.
        assert_eq!(plan.before.len(), 2, "{:?}", plan.before);
    }

    #[test]
    fn who_exists_joins_a_role_that_exists_only_where_it_leads_to_the_database() {
        let saved = ["`reads`||SELECT ON `d`.*", "`dba`||", "`new`||", "`a`@`h`|reads, dba, new|"];
        let plan = plan(&saved, &live(&["`reads`", "`dba`", "`a`@`h`"]));
        let joined = plan.before.iter().filter_map(|step| match step {
            Step::Join { role, is_undone, .. } => Some((role.as_str(), *is_undone)),
            _ => None,
        });
        assert_eq!(joined.collect::<Vec<_>>(), [("reads", true), ("new", false)]);
    }

    #[test]
    fn a_new_role_is_left_as_its_members_were() {
        let ends = |members: &[&str]| {
            let saved: Vec<_> = ["`r`||SELECT ON `d`.*"].iter().chain(members).copied().collect();
            let plan = plan(&saved, &live(&["`me`@`h`"]));
            plan.before
                .into_iter()
                .rev()
                .find(|step| matches!(step, Step::Leave { .. } | Step::LeaveAdministration { .. }))
        };
        let role = || "r".to_owned();
        assert_eq!(ends(&["`a`@`h`|r!|"]), Some(Step::Leave { role: role() }));
        assert_eq!(ends(&["`a`@`h`|r!|", "`me`@`h`|r!|"]), None);
        let mine = ends(&["`a`@`h`|r!|", "`me`@`h`|r|"]);
        assert_eq!(mine, Some(Step::LeaveAdministration { role: role() }));
        // Nobody else could pass it on: members without that right, or an account that is not ours.
        assert_eq!(ends(&["`a`@`h`|r|"]), None);
        assert_eq!(ends(&["`a`@`h`|r|", "`root`@`h`|r!|"]), None);
    }
}
