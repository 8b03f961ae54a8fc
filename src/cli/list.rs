//! `snap list`.

use jiff::Timestamp;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::age;
use crate::cli::human::count;
use crate::cli::human::lines;
use crate::cli::human::listed;
use crate::cli::human::moment;
use crate::cli::human::size;
use crate::cli::settings::Settings;
use crate::cli::table::Table;
use crate::snapshot::list::Line;
use crate::snapshot::list::list;

/// List the snapshots of the repository, oldest first
///
/// ROWS counts the rows of tables and the entries of file trees. RAW is the size of what was saved,
/// STORED the size of the blobs that hold it, which snapshots share, and NEW the size of those that
/// this snapshot added. A snapshot that lacks something is
/// listed as partial; `snap show` says what it lacks. One that `snap pin` keeps from being deleted is
/// listed as pinned. With --quiet the ids alone are printed.
#[derive(clap::Args)]
#[command(after_help = "Example: snap list --json | jq -r '.snapshots[].id'")]
pub(super) struct Args {}

pub(super) async fn run(_: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let repository = settings.open("list").await?;
    let snapshots = list(&repository, monitor).await?;
    if snapshots.is_empty() {
        monitor.note(&format!("no snapshots in {}", settings.repository));
    }
    let ids = lines(snapshots.iter().map(|line| line.summary.id.to_string()));
    Ok(Answer::new("snapshots", &snapshots, to_text(&snapshots, settings.now)).least(ids))
}

/// Returns the table; nothing at all where there is nothing to list.
fn to_text(snapshots: &[Line], now: Timestamp) -> String {
    if snapshots.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        "ID", "CREATED", ">AGE", "STATE", "HOST", "VERSION", ">ROWS", ">RAW", ">STORED", ">NEW",
        "TAGS", "NOTE",
    ]);
    for Line { summary, pinned } in snapshots {
        let state = if summary.warnings == 0 { "complete" } else { "partial" };
        table.row([
            summary.id.to_string(),
            moment(summary.created),
            age(now, summary.created),
            if *pinned { format!("{state}, pinned") } else { state.to_owned() },
            summary.host.clone(),
            summary.product_version.clone().unwrap_or_else(|| "-".to_owned()),
            count(summary.rows),
            size(summary.raw_bytes),
            size(summary.stored_bytes),
            if summary.uploaded { "-".to_owned() } else { size(summary.written_bytes) },
            listed(&summary.tags),
            summary.note.clone().unwrap_or_default(),
        ]);
    }
    table.to_text()
}

#[cfg(test)]
mod tests {
    use crate::repository::summary::Summary;

    use super::*;

    fn summary(id: &str) -> Summary {
        Summary {
            id: id.parse().expect("valid"),
            created: Timestamp::from_second(1_772_337_906).expect("in range"),
            host: "map".to_owned(),
            profile: "studio".to_owned(),
            product_version: Some("4.1".to_owned()),
            tags: vec!["a".to_owned(), "b".to_owned()],
            note: Some("before\nupgrade".to_owned()),
            rows: 1234,
            raw_bytes: 2048,
            stored_bytes: 1024,
            written_bytes: 10,
            warnings: 0,
            sources: vec!["database".to_owned()],
            uploaded: false,
        }
    }

    #[test]
    fn a_list_is_a_line_for_each_snapshot() {
        let partial = Summary {
            product_version: None,
            tags: Vec::new(),
            note: None,
            warnings: 1,
            uploaded: true,
            ..summary("b")
        };
        let now = Timestamp::from_second(1_772_337_906 + 7200).expect("in range");
        let expected = "\
ID  CREATED                  AGE  STATE             HOST  VERSION   ROWS      RAW   STORED   NEW  TAGS  NOTE
a   2026-03-01 04:05:06 UTC  2 h  complete, pinned  map   4.1      1,234  2.0 KiB  1.0 KiB  10 B  a, b  before\\nupgrade
b   2026-03-01 04:05:06 UTC  2 h  partial           map   -        1,234  2.0 KiB  1.0 KiB     -  -
";
        let pinned = Line { summary: summary("a"), pinned: true };
        let partial = Line { summary: partial, pinned: false };
        assert_eq!(to_text(&[pinned, partial], now), expected);
    }

    #[test]
    fn a_list_of_nothing_is_nothing() {
        assert_eq!(to_text(&[], Timestamp::UNIX_EPOCH), "");
    }
}
