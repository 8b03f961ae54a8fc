//! Where a profile says that roles are held: `[profiles.NAME.roles]`.

use std::path::Path;

use crate::base::error::Result;
use crate::profile::Profile;
use crate::profile::What;
use crate::profile::section::Section;
use crate::profile::section::nearest;
use crate::profile::service::Column;
use crate::profile::service::Roles;

/// Changes where roles are held by what this section states.
pub(super) fn change(roles: &mut Roles, section: &Section<'_>) -> Result<()> {
    section.allow(&["database", "security-file", "columns"])?;
    if let Some(source) = section.text("database")? {
        roles.database = Some(source);
    }
    if let Some(source) = section.text("security-file")? {
        roles.security_file = Some(source);
    }
    if section.has("columns") {
        roles.columns = section.sections("columns")?.iter().map(column).collect::<Result<_>>()?;
    }
    Ok(())
}

fn column(section: &Section<'_>) -> Result<Column> {
    section.allow(&["source", "table", "column"])?;
    let name = |key: &str| section.required("column", key, section.text(key)?);
    Ok(Column { source: name("source")?, table: name("table")?, column: name("column")? })
}

/// Refuses roles in sources that the profile does not have, or that cannot hold them. This shows
/// only when all is put together: a profile may take the sources of another and not its roles.
pub(super) fn check(profile: &Profile, section: &Section<'_>) -> Result<()> {
    let Some(roles) = &profile.service.roles else { return Ok(()) };
    // Where the roles are not stated here but taken over, the complaint is about the profile.
    let stated = section.section("roles")?;
    let place = stated.as_ref().unwrap_or(section);
    let holds = |key: &str, name: &Option<String>, place: &Section<'_>| match name {
        Some(name) => check_source(profile, place, key, name),
        None => Ok(()),
    };
    holds("database", &roles.database, place)?;
    holds("security-file", &roles.security_file, place)?;
    let stated = match &stated {
        Some(roles) => roles.sections("columns")?,
        None => Vec::new(),
    };
    for (position, column) in roles.columns.iter().enumerate() {
        let place = stated.get(position).unwrap_or(place);
        check_source(profile, place, "source", &column.source)?;
    }
    Ok(())
}

fn check_source(profile: &Profile, place: &Section<'_>, key: &str, name: &str) -> Result<()> {
    let wants_file = key == "security-file";
    let Some(source) = profile.sources.iter().find(|source| source.name == name) else {
        let complaint = format!("roles: profile `{}` has no source `{name}`", profile.name);
        let names: Vec<&str> = profile.sources.iter().map(|source| source.name.as_str()).collect();
        return Err(place.refuse(key, &complaint).hint(
            match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its sources are {}", names.join(", ")),
            },
        ));
    };
    let kind = match &source.what {
        What::Files { path, certificates, globs } if wants_file => {
            let is_folder = *certificates || !globs.is_empty() || names_folder(path);
            if !is_folder {
                return Ok(());
            }
            let complaint = format!("roles: source `{name}` is a folder, not the file itself");
            return Err(place.refuse(key, &complaint));
        }
        What::Database { .. } if !wants_file => return Ok(()),
        _ if wants_file => "files",
        _ => "database",
    };
    let complaint = format!("roles: source `{name}` is not of kind \"{kind}\"");
    Err(place.refuse(key, &complaint))
}

/// Returns whether a path can be that of a folder alone, as it is written.
fn names_folder(path: &Path) -> bool {
    let path = path.as_os_str().as_encoded_bytes();
    [&b"/"[..], b"/.", b"/.."].iter().any(|end| path.ends_with(end))
}
