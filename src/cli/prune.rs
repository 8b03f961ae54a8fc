//! `snap prune`.

use jiff::SignedDuration;
use jiff::Span;
use jiff::SpanRelativeTo;

use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::human::counted;
use crate::cli::human::size;
use crate::cli::settings::Settings;
use crate::snapshot::execution::record;
use crate::snapshot::execution::refuse_unfinished;
use crate::snapshot::prune::PruneOptions;
use crate::snapshot::prune::Pruned;
use crate::snapshot::prune::prune;

/// Remove the blobs that no snapshot names, and what interrupted runs left behind
///
/// Deleted snapshots give their space back here. Whatever is younger than the grace period stays:
/// it may belong to a snapshot that is being made. A repository with a damaged snapshot is not
/// pruned, because nobody knows which blobs that one names.
#[derive(clap::Args)]
#[command(after_help = "Example: snap prune --dry-run")]
pub(super) struct Args {
    /// Say what would be removed and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Keep what is younger than this, such as `90min`, `24h` or `7d`
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = grace)]
    grace: SignedDuration,
}

pub(super) async fn run(args: &Args, settings: &Settings, monitor: &dyn Monitor) -> Result<Answer> {
    let options = PruneOptions { dry_run: args.dry_run, grace: args.grace };
    let journals = settings.journals();
    refuse_unfinished(&journals, "prune")?;
    let pruning = async || {
        let repository = settings.open("prune").await?;
        prune(&repository, settings.now, &options).await
    };
    let pruned = if args.dry_run {
        pruning().await?
    } else {
        record(&journals, settings.about("prune", None), monitor, async |_| pruning().await).await?
    };
    let answer = Answer::new("prune", &pruned, to_text(&pruned));
    Ok(if pruned.done { answer.least(String::new()) } else { answer })
}

fn to_text(pruned: &Pruned) -> String {
    let removed = if pruned.done { "removed" } else { "would remove" };
    let blobs = counted(pruned.blobs, "blob");
    let staging_files = counted(pruned.staging_files, "unfinished file");
    let size = size(pruned.bytes);
    let young = counted(pruned.kept_young, "blob");
    format!(
        "{removed} {blobs} and {staging_files}, {size}\nkept {young} younger than the grace period\n"
    )
}

fn grace(text: &str) -> std::result::Result<SignedDuration, String> {
    let span = text.parse::<Span>().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    duration
        .filter(|duration| !duration.is_negative())
        .ok_or_else(|| "a time is a number and a unit, such as `90min`, `24h` or `7d`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_is_a_number_and_a_unit() {
        assert_eq!(grace("90min"), Ok(SignedDuration::from_mins(90)));
        assert_eq!(grace("24h"), Ok(SignedDuration::from_hours(24)));
        assert_eq!(grace("7d"), Ok(SignedDuration::from_hours(168)));
        assert_eq!(grace("0s"), Ok(SignedDuration::ZERO));
        for text in ["", "24", "-1h", "1 month", "soon"] {
            assert!(grace(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_dry_run_says_would() {
        let pruned = Pruned { blobs: 1, bytes: 2048, kept_young: 2, staging_files: 0, done: false };
        let expected = "would remove 1 blob and 0 unfinished files, 2.0 KiB\n\
                        kept 2 blobs younger than the grace period\n";
        assert_eq!(to_text(&pruned), expected);
    }
}
