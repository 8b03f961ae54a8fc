//! The plan of a restore, as people read it: sources, what differs in them, accounts.

use crate::cli::human::count;
use crate::cli::human::counted;
use crate::cli::human::lines;
use crate::cli::human::printable;
use crate::cli::human::size;
use crate::cli::table::Table;
use crate::profile::roles::remap::Line;
use crate::snapshot::restore::Restored;
use crate::snapshot::restore::plan::AccountAction;
use crate::snapshot::restore::plan::Action;
use crate::snapshot::restore::plan::Fate;
use crate::snapshot::restore::plan::Part;
use crate::snapshot::restore::plan::SourcePlan;

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// What differs, the largest first, as far as a page goes.
    Differences,
    /// Every table and file.
    All,
}

/// The parts that are named of one source, unless all are wanted.
const NAMED: usize = 20;

/// The rights that are shown of one source, unless all are wanted.
const RIGHTS: usize = 40;

/// Returns the plan: a line per source, what happens in each, and what happens to accounts.
pub(super) fn to_text(restored: &Restored, detail: Detail) -> String {
    let parts: String =
        restored.plan.sources.iter().map(|source| parts(source, restored.done, detail)).collect();
    let roles: String =
        restored.plan.sources.iter().map(|source| roles(source, restored.done, detail)).collect();
    sources(restored).to_text() + &parts + &roles + &accounts(restored) + &notes(restored)
}

/// Returns who has which rights before and after; nothing where roles come back as they were saved.
fn roles(source: &SourcePlan, done: bool, detail: Detail) -> String {
    if source.roles.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["  HOLDER", "TENANT", "BEFORE", "AFTER", ">ROWS"]);
    let shown = if detail == Detail::All { source.roles.len() } else { RIGHTS };
    for Line { holder, tenant, before, after, rows } in source.roles.iter().take(shown) {
        table.row([
            format!("  {holder}"),
            tenant.clone().unwrap_or_else(|| "-".to_owned()),
            before.clone().unwrap_or_else(|| "-".to_owned()),
            after.clone(),
            count(*rows as u64),
        ]);
    }
    let more = match source.roles.len().saturating_sub(shown) {
        0 => String::new(),
        rest => format!("and {} more, which -v and --json name\n", count(rest as u64)),
    };
    let name = printable(&source.name);
    let number =
        counted(source.roles.iter().filter(|line| line.is_change()).count() as u64, "right");
    let changed = if done { "changed" } else { "to change" };
    format!("\n{name}: {number} {changed}\n{}{more}", table.to_text())
}

/// Returns what else is to be known; nothing where nothing is.
fn notes(restored: &Restored) -> String {
    let notes = restored.plan.sources.iter().flat_map(|source| &source.notes);
    let notes = lines(notes.map(|note| format!("note: {}", printable(note))));
    if notes.is_empty() { notes } else { format!("\n{notes}") }
}

/// Returns what happens in a source; nothing where it is left alone, unless all is wanted.
fn parts(source: &SourcePlan, done: bool, detail: Detail) -> String {
    let is_restored = source.action.is_restored();
    if source.parts.is_empty() || (!is_restored && detail == Detail::Differences) {
        return String::new();
    }
    let of = |fate: Fate| source.parts.iter().filter(move |part| part.fate == fate);
    let counts = [Fate::Create, Fate::Replace, Fate::Drop, Fate::Identical]
        .into_iter()
        .map(|fate| (of(fate).count(), word(fate, done)))
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{} {word}", count(number as u64)));
    let built = of(Fate::Create).chain(of(Fate::Replace)).map(|part| part.bytes).sum();
    let counts = counts.collect::<Vec<_>>().join(", ");
    let mut named: Vec<&Part> = source
        .parts
        .iter()
        .filter(|part| detail == Detail::All || part.fate != Fate::Identical)
        .collect();
    let mut more = String::new();
    if detail == Detail::Differences && named.len() > NAMED {
        named.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        let rest = counted((named.len() - NAMED) as u64, "smaller one");
        more = format!("and {rest}, which -v and --json name\n");
        named.truncate(NAMED);
    }
    named.sort_by_key(|part| part.fate);
    let mut table = Table::new(&["  KIND", "NAME", "ACTION", ">ROWS", ">SIZE", "REASON"]);
    for part in named {
        table.row([
            format!("  {}", part.kind),
            part.name.clone(),
            word(part.fate, false).to_owned(),
            part.rows.map(count).unwrap_or_default(),
            size(part.bytes),
            part.reason.clone().unwrap_or_default(),
        ]);
    }
    let name = printable(&source.name);
    let table = if counts.is_empty() { String::new() } else { table.to_text() };
    let to_build = if done { "built" } else { "to build" };
    format!("\n{name}: {counts}; {} {to_build}\n{table}{more}", size(built))
}

const fn word(fate: Fate, done: bool) -> &'static str {
    match (fate, done) {
        (Fate::Create, false) => "create",
        (Fate::Create, true) => "created",
        (Fate::Replace, false) => "replace",
        (Fate::Replace, true) => "replaced",
        (Fate::Drop, false) => "drop",
        (Fate::Drop, true) => "dropped",
        (Fate::Identical, _) => "identical",
    }
}

/// Returns what happens to accounts, and the statements for what is granted; nothing without any.
fn accounts(restored: &Restored) -> String {
    let accounts = || {
        let sources = restored.plan.sources.iter();
        sources.filter_map(|source| source.accounts.as_ref()).flat_map(|plan| &plan.accounts)
    };
    if accounts().next().is_none() {
        return String::new();
    }
    let mut table = Table::new(&["ACCOUNT", "ACTION", ">GRANTS", "REASON"]);
    for account in accounts() {
        let action = match account.action {
            AccountAction::Create => "create",
            AccountAction::Grant => "grant",
            AccountAction::Keep => "keep",
            AccountAction::Skip => "skip",
        };
        let reasons = account.reason.iter().chain(&account.lacks);
        table.row([
            account.account.clone(),
            action.to_owned(),
            count(account.grants.len() as u64),
            reasons.cloned().collect::<Vec<_>>().join("; "),
        ]);
    }
    let listed = |what: &str, grant: &String| format!("  {what}{};", printable(grant));
    let grants = lines(accounts().flat_map(|it| &it.grants).map(|grant| listed("", grant)));
    let withheld = accounts().flat_map(|it| &it.withheld);
    let withheld = lines(withheld.map(|grant| listed("withheld: ", grant)));
    format!("\n{}{grants}{withheld}", table.to_text())
}

fn sources(restored: &Restored) -> Table {
    let mut table =
        Table::new(&["SOURCE", "KIND", "TARGET", "ACTION", ">ITEMS", ">SIZE", "REASON"]);
    for source in &restored.plan.sources {
        let action = match source.action {
            Action::Replace => "replace",
            Action::Create => "create",
            Action::Keep => "keep",
            Action::Skip => "skip",
        };
        table.row([
            source.name.clone(),
            source.kind.clone(),
            source.target.clone(),
            action.to_owned(),
            count(source.items),
            size(source.raw_bytes),
            source.reason.clone().unwrap_or_default(),
        ]);
    }
    table
}
