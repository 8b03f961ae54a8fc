//! The sources of a profile: `[[profiles.NAME.sources]]`.
//!
//! A source that says its `kind` is a new one, and takes the place of one of the same name; one
//! that does not changes the source of that name, key by key.

use crate::base::error::Result;
use crate::profile::CommandPair;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::profile::read::is_plain;
use crate::profile::section::Section;
use crate::source::files::globs::Globs;
use crate::source::files::globs::check_path_glob;

/// How long the commands of a source may take where nothing is said.
const SECONDS: u64 = 3600;

const DATABASE: &[&str] = &["database", "users"];
const FILES: &[&str] = &["path", "certificates", "include", "exclude"];
const COMMAND: &[&str] = &["save", "load", "seconds"];
const KEYS: &[&str] = &[
    "name",
    "kind",
    "optional",
    "database",
    "users",
    "path",
    "certificates",
    "include",
    "exclude",
    "save",
    "load",
    "seconds",
];

#[derive(Clone, Copy, PartialEq)]
enum SourceKind {
    Database,
    Files,
    Command,
}

const KINDS: [(&str, SourceKind); 3] = [
    ("database", SourceKind::Database),
    ("files", SourceKind::Files),
    ("command", SourceKind::Command),
];

/// Changes the sources of a profile by those of its section.
pub(super) fn change(
    sources: &mut Vec<SourceSpec>,
    profile: &str,
    section: &Section<'_>,
) -> Result<()> {
    let mut stated: Vec<String> = Vec::new();
    for section in section.sections("sources")? {
        section.allow(KEYS)?;
        let name = section.required("source", "name", section.text("name")?)?;
        if !is_plain(&name) {
            let complaint = "`name` must be made of letters, digits, `-` and `_`";
            return Err(section.refuse("name", complaint));
        }
        if stated.contains(&name) {
            let complaint = format!("profile `{profile}` has two sources named `{name}`");
            return Err(section.refuse("name", &complaint));
        }
        let place = sources.iter().position(|source| source.name == name);
        let source = source(&section, &name, place.map(|place| &sources[place]))?;
        match place {
            Some(place) => sources[place] = source,
            None => sources.push(source),
        }
        stated.push(name);
    }
    if sources.is_empty() {
        return Err(section.refuse("sources", &format!("profile `{profile}` has no sources")));
    }
    Ok(())
}

fn source(section: &Section<'_>, name: &str, earlier: Option<&SourceSpec>) -> Result<SourceSpec> {
    let stated = section.word("kind", &KINDS)?;
    // A new kind is a new source: nothing of the earlier one holds for it.
    let earlier = earlier.filter(|_| stated.is_none());
    let kind = stated.or(earlier.map(|source| kind(&source.what)));
    let kind = section.required("source", "kind", kind)?;
    refuse_keys_of_other_kinds(section, kind)?;
    let what = match kind {
        SourceKind::Database => database(section, earlier)?,
        SourceKind::Files => files(section, earlier)?,
        SourceKind::Command => command(section, earlier)?,
    };
    let optional = match earlier {
        Some(earlier) if !section.has("optional") => earlier.optional,
        _ => section.flag("optional")?,
    };
    if optional && kind == SourceKind::Command {
        let complaint = "a source of kind \"command\" cannot be `optional`: its command would \
                         have to fail for it to be absent";
        return Err(section.refuse("optional", complaint));
    }
    Ok(SourceSpec { name: name.to_owned(), optional, what })
}

fn database(section: &Section<'_>, earlier: Option<&SourceSpec>) -> Result<What> {
    let (mut database, mut users) = (None, false);
    if let Some(What::Database { database: name, users: earlier }) = earlier.map(|it| &it.what) {
        (database, users) = (Some(name.clone()), *earlier);
    }
    if section.has("users") {
        users = section.flag("users")?;
    }
    let database = section.text("database")?.or(database);
    Ok(What::Database { database: section.required("source", "database", database)?, users })
}

fn files(section: &Section<'_>, earlier: Option<&SourceSpec>) -> Result<What> {
    let (mut path, mut certificates, mut globs) = (None, false, Globs::default());
    if let Some(What::Files { path: earlier, certificates: flag, globs: chosen }) =
        earlier.map(|it| &it.what)
    {
        (path, certificates, globs) = (Some(earlier.clone()), *flag, chosen.clone());
    }
    if section.has("certificates") {
        certificates = section.flag("certificates")?;
    }
    let glob = |glob: &str| check_path_glob(glob).map(|()| glob.to_owned());
    globs.include = section.list("include", glob)?.unwrap_or(globs.include);
    globs.exclude = section.list("exclude", glob)?.unwrap_or(globs.exclude);
    globs.check().map_err(|why| section.refuse("exclude", &why))?;
    let path = section.path("path")?.or(path);
    Ok(What::Files { path: section.required("source", "path", path)?, certificates, globs })
}

fn command(section: &Section<'_>, earlier: Option<&SourceSpec>) -> Result<What> {
    let earlier = match earlier.map(|it| &it.what) {
        Some(What::Command(pair)) => Some(pair),
        _ => None,
    };
    let save = section.text("save")?.or(earlier.map(|pair| pair.save.clone()));
    let load = section.text("load")?.or(earlier.map(|pair| pair.load.clone()));
    let default = earlier.map_or(SECONDS, |pair| pair.limit.as_secs());
    Ok(What::Command(CommandPair {
        save: section.required("source", "save", save)?,
        load: section.required("source", "load", load)?,
        limit: section.seconds(default)?,
    }))
}

const fn kind(what: &What) -> SourceKind {
    match what {
        What::Database { .. } => SourceKind::Database,
        What::Files { .. } => SourceKind::Files,
        What::Command(_) => SourceKind::Command,
    }
}

fn refuse_keys_of_other_kinds(section: &Section<'_>, kind: SourceKind) -> Result<()> {
    let kinds = KINDS.iter().zip([DATABASE, FILES, COMMAND]);
    for ((name, _), keys) in kinds.filter(|((_, other), _)| *other != kind) {
        if let Some(key) = keys.iter().find(|key| section.has(key)) {
            let complaint = format!("`{key}` is for sources of kind \"{name}\"");
            return Err(section.refuse(key, &complaint));
        }
    }
    Ok(())
}
