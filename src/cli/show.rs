//! `snap show`.

use crate::base::error::Result;
use crate::cli::answer::Answer;
use crate::cli::human::count;
use crate::cli::human::lines;
use crate::cli::human::listed;
use crate::cli::human::moment;
use crate::cli::human::printable;
use crate::cli::human::size;
use crate::cli::settings::Settings;
use crate::cli::table::Table;
use crate::repository::catalog::Catalog;
use crate::repository::catalog::SourceRecord;
use crate::repository::catalog::SourceState;
use crate::repository::id::SnapshotId;
use crate::snapshot::list::show;

/// Show what a snapshot holds: its sources and tables, and what it lacks
///
/// ROWS counts the rows of tables and the entries of file trees. With --json the whole catalog is
/// printed.
#[derive(clap::Args)]
#[command(after_help = "Example: snap show before-upgrade")]
pub(super) struct Args {
    /// The id of the snapshot
    id: String,
}

pub(super) async fn run(args: &Args, settings: &Settings) -> Result<Answer> {
    let id: SnapshotId = args.id.parse()?;
    let repository = settings.open("show").await?;
    let catalog = show(&repository, &id).await?;
    let text = to_text(&id, &catalog);
    Ok(Answer::new("catalog", &catalog, text).least(format!("{id}\n")))
}

fn to_text(id: &SnapshotId, catalog: &Catalog) -> String {
    let mut text = overview(id, catalog).to_text();
    text.push('\n');
    text.push_str(&sources(&catalog.sources).to_text());
    for source in catalog.sources.iter().filter(|source| source.items.len() > 1) {
        text.push('\n');
        text.push_str(&items(source).to_text());
    }
    let said = said("note", &catalog.notes) + &said("warning", &catalog.warnings);
    if !said.is_empty() {
        text.push('\n');
        text.push_str(&said);
    }
    text
}

fn overview(id: &SnapshotId, catalog: &Catalog) -> Table {
    let mut table = Table::of_values();
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("id", id.to_string());
    if catalog.id != id.to_string() {
        row("created as", catalog.id.clone());
    }
    row("created", moment(catalog.created));
    row("host", catalog.host.clone());
    row("profile", catalog.profile.clone());
    row("version", catalog.product_version.clone().unwrap_or_else(|| "-".to_owned()));
    row("tags", listed(&catalog.tags));
    row("note", catalog.note.clone().unwrap_or_else(|| "-".to_owned()));
    row("written by", catalog.tool.clone());
    let partial = format!("partial, see the {} below", warnings(catalog));
    row("state", if catalog.warnings.is_empty() { "complete".to_owned() } else { partial });
    table
}

fn warnings(catalog: &Catalog) -> &'static str {
    if catalog.warnings.len() == 1 { "warning" } else { "warnings" }
}

fn sources(sources: &[SourceRecord]) -> Table {
    let mut table = Table::new(&["SOURCE", "KIND", "FROM", "STATE", ">ITEMS", ">ROWS", ">SIZE"]);
    for source in sources {
        let state = match source.state {
            SourceState::Saved => "saved",
            SourceState::Absent => "absent",
            SourceState::Excluded => "excluded",
        };
        table.row([
            source.name.clone(),
            source.kind.clone(),
            source.origin.clone(),
            state.to_owned(),
            count(source.items.len() as u64),
            count(source.items.iter().map(|item| item.rows).sum()),
            size(source.items.iter().map(|item| item.raw_bytes).sum()),
        ]);
    }
    table
}

fn items(source: &SourceRecord) -> Table {
    let mut table = Table::new(&[&format!("ITEMS OF {}", source.name), ">ROWS", ">SIZE"]);
    for item in &source.items {
        table.row([item.name.clone(), count(item.rows), size(item.raw_bytes)]);
    }
    table
}

fn said(kind: &str, texts: &[String]) -> String {
    lines(texts.iter().map(|text| format!("{kind}: {}", printable(text))))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::Value;

    use crate::repository::catalog::Item;

    use super::*;

    fn source(name: &str, state: SourceState, items: Vec<Item>) -> SourceRecord {
        SourceRecord {
            name: name.to_owned(),
            kind: "mariadb".to_owned(),
            origin: "centreon_studio".to_owned(),
            state,
            detail: Value::Null,
            items,
            schema: None,
            index: None,
        }
    }

    #[test]
    fn a_snapshot_is_shown_with_its_items_and_with_what_it_lacks() {
        let item = |name: &str| Item {
            name: name.to_owned(),
            rows: 1000,
            current_rows: None,
            raw_bytes: 2048,
            digest: String::new(),
            generated_digest: None,
        };
        let tables = vec![item("element"), item("view")];
        let catalog = Catalog {
            format: 1,
            tool: "snap 0.1.0".to_owned(),
            id: "origin".to_owned(),
            created: Timestamp::from_second(1_772_337_906).expect("in range"),
            host: "map".to_owned(),
            profile: "studio".to_owned(),
            product_version: None,
            tags: Vec::new(),
            note: Some("n".to_owned()),
            sources: vec![
                source("database", SourceState::Saved, tables),
                source("users", SourceState::Absent, Vec::new()),
                source("files", SourceState::Saved, vec![item("/etc")]),
            ],
            notes: vec!["users is absent".to_owned()],
            warnings: vec!["a socket\u{7}".to_owned()],
        };
        let expected = "\
id          a
created as  origin
created     2026-03-01 04:05:06 UTC
host        map
profile     studio
version     -
tags        -
note        n
written by  snap 0.1.0
state       partial, see the warning below

SOURCE    KIND     FROM             STATE   ITEMS   ROWS     SIZE
database  mariadb  centreon_studio  saved       2  2,000  4.0 KiB
users     mariadb  centreon_studio  absent      0      0      0 B
files     mariadb  centreon_studio  saved       1  1,000  2.0 KiB

ITEMS OF database   ROWS     SIZE
element            1,000  2.0 KiB
view               1,000  2.0 KiB

note: users is absent
warning: a socket\\u{7}
";
        assert_eq!(to_text(&"a".parse().expect("valid"), &catalog), expected);
    }
}
