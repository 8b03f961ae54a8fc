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
use crate::source::mariadb::accounts::properties::Age;
use crate::source::mariadb::accounts::properties::Properties;
use crate::source::mariadb::accounts::reach;
use crate::source::mariadb::accounts::read::There;
use crate::source::mariadb::accounts::roles;
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
    pub(super) rights: KnownRights,
    pub(super) has_public: bool,
    /// The user name that we log in with, which need not be that of the account in use.
    pub(super) login_user: String,
    /// The server's time, in seconds since 1970.
    pub(super) now: i64,
    /// How many days a password is good for where its account does not say; 0 for ever.
    pub(super) default_lifetime_days: u32,
}

/// Why an account is not created that a login of ours may be taken for.
const LIKE_OURS: &str = "it could take the place of the account in use";

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
        plan: AccountsPlan {
            accounts: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            renewed: Vec::new(),
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
        let plan = AccountPlan::keeping(&account.name, Some(OF_THE_SERVER.to_owned()));
        planner.plan.accounts.push(plan);
    }
    planner.plan
}

struct Planner<'a> {
    saved: &'a Accounts,
    live: &'a Live,
    from: &'a str,
    to: &'a str,
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
        if self.live.could_be_us(name) {
            return Fate::Lost(LIKE_OURS.to_owned());
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
        let saved = roles::find(&self.saved.accounts, role);
        saved.map_or(Fate::Lost(String::new()), |account| self.fate(account))
    }

    fn create(&mut self, account: &Account) {
        let Fate::New = self.fate(account) else { return };
        let name = account.name.clone();
        self.plan.before.push(match (&name, &account.properties) {
            (Grantee::Role(role), _) => Step::CreateRole(role.clone()),
            (_, Some(properties)) => {
                let mut properties = properties.clone();
                match properties.age(account.password_changed, self.live) {
                    Age::Unlimited => {}
                    Age::Over => properties.expire(),
                    Age::Renewed => self.plan.renewed.push(name.quoted()),
                }
                Step::CreateUser { name, properties }
            }
            // Everybody is there already.
            (_, None) => return,
        });
    }

    /// Plans what an account is granted, and reports it.
    fn grant(&mut self, account: &Account) {
        let mut plan = AccountPlan::keeping(&account.name, None);
        match self.fate(account) {
            Fate::LeftAlone(reason) => plan.reason = Some(reason.to_owned()),
            Fate::Lost(why) => {
                plan.action = AccountAction::Skip;
                plan.lacks = vec![why];
            }
            Fate::New if account.name != Grantee::Public => {
                plan.lacks = self.unknown_rights(account);
                plan.withheld = self.beyond(account, &[]);
                self.grant_to_new(account, &mut plan);
                plan.action = AccountAction::Create;
            }
            // Everybody is there, if nobody ever granted them anything.
            Fate::New => {
                let nothing = Account { grants: Vec::new(), roles: Vec::new(), ..account.clone() };
                self.grant_to_existing(account, &nothing, &mut plan);
            }
            Fate::There(there) => self.grant_to_existing(account, there, &mut plan),
        }
        self.plan.accounts.push(plan);
    }

    fn grant_to_new(&mut self, account: &Account, plan: &mut AccountPlan) {
        let name = &account.name;
        for grant in additions::for_new(&account.grants, self.from, self.to) {
            let Some(grant) = self.known(grant) else { continue };
            plan.grants.push(statements::grant(&grant, name));
            let is_later = is_on_object(&grant);
            self.push(Step::Grant { to: name.clone(), grant }, is_later);
        }
        let mut joined = BTreeSet::new();
        for has in &account.roles {
            let is_new = match self.fate_of_role(&has.role) {
                Fate::New => true,
                Fate::There(_) if self.is_confined(&has.role) => false,
                Fate::There(_) => {
                    plan.withheld.push(statements::join(&has.role, name, has.is_admin));
                    continue;
                }
                Fate::LeftAlone(_) | Fate::Lost(_) => continue,
            };
            self.join(name, has, Handed { is_new, is_undone: false }, plan);
            joined.insert(&has.role);
        }
        if let Some(role) = &account.default_role
            && joined.contains(role)
        {
            plan.grants.push(statements::default_role(role, name));
            self.push(Step::SetDefaultRole { user: name.clone(), role: role.clone() }, false);
        }
    }

    fn grant_to_existing(&mut self, account: &Account, there: &Account, plan: &mut AccountPlan) {
        let (saved, live) = (&account.grants, &there.grants);
        let missing = additions::for_existing(saved, live, self.from, self.to);
        for Addition { grant, before } in missing {
            let Some(grant) = self.known(grant) else { continue };
            plan.grants.push(statements::grant(&grant, &there.name));
            let is_later = is_on_object(&grant);
            let addition = Addition { grant, before };
            self.push(Step::Add { to: there.name.clone(), addition }, is_later);
        }
        for has in account.roles.iter().filter(|has| there.membership(&has.role).is_none()) {
            let is_new = match self.fate_of_role(&has.role) {
                Fate::New => true,
                Fate::There(_) => false,
                Fate::LeftAlone(_) | Fate::Lost(_) => continue,
            };
            // What everybody has nobody can be spared, whatever the role becomes.
            if there.name == Grantee::Public || !self.is_confined(&has.role) {
                plan.withheld.push(statements::join(&has.role, &there.name, has.is_admin));
            } else {
                self.join(&there.name, has, Handed { is_new, is_undone: !is_new }, plan);
            }
        }
        plan.lacks = self.unknown_rights(account);
        let beyond = self.beyond(account, live);
        if there.name == Grantee::Public {
            plan.withheld.extend(beyond);
        } else {
            plan.reason = what_stays(account, there, !beyond.is_empty());
        }
        if !plan.grants.is_empty() {
            plan.action = AccountAction::Grant;
        }
    }

    /// Plans to give a role to somebody. The administration of a role that was here before is not
    /// the archive's to give.
    fn join(&mut self, member: &Grantee, has: &Membership, how: Handed, plan: &mut AccountPlan) {
        let (role, member) = (has.role.clone(), member.clone());
        let is_admin = has.is_admin && how.is_new;
        if has.is_admin && !is_admin {
            plan.withheld.push(statements::join(&role, &member, true));
        }
        plan.grants.push(statements::join(&role, &member, is_admin));
        self.push(Step::Join { member, role, is_admin, is_undone: how.is_undone }, false);
    }

    /// Returns whether a role, with those below it, allows nothing beyond the database: one that
    /// is here as it is here, one that is new as it was saved.
    fn is_confined(&self, role: &'a str) -> bool {
        let saved = |role: &str| roles::find(&self.saved.accounts, role);
        roles::below(role, saved).into_iter().all(|role| match self.fate_of_role(role) {
            Fate::New => saved(role).is_some_and(|account| {
                !account.grants.iter().any(|grant| reach::is_beyond(grant, self.from))
            }),
            Fate::There(_) => roles::is_confined_here(role, &self.live.there),
            // Nobody gets that one.
            Fate::LeftAlone(_) | Fate::Lost(_) => true,
        })
    }

    /// Returns the statements that would give an account what it had beyond the database and does
    /// not have here.
    fn beyond(&self, account: &Account, live: &[Grant]) -> Vec<String> {
        let is_there = |grant: &Grant| live.iter().any(|there| there.covers(grant));
        let beyond = account.grants.iter().filter(|grant| reach::is_beyond(grant, self.from));
        let missing = beyond.filter(|grant| !is_there(grant)).cloned();
        let known = missing.filter_map(|grant| self.known(grant));
        known.map(|grant| statements::grant(&grant, &account.name)).collect()
    }

    /// Plans to leave a new role as its members were, unless nobody else could pass it on.
    fn hand_over(&mut self, account: &Account) {
        let (Fate::New, Grantee::Role(role)) = (self.fate(account), &account.name) else { return };
        let is_passed_on = self.plan.before.iter().any(
            |step| matches!(step, Step::Join { role: joined, is_admin: true, .. } if joined == role),
        );
        if !is_passed_on {
            return;
        }
        let mut everybody = self.saved.accounts.iter().chain(&self.saved.of_the_server);
        let mine = everybody
            .find(|account| account.name.is(&self.live.me))
            .and_then(|account| account.membership(role));
        let role = role.clone();
        match mine {
            Some(mine) if mine.is_admin => {}
            Some(_) => self.push(Step::LeaveAdministration { role }, false),
            None => self.push(Step::Leave { role }, false),
        }
    }

    /// Returns a grant with the rights that this server knows; `None` where none is left.
    fn known(&self, mut grant: Grant) -> Option<Grant> {
        grant.rights.retain(|right| self.live.rights.is_known(right));
        grant.columns.retain(|right, _| self.live.rights.is_known(right));
        (!grant.is_empty()).then_some(grant)
    }

    fn unknown_rights(&self, account: &Account) -> Vec<String> {
        let rights = account.grants.iter().flat_map(|it| it.rights.iter().chain(it.columns.keys()));
        let unknown: BTreeSet<_> =
            rights.filter(|right| !self.live.rights.is_known(right)).collect();
        unknown.into_iter().map(|right| format!("the server knows no right {right:?}")).collect()
    }

    fn push(&mut self, step: Step, is_later: bool) {
        if is_later { self.plan.after.push(step) } else { self.plan.before.push(step) }
    }
}

/// How a role comes to somebody.
#[derive(Clone, Copy)]
struct Handed {
    /// Whether the restore creates the role.
    is_new: bool,
    /// Whether it has to be taken away again; a new role or member goes as a whole.
    is_undone: bool,
}

/// The rights that a server lists.
pub(super) struct KnownRights(pub(super) BTreeSet<String>);

impl KnownRights {
    /// Returns whether this is a right here, so that it may stand in a statement.
    pub(super) fn is_known(&self, right: &str) -> bool {
        right == ALL || right == NONE || self.0.contains(right)
    }
}

impl Live {
    /// Returns whether a server could take our next login for this account, were it there: of all
    /// that match, the one with the most specific host is taken, and then one without a name.
    fn could_be_us(&self, name: &Grantee) -> bool {
        let Grantee::User { user, .. } = name else { return false };
        let is_me = matches!(&self.me, Grantee::User { user: me, .. } if me == user);
        user.is_empty() || *user == self.login_user || is_me
    }
}

/// Returns why an account that exists is not made what it was.
fn what_stays(saved: &Account, there: &Account, lacks_beyond: bool) -> Option<String> {
    let is_user = saved.properties.is_some();
    let administers_less = saved.roles.iter().any(|has| {
        has.is_admin && there.membership(&has.role).is_some_and(|there| !there.is_admin)
    });
    let differences = [
        (is_user && saved.properties != there.properties, "another password or other limits"),
        (is_user && saved.default_role != there.default_role, "another default role"),
        (administers_less, "roles that it does not administer"),
        (lacks_beyond, "fewer rights beyond the database"),
    ];
    let different: Vec<_> =
        differences.into_iter().filter(|(differs, _)| *differs).map(|(_, what)| what).collect();
    match different.as_slice() {
        [] => is_user.then(|| "exists".to_owned()),
        different => Some(format!("exists with {}", different.join(", "))),
    }
}

fn is_on_object(grant: &Grant) -> bool {
    matches!(grant.scope, Scope::Table { .. } | Scope::Routine { .. })
}

#[cfg(test)]
mod tests {
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
            password_changed: None,
            default_role: None,
            roles: roles.map(membership).collect(),
            grants: grants.map(grant).collect(),
        }
    }

    fn live(accounts: &[&str]) -> Live {
        let accounts: Vec<_> = accounts.iter().map(|text| account(text)).collect();
        let is_beyond = |it: &&Account| it.grants.iter().any(|grant| reach::is_beyond(grant, "d"));
        let there = There {
            beyond: accounts.iter().filter(is_beyond).map(|it| it.name.clone()).collect(),
            accounts,
            ignored: vec![Grantee::parse("`ignored`@`h`").unwrap()],
        };
        Live {
            me: Grantee::parse("`me`@`h`").unwrap(),
            there,
            plugins: BTreeSet::from(["mysql_native_password".to_owned()]),
            rights: KnownRights(["SELECT", "INSERT", "RELOAD"].map(str::to_owned).into()),
            has_public: true,
            login_user: "login".to_owned(),
            now: 100 * 86400,
            default_lifetime_days: 0,
        }
    }

    fn plan(saved: &[&str], live: &Live) -> AccountsPlan {
        let accounts = saved.iter().map(|text| account(text)).collect();
        decide(&reach::reaching(accounts, &[]), live, "d", "d")
    }

    fn told(plan: &AccountsPlan) -> Vec<String> {
        let tell = |it: &AccountPlan| {
            let why = it
                .reason
                .iter()
                .chain(&it.lacks)
                .chain(&it.withheld)
                .cloned()
                .collect::<Vec<_>>()
                .join("; ");
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

    fn joins(plan: &AccountsPlan) -> Vec<String> {
        let join = |step: &Step| match step {
            Step::Join { member, role, is_admin, is_undone } => {
                let marks = [(*is_admin, "!"), (*is_undone, " undone")];
                let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, it)| *it).collect();
                Some(format!("{role} {}{marks}", member.quoted()))
            }
            _ => None,
        };
        plan.before.iter().filter_map(join).collect()
    }

    fn withheld(plan: &AccountsPlan) -> Vec<&str> {
        plan.accounts.iter().flat_map(|it| &it.withheld).map(String::as_str).collect()
    }

    #[test]
    fn who_exists_joins_a_role_that_exists_only_where_it_leads_to_nothing_but_the_database() {
        let saved = [
            "`reads`||SELECT ON `d`.*",
            "`dba`||SELECT ON `d`.*",
            "`deep`||",
            "`new`||",
            "`a`@`h`|reads!, dba, deep, new!|",
        ];
        let there = ["`reads`||SELECT ON `d`.*", "`dba`||RELOAD ON *.*", "`deep`|dba|", "`a`@`h`"];
        let plan = plan(&saved, &live(&there));
        assert_eq!(joins(&plan), ["reads `a`@`h` undone", "new `a`@`h`!"]);
        let expected = [
            "GRANT `reads` TO `a`@`h` WITH ADMIN OPTION",
            "GRANT `dba` TO `a`@`h`",
            "GRANT `deep` TO `a`@`h`",
        ];
        assert_eq!(withheld(&plan), expected);
    }

    #[test]
    fn who_exists_joins_no_new_role_that_was_more_than_the_database_s_on_any_way() {
        for role in ["`r`||RELOAD ON *.*", "`r`||SELECT ON `%`.*", "`r`|dba|"] {
            let saved = [role, "`dba`||", "`above`|r|SELECT ON `d`.*", "`a`@`h`|above|"];
            let plan = plan(&saved, &live(&["`dba`||RELOAD ON *.*", "`a`@`h`"]));
            assert!(!joins(&plan).iter().any(|join| join.contains("`a`")), "{role}: {plan:?}");
            assert!(withheld(&plan).contains(&"GRANT `above` TO `a`@`h`"), "{role}");
        }
    }

    #[test]
    fn who_is_new_gets_a_role_that_exists_as_who_exists_does() {
        let saved = ["`reads`||", "`dba`||SELECT ON `d`.*", "`a`@`h`|reads!, dba|"];
        let plan = plan(&saved, &live(&["`reads`||SELECT ON `d`.*", "`dba`||SELECT ON `e`.*"]));
        assert_eq!(joins(&plan), ["reads `a`@`h`"]);
        let expected = ["GRANT `reads` TO `a`@`h` WITH ADMIN OPTION", "GRANT `dba` TO `a`@`h`"];
        assert_eq!(withheld(&plan), expected);
    }

    #[test]
    fn rights_beyond_the_database_are_withheld_from_everyone_and_told() {
        let beyond = "RELOAD ON *.*; SELECT ON `%`.*";
        let saved = [
            format!("`r`||{beyond}"),
            format!("`a`@`h`||{beyond}"),
            format!("PUBLIC|r|{beyond}"),
            format!("`there`@`h`||{beyond}"),
        ];
        let saved: Vec<_> = saved.iter().map(String::as_str).collect();
        for everybody in ["PUBLIC", "`x`"] {
            let plan = plan(&saved, &live(&["`there`@`h`", everybody]));
            let granted = plan.before.iter().filter_map(|step| match step {
                Step::Grant { grant, .. } => Some(&grant.scope),
                Step::Add { addition, .. } => Some(&addition.grant.scope),
                _ => None,
            });
            let granted: Vec<_> = granted.collect();
            assert_eq!(granted, [&Scope::Databases("d".to_owned()); 4], "{plan:#?}");
            assert_eq!(joins(&plan), [""; 0]);
            let expected = [
                "GRANT RELOAD ON *.* TO `r`",
                "GRANT SELECT ON `%`.* TO `r`",
                "GRANT RELOAD ON *.* TO `a`@`h`",
                "GRANT SELECT ON `%`.* TO `a`@`h`",
                "GRANT `r` TO PUBLIC",
                "GRANT RELOAD ON *.* TO PUBLIC",
                "GRANT SELECT ON `%`.* TO PUBLIC",
            ];
            assert_eq!(withheld(&plan), expected);
            let notes: Vec<_> = plan.notes().collect();
            let note = "account `there`@`h` stays as it is: it exists with fewer rights beyond \
                        the database";
            assert_eq!(notes, [note]);
        }
    }

    #[test]
    fn no_account_is_created_that_could_be_taken_for_ours() {
        let saved = ["``@`%`", "`me`@`%`", "`login`@`10.%`", "`Me`@`h`"];
        let saved = Accounts {
            accounts: saved.iter().map(|text| account(text)).collect(),
            of_the_server: Vec::new(),
        };
        let plan = decide(&saved, &live(&[]), "d", "d");
        let actions: Vec<_> = plan.accounts.iter().map(|it| it.action).collect();
        let skip = AccountAction::Skip;
        assert_eq!(actions, [skip, skip, skip, AccountAction::Create]);
        assert_eq!(plan.warnings().count(), 3);
    }

    #[test]
    fn what_differs_at_an_account_that_exists_is_told() {
        let mut there = account("`a`@`h`|r, s|");
        let mut saved = account("`a`@`h`|r!, s|");
        assert_eq!(
            what_stays(&saved, &there, false).as_deref(),
            Some("exists with roles that it does not administer")
        );
        saved.roles[0].is_admin = false;
        assert_eq!(what_stays(&saved, &there, false).as_deref(), Some("exists"));
        there.default_role = Some("r".to_owned());
        assert_eq!(
            what_stays(&saved, &there, true).as_deref(),
            Some("exists with another default role, fewer rights beyond the database")
        );
        assert_eq!(what_stays(&account("`r`"), &account("`r`"), false), None);
    }

    #[test]
    fn a_password_whose_days_are_over_stays_so_and_others_are_told_to_begin_anew() {
        let aged = |name: &str, days: Option<u32>, changed: Option<i64>| {
            let lifetime = days.map_or(String::new(), |it| format!(r#", "lifetime_days": {it}"#));
            let json = format!(r#"{{"ways": [{{"plugin": "mysql_native_password"}}]{lifetime}}}"#);
            Account {
                properties: Some(serde_json::from_str(&json).unwrap()),
                password_changed: changed.map(|day| day * 86400),
                ..account(name)
            }
        };
        let planned = |default_lifetime_days| {
            let accounts = vec![
                aged("`over`@`h`", Some(30), Some(70)),
                aged("`young`@`h`", Some(30), Some(71)),
                aged("`unknown`@`h`", Some(30), None),
                aged("`never`@`h`", Some(0), Some(1)),
                aged("`usual`@`h`", None, Some(1)),
                aged("`odd`@`h`", Some(1), Some(i64::MIN / 86400)),
            ];
            let saved = Accounts { accounts, of_the_server: Vec::new() };
            let plan = decide(&saved, &Live { default_lifetime_days, ..live(&[]) }, "d", "d");
            let expired = plan.before.iter().filter_map(|step| {
                let is_expired = step.statements().unwrap()[0].ends_with(" PASSWORD EXPIRE");
                step.changes().filter(|_| is_expired).map(|name| name.quoted())
            });
            (expired.collect::<Vec<_>>().join(", "), plan.notes().last().unwrap())
        };
        let renewed = "the days after which a password expires begin anew: `young`@`h`, \
                       `unknown`@`h`";
        assert_eq!(planned(0), ("`over`@`h`, `odd`@`h`".to_owned(), renewed.to_owned()));
        assert_eq!(planned(99).0, "`over`@`h`, `usual`@`h`, `odd`@`h`");
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
