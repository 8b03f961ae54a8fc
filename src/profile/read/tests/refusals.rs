//! With which words a wrong profile is refused.

use std::path::Path;

use crate::base::error::Kind;
use crate::profile::config::Config;
use crate::profile::read::tests::EVERYTHING;
use crate::profile::read::tests::FILE;

/// A profile of one source, to which what is tested is added.
const ONE: &str = "[[profiles.a.sources]]\nname = 'x'\nkind = 'files'\npath = '/x'\n";

/// Returns the complaint, from the line on, and the hint with which the text is refused.
fn refusal(text: &str) -> (String, Option<String>) {
    let error = Config::parse(Path::new(FILE), text).map(drop).expect_err(text);
    assert_eq!(error.kind(), Kind::Usage, "{text}");
    let message = error.to_string();
    let complaint = message.strip_prefix("cannot use /etc/snap/snap.toml, ");
    (complaint.expect("the file is named").to_owned(), error.advice().map(str::to_owned))
}

#[test]
fn what_extends_in_a_circle_or_nothing_known_is_refused_by_name_and_line() {
    let (complaint, _) = refusal(
        "[profiles.a]\nextends = 'b'\n[profiles.b]\nextends = 'c'\n[profiles.c]\nextends = 'a'",
    );
    assert_eq!(complaint, "line 6: `a` extends `b` extends `c` extends `a`, which is a circle");
    let (complaint, hint) = refusal(&format!("{ONE}[profiles.b]\nextends = 'studo'"));
    assert_eq!(complaint, "line 6: there is no profile `studo`");
    assert_eq!(hint.as_deref(), Some("did you mean `studio`?"));
    let (complaint, hint) = refusal("[profiles.own]\nextends = 'own'");
    assert_eq!(complaint, "line 2: there is no profile `own`", "there is no built-in one");
    assert!(hint.is_some_and(|hint| hint.starts_with("known profiles: ")));
}

#[test]
fn a_key_that_resembles_none_names_all_right_keys() {
    let (complaint, hint) = refusal("[profiles.a]\nxyz = 1");
    assert_eq!(complaint, "line 2: unknown key `xyz` in [profiles.a]");
    let hint = hint.expect("right keys");
    assert!(hint.starts_with("known here: about, extends, sources, "), "{hint}");
}

/// What follows `sources = [` or stands in its place, and the complaint about it.
const WRONG_SOURCES: &str = r#"
[profiles.b] | 2: profile `b` has no sources
[profiles.'b c'] | 2: profile `b c`: a name is made of letters, digits, `-` and `_`
[profiles.b]; sources = 3 | 3: `sources` must be a list of tables, each headed [[…]]
[[profiles.b.sources]]; name = 'b c' | 3: `name` must be made of letters, digits, `-` and `_`
[[profiles.b.sources]]; kind = 'files' | 2: this source has no `name`
[[S]] | 2: this source has no `kind`
[[S]]; kind = 'folder' | 4: `kind` must be "database", "files" or "command"
[[S]]; kind = 'database' | 2: this source has no `database`
[[S]]; kind = 'database'; database = 'd'; path = '/x' | 6: `path` is for sources of kind "files"
[[S]]; kind = 'database'; database = 'd'; save = 'x' | 6: `save` is for sources of kind "command"
[[S]]; kind = 'files' | 2: this source has no `path`
[[S]]; kind = 'files'; path = 'etc' | 5: `path` must be an absolute path in quotes
[[S]]; kind = 'files'; path = '/x'; optional = 1 | 6: `optional` must be true or false
[[S]]; kind = 'files'; path = '/x'; users = true | 6: `users` is for sources of kind "database"
[[S]]; kind = 'files'; path = '/x'; include = '*' | 6: `include` must be a list of texts in quotes: ["…"]
[[S]]; kind = 'files'; path = '/x'; include = [1] | 6: `include` must be a list of texts in quotes, none of them empty
[[S]]; kind = 'files'; path = '/x'; exclude = [; 'a*',; '[b'] | 8: `exclude`: "[b" is no pattern: unclosed character class; missing ']'
[[S]]; kind = 'command'; load = 'x' | 2: this source has no `save`
[[S]]; kind = 'command'; save = 'x' | 2: this source has no `load`
[[S]]; kind = 'command'; save = 'x'; load = 'y'; seconds = 0 | 7: `seconds` must be a number from 1 to 86400
[[S]]; kind = 'command'; save = 'x'; load = 'y'; seconds = 86_401 | 7: `seconds` must be a number from 1 to 86400
[profiles.b]; extends = 'a'; [[S]] | 4: this source has no `kind`
[profiles.b]; extends = 'a'; [[profiles.b.sources]]; name = 'x'; users = true | 6: `users` is for sources of kind "database"
"#;

#[test]
fn a_wrong_source_names_the_line_and_what_is_allowed() {
    for case in WRONG_SOURCES.trim().lines() {
        let (text, complaint) = case.split_once(" | ").expect("a case and its complaint");
        let text = text.replace("[[S]]", "[[profiles.b.sources]]; name = 'y'").replace("; ", "\n");
        let text =
            format!("profiles.a.sources = [{{ name = 'x', kind = 'files', path = '/x' }}]\n{text}");
        assert_eq!(refusal(&text).0, format!("line {complaint}"), "{text}");
    }
}

#[test]
fn two_sources_of_one_name_are_refused() {
    let (complaint, _) = refusal(&format!("{ONE}{ONE}"));
    assert_eq!(complaint, "line 6: profile `a` has two sources named `x`");
}

#[test]
fn a_command_cannot_be_optional() {
    let (complaint, _) = refusal(
        "[[profiles.a.sources]]\nname = 'x'\nkind = 'command'\nsave = 's'\nload = 'l'\n\
         optional = true",
    );
    assert!(complaint.starts_with("line 6: a source of kind \"command\" cannot"), "{complaint}");
}

/// A line about a service, and the complaint about it.
const WRONG_WORDS: &str = r#"
about = "a\nb" | `about` must be a single line
units = ['map@.service'] | `units`: "map@.service" is a template: its instances are units
units = ['ok', '-H x'] | `units`: "-H x" is no name of a unit of systemd
packages = ['map *'] | `packages`: "map *" is no name of a package, nor a pattern of names
packages = ['['] | `packages`: "[" is no pattern: unclosed character class; missing ']'
rules = 'centreon' | there are no version rules of `centreon`
health = [{}] | this check has neither `url` nor `command`
health = [{ url = 'x' }] | `url`: relative URL without a base
health = [{ url = 'http://x', command = 'y' }] | a check asks a `url` or a `command`, not both
health = [{ url = 'ftp://x' }] | `url`: it must be http or https
health = [{ url = 'http://u:p@x' }] | `url`: a password does not belong in an address
health = [{ url = 'http://x', status = 99 }] | `status` must be a number from 100 to 599
health = [{ url = 'http://x', seconds = 0 }] | `seconds` must be a number from 1 to 86400
health = [{ url = 'http://x', unit = 'a b' }] | "a b" is no name of a unit of systemd
health = [{ command = 'x', contains = 'y' }] | `contains` is for a check by `url`
versions = [{ rpm = 'a', dpkg = 'a' }] | a version is found by one of `rpm`, `dpkg`, `file` and `command`
versions = [{ rpm = '--all' }] | `rpm` must be the name of a package
versions = [{ file = 'version' }] | `file` must be an absolute path in quotes
versions = [{ rpm = 'a', seconds = 1 }] | `seconds` is for a version found by `command`
hooks = [{ command = 'x' }] | this hook has no `when`
hooks = [{ when = 'befor', command = 'x' }] | `when` must be "before", "after", "failed" or "finally"
hooks = [{ when = 'after', verbs = ['creat'], command = 'x' }] | `verbs`: "creat" is no verb that hooks run around: create, restore and upgrade are
hooks = [{ when = 'after', verbs = [], command = 'x' }] | `verbs` names no verb: the hook would never run
hooks = [{ when = 'after' }] | this hook has no `command`
undo = { seconds = 1 } | this undo has no `command`
undo = 'package' | `undo` must be "packages"
retention = { daily = 0 } | `daily` must be a number from 1 to 10000
retention = { yearly = 1 } | unknown key `yearly` in [profiles.a.retention]
follow-ups = [{ command = 'x' }] | this follow-up has no `text`
follow-ups = [{ text = 'x', by = 'snap' }] | `by = "snap"` needs a `command` to run
new-host = [{ command = 'x' }] | this remark has no `text`
roles = { database = 'y' } | roles: profile `a` has no source `y`
roles = { database = 'x' } | roles: source `x` is not of kind "database"
roles = { columns = [{ source = 'x', table = 't', column = 'c' }] } | roles: source `x` is not of kind "database"
roles = { columns = [{ source = 'x', table = 't' }] } | this column has no `column`
"#;

#[test]
fn a_wrong_word_about_the_service_names_the_line_and_what_is_allowed() {
    for case in WRONG_WORDS.trim().lines() {
        let (text, complaint) = case.split_once(" | ").expect("a case and its complaint");
        let text = format!(
            "[profiles.a]\nsources = [{{ name = 'x', kind = 'files', path = '/x' }}]\n{text}"
        );
        assert_eq!(refusal(&text).0, format!("line 3: {complaint}"), "{text}");
    }
}

#[test]
fn roles_that_were_taken_over_must_fit_the_sources_of_the_new_profile() {
    let text = format!(
        "{EVERYTHING}\n[profiles.child]\nextends = 'b'\nsources = [{{ name = 'users', kind = \
         'database', database = 'u' }}]"
    );
    let (complaint, _) = refusal(&text);
    assert!(complaint.ends_with("roles: source `users` is not of kind \"files\""), "{complaint}");
}

#[test]
fn a_security_file_that_can_only_be_a_folder_is_refused() {
    for files in
        ["path = '/x/'", "path = '/x', certificates = true", "path = '/x', exclude = ['y']"]
    {
        let text = format!(
            "[profiles.a]\nsources = [{{ name = 'x', kind = 'files', {files} }}]\n\
             roles = {{ security-file = 'x' }}"
        );
        let (complaint, _) = refusal(&text);
        let why = "roles: source `x` is a folder, not the file itself";
        assert!(complaint.ends_with(why), "{complaint}");
    }
}

#[test]
fn a_misspelt_word_is_answered_with_the_nearest_one() {
    let start = "[profiles.a]\nsources = [{ name = 'x', kind = 'files', path = '/x' }]\n";
    for (text, hint) in [
        ("rules = 'centreon-mapp'", "did you mean `centreon-map`?"),
        (
            "rules = 'x'",
            "there are those of centreon-map, centreon-map-engine, centreon-poller, cloudify-manager",
        ),
        ("hooks = [{ when = 'befor', command = 'x' }]", "did you mean \"before\"?"),
        ("roles = { security-file = 'y' }", "its sources are x"),
    ] {
        assert_eq!(refusal(&format!("{start}{text}")).1.as_deref(), Some(hint), "{text}");
    }
}
