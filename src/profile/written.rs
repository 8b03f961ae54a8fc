//! A profile as the text that it could be read from: what `snap profile show` prints, to be copied
//! into the configuration file and changed.
//!
//! All that holds is written, also what was taken over from another profile or not stated at all:
//! a copy must go on meaning the same when a new version of this program knows better defaults.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::profile::Profile;
use crate::profile::SourceSpec;
use crate::profile::What;
use crate::profile::read::VERBS;
use crate::profile::read::WHENS;
use crate::profile::read::word_of;
use crate::profile::service::Check;
use crate::profile::service::Column;
use crate::profile::service::Command;
use crate::profile::service::Detection;
use crate::profile::service::FollowUp;
use crate::profile::service::Health;
use crate::profile::service::Hook;
use crate::profile::service::Remark;
use crate::profile::service::Retention;
use crate::profile::service::Roles;
use crate::profile::service::Undo;
use crate::profile::upgrade::Doer;

/// A profile in the words of the configuration file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    at_least_one: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    units: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    packages: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<WrittenUndo<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    versions: Vec<WrittenVersion<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    health: Vec<WrittenHealth<'a>>,
    sources: Vec<WrittenSource<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<WrittenRoles<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<WrittenHook<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<WrittenRetention>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    follow_ups: Vec<WrittenFollowUp<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    new_host: Vec<WrittenRemark<'a>>,
}

impl<'a> Written<'a> {
    /// Returns a profile in the words of the configuration file.
    pub fn of(profile: &'a Profile) -> Self {
        let service = &profile.service;
        Self {
            about: service.about.as_deref(),
            at_least_one: profile.at_least_one,
            units: &service.units,
            packages: &service.packages,
            rules: service.rules.as_deref(),
            undo: service.undo.as_ref().map(WrittenUndo::of),
            versions: service.versions.iter().map(WrittenVersion::of).collect(),
            health: service.health.iter().map(WrittenHealth::of).collect(),
            sources: profile.sources.iter().map(WrittenSource::of).collect(),
            roles: service.roles.as_ref().map(WrittenRoles::of),
            hooks: service.hooks.iter().map(WrittenHook::of).collect(),
            retention: WrittenRetention::of(service.retention),
            follow_ups: service.follow_ups.iter().map(WrittenFollowUp::of).collect(),
            new_host: service.new_host.iter().map(WrittenRemark::of).collect(),
        }
    }
}

/// Returns a profile as a text that can be copied into the configuration file.
pub fn to_toml(profile: &Profile) -> String {
    let named = BTreeMap::from([(&profile.name, Written::of(profile))]);
    let file = BTreeMap::from([("profiles", named)]);
    toml::to_string_pretty(&file).expect("a profile is texts, numbers and lists of them")
}

#[derive(Debug, Serialize)]
struct WrittenCommand<'a> {
    command: &'a str,
    seconds: u64,
}

impl<'a> WrittenCommand<'a> {
    fn of(command: &'a Command) -> Self {
        Self { command: &command.text, seconds: command.limit.as_secs() }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WrittenUndo<'a> {
    Word(&'static str),
    Command(WrittenCommand<'a>),
}

impl<'a> WrittenUndo<'a> {
    fn of(undo: &'a Undo) -> Self {
        match undo {
            Undo::Packages => Self::Word("packages"),
            Undo::Command(command) => Self::Command(WrittenCommand::of(command)),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WrittenVersion<'a> {
    Rpm { rpm: &'a str },
    Dpkg { dpkg: &'a str },
    File { file: &'a Path },
    Command(WrittenCommand<'a>),
}

impl<'a> WrittenVersion<'a> {
    fn of(detection: &'a Detection) -> Self {
        match detection {
            Detection::Rpm(rpm) => Self::Rpm { rpm },
            Detection::Dpkg(dpkg) => Self::Dpkg { dpkg },
            Detection::File(file) => Self::File { file },
            Detection::Command(command) => Self::Command(WrittenCommand::of(command)),
        }
    }
}

#[derive(Debug, Serialize)]
struct WrittenHealth<'a> {
    #[serde(flatten)]
    check: WrittenCheck<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    seconds: u64,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum WrittenCheck<'a> {
    Http {
        url: &'a str,
        status: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        contains: Option<&'a str>,
    },
    Command {
        command: &'a str,
    },
}

impl<'a> WrittenHealth<'a> {
    fn of(health: &'a Health) -> Self {
        let check = match &health.check {
            Check::Http { url, status, contains } => {
                WrittenCheck::Http { url, status: *status, contains: contains.as_deref() }
            }
            Check::Command(command) => WrittenCheck::Command { command },
        };
        Self { check, unit: health.unit.as_deref(), seconds: health.limit.as_secs() }
    }
}

#[derive(Debug, Serialize)]
struct WrittenSource<'a> {
    name: &'a str,
    #[serde(flatten)]
    what: WrittenWhat<'a>,
    #[serde(skip_serializing_if = "is_false")]
    optional: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum WrittenWhat<'a> {
    Database {
        database: &'a str,
        #[serde(skip_serializing_if = "is_false")]
        users: bool,
    },
    Files {
        path: &'a Path,
        #[serde(skip_serializing_if = "is_false")]
        certificates: bool,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        include: &'a [String],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        exclude: &'a [String],
    },
    Command {
        save: &'a str,
        load: &'a str,
        seconds: u64,
    },
}

impl<'a> WrittenSource<'a> {
    fn of(source: &'a SourceSpec) -> Self {
        let what = match &source.what {
            What::Database { database, users } => WrittenWhat::Database { database, users: *users },
            What::Files { path, certificates, globs } => WrittenWhat::Files {
                path,
                certificates: *certificates,
                include: &globs.include,
                exclude: &globs.exclude,
            },
            What::Command(pair) => WrittenWhat::Command {
                save: &pair.save,
                load: &pair.load,
                seconds: pair.limit.as_secs(),
            },
        };
        Self { name: &source.name, what, optional: source.optional }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct WrittenRoles<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_file: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    columns: Vec<WrittenColumn<'a>>,
}

#[derive(Debug, Serialize)]
struct WrittenColumn<'a> {
    source: &'a str,
    table: &'a str,
    column: &'a str,
}

impl<'a> WrittenRoles<'a> {
    fn of(roles: &'a Roles) -> Self {
        let column = |it: &'a Column| WrittenColumn {
            source: &it.source,
            table: &it.table,
            column: &it.column,
        };
        Self {
            database: roles.database.as_deref(),
            security_file: roles.security_file.as_deref(),
            columns: roles.columns.iter().map(column).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct WrittenHook<'a> {
    when: &'static str,
    verbs: Vec<&'static str>,
    #[serde(flatten)]
    command: WrittenCommand<'a>,
}

impl<'a> WrittenHook<'a> {
    fn of(hook: &'a Hook) -> Self {
        Self {
            when: word_of(&WHENS, hook.when),
            verbs: hook.verbs.iter().map(|verb| word_of(&VERBS, *verb)).collect(),
            command: WrittenCommand::of(&hook.command),
        }
    }
}

#[derive(Debug, Serialize)]
struct WrittenRetention {
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekly: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly: Option<u16>,
}

impl WrittenRetention {
    fn of(retention: Retention) -> Option<Self> {
        let Retention { last, daily, weekly, monthly } = retention;
        (retention != Retention::default()).then_some(Self { last, daily, weekly, monthly })
    }
}

#[derive(Debug, Serialize)]
struct WrittenFollowUp<'a> {
    #[serde(flatten)]
    remark: WrittenRemark<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<Doer>,
}

impl<'a> WrittenFollowUp<'a> {
    fn of(follow_up: &'a FollowUp) -> Self {
        let FollowUp { text, command, by } = follow_up;
        let by = (*by != Doer::default()).then_some(*by);
        Self { remark: WrittenRemark { text, command: command.as_deref() }, by }
    }
}

#[derive(Debug, Serialize)]
struct WrittenRemark<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
}

impl<'a> WrittenRemark<'a> {
    fn of(remark: &'a Remark) -> Self {
        Self { text: &remark.text, command: remark.command.as_deref() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests {
    use crate::profile::config::Config;
    use crate::profile::read::tests::EVERYTHING;

    use super::*;

    fn read(text: &str, name: &str) -> Profile {
        let config = Config::parse(Path::new("snap.toml"), text);
        let config = config.unwrap_or_else(|error| panic!("{error}:\n{text}"));
        config.profiles.into_iter().find(|profile| profile.name == name).unwrap()
    }

    #[test]
    fn a_profile_that_is_written_and_read_again_is_the_same() {
        let odd = r#"
            [[profiles.odd.sources]]
            name = "script"
            kind = "command"
            save = "cat <<'E' | tr a \"b\"\nx\\\nE\n"
            load = '''cat > "$HOME"'''
            [[profiles.odd.sources]]
            name = "some"
            kind = "files"
            path = "/etc/'a b'"
            optional = true
            certificates = true
            include = ["a", '\[', "'"]
            exclude = ["b"]
            [[profiles.odd.sources]]
            name = "data"
            kind = "database"
            database = "data`"
            users = true
            "#;
        let written = Config::parse(Path::new("snap.toml"), &format!("{EVERYTHING}{odd}")).unwrap();
        for (profile, _) in written.known() {
            let text = to_toml(&profile);
            assert_eq!(read(&text, &profile.name), profile, "{text}");
        }
    }

    #[test]
    fn all_that_holds_is_written_though_nobody_stated_it() {
        let text = "[[profiles.a.sources]]\nname = 'x'\nkind = 'command'\nsave = 's'\nload = 'l'\n\
                    [[profiles.a.hooks]]\nwhen = 'after'\ncommand = 'c'";
        let expected = "\
[[profiles.a.sources]]
name = \"x\"
kind = \"command\"
save = \"s\"
load = \"l\"
seconds = 3600

[[profiles.a.hooks]]
when = \"after\"
verbs = [
    \"create\",
    \"restore\",
    \"upgrade\",
]
command = \"c\"
seconds = 60
";
        assert_eq!(to_toml(&read(text, "a")), expected);
    }
}
