//! What a profile says of its service beside the sources.

use url::Url;

use crate::base::error::Result;
use crate::profile::read::roles;
use crate::profile::section::Section;
use crate::profile::section::nearest;
use crate::profile::service::Check;
use crate::profile::service::Command;
use crate::profile::service::Detection;
use crate::profile::service::FollowUp;
use crate::profile::service::Health;
use crate::profile::service::Hook;
use crate::profile::service::Remark;
use crate::profile::service::Retention;
use crate::profile::service::Service;
use crate::profile::service::Undo;
use crate::profile::service::Verb;
use crate::profile::service::When;
use crate::profile::upgrade::Doer;
use crate::profile::upgrade::VersionRules;
use crate::source::files::globs::check_glob;

/// How long a hook, a health check or the question for a version may take where nothing is said.
const SECONDS: u64 = 60;
/// How long the packages may take to come back.
const UNDO_SECONDS: u64 = 600;
/// Nobody keeps more snapshots of one kind.
const MAX_KEPT: u16 = 10_000;

/// The words for the verbs that hooks run around.
pub(in crate::profile) const VERBS: [(&str, Verb); 3] =
    [("create", Verb::Create), ("restore", Verb::Restore), ("upgrade", Verb::Upgrade)];
/// The words for those who do what follows an upgrade.
const DOERS: [(&str, Doer); 2] = [("snap", Doer::Snap), ("person", Doer::Person)];
/// The words for the moments at which hooks run.
pub(in crate::profile) const WHENS: [(&str, When); 4] = [
    ("before", When::Before),
    ("after", When::After),
    ("failed", When::Failed),
    ("finally", When::Finally),
];

/// Changes what is known of a service by what this section states.
pub(super) fn change(service: &mut Service, section: &Section<'_>) -> Result<()> {
    if let Some(about) = section.line("about")? {
        service.about = Some(about);
    }
    if let Some(units) = section.list("units", unit)? {
        service.units = units;
    }
    if section.has("health") {
        service.health = each(section, "health", health)?;
    }
    if section.has("versions") {
        service.versions = each(section, "versions", detection)?;
    }
    if let Some(packages) = section.list("packages", package_glob)? {
        service.packages = packages;
    }
    if let Some(undo) = undo(section)? {
        service.undo = Some(undo);
    }
    if let Some(rules) = rules(section)? {
        service.rules = Some(rules);
    }
    if let Some(stated) = section.section("roles")? {
        let roles = service.roles.get_or_insert_default();
        roles::change(roles, &stated)?;
    }
    if section.has("hooks") {
        service.hooks = each(section, "hooks", hook)?;
    }
    if let Some(stated) = section.section("retention")? {
        retention(&mut service.retention, &stated)?;
    }
    if section.has("follow-ups") {
        service.follow_ups = each(section, "follow-ups", follow_up)?;
    }
    if section.has("new-host") {
        service.new_host = each(section, "new-host", remark)?;
    }
    Ok(())
}

fn each<T>(
    section: &Section<'_>,
    key: &str,
    read: fn(&Section<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    section.sections(key)?.iter().map(read).collect()
}

/// Returns the name of a unit as systemd takes it; what begins with `-` would be an option.
fn unit(name: &str) -> std::result::Result<String, String> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if !name.chars().all(is_known) || name.starts_with('-') {
        return Err(format!("{name:?} is no name of a unit of systemd"));
    }
    if name.ends_with('@') || name.contains("@.") {
        return Err(format!("{name:?} is a template: its instances are units"));
    }
    Ok(name.to_owned())
}

fn package_glob(glob: &str) -> std::result::Result<String, String> {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "+-._:*?[]!".contains(c);
    if !glob.chars().all(is_known) || glob.starts_with('-') {
        return Err(format!("{glob:?} is no name of a package, nor a pattern of names"));
    }
    check_glob(glob).map(|()| glob.to_owned())
}

fn package(section: &Section<'_>, key: &str) -> Result<Option<String>> {
    let Some(name) = section.text(key)? else { return Ok(None) };
    let is_known = |c: char| c.is_ascii_alphanumeric() || "+-._:".contains(c);
    if name.chars().all(is_known) && !name.starts_with('-') {
        return Ok(Some(name));
    }
    Err(section.refuse(key, &format!("`{key}` must be the name of a package")))
}

fn command(section: &Section<'_>, thing: &str, seconds: u64) -> Result<Command> {
    let text = section.required(thing, "command", section.text("command")?)?;
    Ok(Command { text, limit: section.seconds(seconds)? })
}

/// Returns what brings the packages back: a word, or a command.
fn undo(section: &Section<'_>) -> Result<Option<Undo>> {
    if !section.has_section("undo") {
        return Ok(section.word("undo", &[("packages", ())])?.map(|()| Undo::Packages));
    }
    let read = |undo: Section<'_>| {
        undo.allow(&["command", "seconds"])?;
        Ok(Undo::Command(command(&undo, "undo", UNDO_SECONDS)?))
    };
    section.section("undo")?.map(read).transpose()
}

fn health(section: &Section<'_>) -> Result<Health> {
    section.allow(&["url", "status", "contains", "command", "unit", "seconds"])?;
    let check = match (section.text("url")?, section.text("command")?) {
        (Some(url), None) => {
            check_url(section, &url)?;
            let status = section.number("status", 100..=599)?.unwrap_or(200);
            Check::Http { url, status, contains: section.text("contains")? }
        }
        (None, Some(command)) => {
            if let Some(key) = ["status", "contains"].into_iter().find(|key| section.has(key)) {
                let complaint = format!("`{key}` is for a check by `url`");
                return Err(section.refuse(key, &complaint));
            }
            Check::Command(command)
        }
        (Some(_), Some(_)) => {
            let complaint = "a check asks a `url` or a `command`, not both";
            return Err(section.refuse("command", complaint));
        }
        (None, None) => {
            return Err(section.refuse("url", "this check has neither `url` nor `command`"));
        }
    };
    let unit = match section.text("unit")? {
        Some(name) => Some(unit(&name).map_err(|complaint| section.refuse("unit", &complaint))?),
        None => None,
    };
    Ok(Health { check, unit, limit: section.seconds(SECONDS)? })
}

fn check_url(section: &Section<'_>, url: &str) -> Result<()> {
    let complaint = match Url::parse(url) {
        Ok(url) if !["http", "https"].contains(&url.scheme()) => "it must be http or https",
        // Whoever may list the profiles would see it, and so would the journals.
        Ok(url) if url.password().is_some() => "a password does not belong in an address",
        Ok(_) => return Ok(()),
        Err(error) => return Err(section.refuse("url", &format!("`url`: {error}"))),
    };
    Err(section.refuse("url", &format!("`url`: {complaint}")))
}

fn detection(section: &Section<'_>) -> Result<Detection> {
    const WAYS: [&str; 4] = ["rpm", "dpkg", "file", "command"];
    section.allow(&["rpm", "dpkg", "file", "command", "seconds"])?;
    let mut stated = WAYS.into_iter().filter(|key| section.has(key));
    let (Some(way), None) = (stated.next(), stated.next()) else {
        let complaint = "a version is found by one of `rpm`, `dpkg`, `file` and `command`";
        return Err(section.refuse("", complaint));
    };
    if way != "command" && section.has("seconds") {
        return Err(section.refuse("seconds", "`seconds` is for a version found by `command`"));
    }
    let found = match way {
        "rpm" => package(section, "rpm")?.map(Detection::Rpm),
        "dpkg" => package(section, "dpkg")?.map(Detection::Dpkg),
        "file" => section.path("file")?.map(Detection::File),
        _ => Some(Detection::Command(command(section, "version", SECONDS)?)),
    };
    section.required("version", way, found)
}

fn hook(section: &Section<'_>) -> Result<Hook> {
    section.allow(&["when", "verbs", "command", "seconds"])?;
    let verb = |word: &str| {
        let known = VERBS.iter().find(|(name, _)| *name == word);
        known.map(|(_, verb)| *verb).ok_or_else(|| {
            format!("{word:?} is no verb that hooks run around: create, restore and upgrade are")
        })
    };
    let verbs = section.list("verbs", verb)?;
    // A hook without a verb would never run, and who wrote it would think it did.
    if verbs.as_ref().is_some_and(Vec::is_empty) {
        return Err(section.refuse("verbs", "`verbs` names no verb: the hook would never run"));
    }
    Ok(Hook {
        when: section.required("hook", "when", section.word("when", &WHENS)?)?,
        verbs: verbs.unwrap_or_else(|| VERBS.map(|(_, verb)| verb).to_vec()),
        command: command(section, "hook", SECONDS)?,
    })
}

fn retention(retention: &mut Retention, section: &Section<'_>) -> Result<()> {
    section.allow(&["last", "daily", "weekly", "monthly"])?;
    let number = |key: &str| section.number(key, 1..=MAX_KEPT);
    retention.last = number("last")?.or(retention.last);
    retention.daily = number("daily")?.or(retention.daily);
    retention.weekly = number("weekly")?.or(retention.weekly);
    retention.monthly = number("monthly")?.or(retention.monthly);
    Ok(())
}

fn follow_up(section: &Section<'_>) -> Result<FollowUp> {
    section.allow(&["text", "command", "by"])?;
    let text = section.required("follow-up", "text", section.line("text")?)?;
    let command = section.text("command")?;
    let by = section.word("by", &DOERS)?.unwrap_or_default();
    if by == Doer::Snap && command.is_none() {
        return Err(section.refuse("by", "`by = \"snap\"` needs a `command` to run"));
    }
    Ok(FollowUp { text, command, by })
}

fn remark(section: &Section<'_>) -> Result<Remark> {
    section.allow(&["text", "command"])?;
    let text = section.required("remark", "text", section.line("text")?)?;
    Ok(Remark { text, command: section.text("command")? })
}

/// Returns the product whose version rules hold; rules are built in, so its name must be known.
fn rules(section: &Section<'_>) -> Result<Option<String>> {
    let Some(product) = section.text("rules")? else { return Ok(None) };
    if VersionRules::built_in(&product).is_some() {
        return Ok(Some(product));
    }
    let refusal = section.refuse("rules", &format!("there are no version rules of `{product}`"));
    let products: Vec<&str> = VersionRules::products().collect();
    Err(refusal.hint(match nearest(&product, products.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are those of {}", products.join(", ")),
    }))
}
