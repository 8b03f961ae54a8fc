//! `snap verify`.

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::count;
use crate::cli::human::lines;
use crate::cli::human::printable;
use crate::cli::human::size;
use crate::cli::settings::Settings;
use crate::cli::table::Table;
use crate::repository::id::SnapshotId;
use crate::snapshot::verify::Checked;
use crate::snapshot::verify::Depth;
use crate::snapshot::verify::verify;

/// Prove that snapshots are whole
///
/// Without --read-data: the manifest, the catalog and the lists are read, and every blob is there
/// with its right size. Exits 13 when a snapshot is damaged, and names each table and file that is
/// hurt. With --read-data what is damaged is noted too: the next create stores anew what is still as
/// it was.
#[derive(clap::Args)]
#[command(after_help = "Example: snap verify --read-data before-upgrade")]
pub(super) struct Args {
    /// The ids of the snapshots; all of the repository without any
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Read every blob and check each digest and each count
    #[arg(long)]
    read_data: bool,
}

pub(super) async fn run(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let ids = args.ids.iter().map(|id| id.parse()).collect::<Result<Vec<SnapshotId>>>()?;
    let depth = if args.read_data { Depth::ReadData } else { Depth::Listed };
    let repository = settings.open("verify").await?;
    let verification = verify(&repository, &ids, depth, monitor).await?;
    let checked = &verification.checked;
    let answer = Answer::new("verification", &verification, to_text(checked));
    Ok(answer.least(hurt(checked)).failing(damage(checked)))
}

fn to_text(checked: &[Checked]) -> String {
    if checked.is_empty() {
        return "no snapshots to verify\n".to_owned();
    }
    let mut table = Table::new(&["ID", "STATE", ">BLOBS", ">SIZE"]);
    for snapshot in checked {
        let state = if snapshot.sound { "sound" } else { "damaged" };
        table.row([
            snapshot.id.to_string(),
            state.to_owned(),
            count(snapshot.blobs),
            size(snapshot.bytes),
        ]);
    }
    table.to_text() + &hurt(checked)
}

/// Returns a line for each hurt item.
fn hurt(checked: &[Checked]) -> String {
    lines(checked.iter().flat_map(|snapshot| {
        snapshot.hurt.iter().map(|item| format!("{}: {}", snapshot.id, printable(item)))
    }))
}

/// Returns why the process fails, where a snapshot is damaged.
fn damage(checked: &[Checked]) -> Option<Error> {
    let damaged = checked.iter().filter(|snapshot| !snapshot.sound);
    let ids: Vec<String> = damaged.map(|snapshot| snapshot.id.to_string()).collect();
    let hint = "the next `snap create` stores anew what is still as it was, and `snap upload` what a \
        downloaded copy holds";
    (!ids.is_empty())
        .then(|| Error::damaged(format!("cannot rely on {}", ids.join(", "))).hint(hint))
}

#[cfg(test)]
mod tests {
    use crate::base::error::Kind;

    use super::*;

    fn checked(id: &str, hurt: &[&str]) -> Checked {
        Checked {
            id: id.parse().expect("valid"),
            sound: hurt.is_empty(),
            hurt: hurt.iter().map(|&item| item.to_owned()).collect(),
            blobs: 3,
            bytes: 2048,
        }
    }

    #[test]
    fn a_damaged_snapshot_is_named_with_what_is_hurt_and_fails() {
        let both = [checked("a", &[]), checked("b", &["database.element: blob x is absent"])];
        let expected = "\
ID  STATE    BLOBS     SIZE
a   sound        3  2.0 KiB
b   damaged      3  2.0 KiB
b: database.element: blob x is absent
";
        assert_eq!(to_text(&both), expected);
        let error = damage(&both).expect("one is damaged");
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Damaged, "cannot rely on b"));
    }

    #[test]
    fn sound_snapshots_do_not_fail() {
        assert!(damage(&[checked("a", &[])]).is_none());
    }
}
