//! `snap create`.

use std::pin::Pin;

use clap::builder::NonEmptyStringValueParser;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::monitor::Monitor;
use crate::cli::answer::Answer;
use crate::cli::hooked::hooked;
use crate::cli::human::count;
use crate::cli::human::listed;
use crate::cli::human::size;
use crate::cli::settings::Settings;
use crate::cli::table::Table;
use crate::profile::service::Verb;
use crate::profile::version::Version;
use crate::repository::summary::Summary;
use crate::snapshot::create::CreateOptions;
use crate::snapshot::create::create;
use crate::snapshot::execution::Journal;

/// Save the database, the certificates and the files as one snapshot
///
/// The service keeps running, and all tables are of one moment. What is unchanged since the last
/// snapshot is not written again. The snapshot is listed only once it is complete; one that lacks
/// something, such as a file that could not be read, says so for ever. The repository is made when
/// its folder is absent or empty.
///
/// The first line of the answer is the id; with --quiet it is the only one.
#[derive(clap::Args)]
#[command(after_help = "Example: snap create before-upgrade --tag weekly --note 'ticket 4711'")]
pub(super) struct Args {
    /// The id of the snapshot: letters, digits, `-`, `.` and `_`, first a letter, at most 128
    ///
    /// Without it: `snapshot_` and six letters and digits. One that is taken is refused.
    id: Option<String>,

    /// Add a tag, which `snap list` shows; may be given several times
    #[arg(long = "tag", value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    tags: Vec<String>,

    /// Add a note, which `snap list` shows
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    note: Option<String>,

    /// Leave out this source of the profile, such as `certificates`; may be given several times
    #[arg(long, value_name = "SOURCE", value_parser = NonEmptyStringValueParser::new())]
    exclude: Vec<String>,

    /// State the product's version, which the snapshot keeps, instead of what is detected
    ///
    /// A restore compares it with the version of the host that it comes to: a snapshot of a newer
    /// product is refused, and roles of before 4.2 become those of 4.2 and above.
    #[arg(long, value_name = "VERSION", value_parser = NonEmptyStringValueParser::new())]
    from_version: Option<String>,
}

pub(super) async fn run(
    args: Args,
    settings: &Settings,
    monitor: &dyn Monitor,
    interruption: impl Future<Output = Error>,
) -> Result<Answer> {
    let options = CreateOptions {
        id: args.id.as_deref().map(str::parse).transpose()?,
        tags: args.tags,
        note: args.note,
        exclude: args.exclude,
        from_version: args.from_version,
    };
    if let Some(version) = &options.from_version {
        version.parse::<Version>()?;
    }
    let creating = async |journal: &Journal, stop: Pin<&mut _>| {
        let host = settings.host(monitor)?;
        let repository = settings.open_or_create("create").await?;
        create(&repository, &settings.profile, &host, &options, monitor, journal, stop).await
    };
    let created = hooked(Verb::Create, args.id, settings, monitor, interruption, creating).await?;
    Ok(answer(&created))
}

/// Returns the answer about a snapshot that is new in the repository.
pub(super) fn answer(summary: &Summary) -> Answer {
    let id = format!("{}\n", summary.id);
    let mut table = Table::of_values();
    table.row(["  sources".to_owned(), listed(&summary.sources)]);
    table.row(["  rows".to_owned(), count(summary.rows)]);
    table.row(["  raw".to_owned(), size(summary.raw_bytes)]);
    table.row(["  stored".to_owned(), size(summary.stored_bytes)]);
    // What an upload wrote is not known, and a reader would take 0 for the truth.
    if !summary.uploaded {
        table.row(["  new".to_owned(), size(summary.written_bytes)]);
    }
    Answer::new("snapshot", summary, format!("{id}{}", table.to_text())).least(id)
}
