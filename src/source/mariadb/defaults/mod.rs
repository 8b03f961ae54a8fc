//! Reads option files (`my.cnf`) as MariaDB's own programs read them.
//!
//! An operator who can type `mariadb` can then type `snap`: the same files, the same groups, the
//! same odd corners (a `#` ends an unquoted value, `[ client]` is not `[client]`, an include is
//! relative to the working folder). What the settings mean is the business of
//! [`login`](super::login). A broken file is an error that names the file and the line; a file that
//! MariaDB would leave out is left out, and a note says so.

use std::fs;
use std::io;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;

/// The groups that concern a client of the server.
const GROUPS: &[&str] = &["client", "client-server", "client-mariadb"];

/// The option files that are read when none is named; the one of the home folder comes last.
const DEFAULT_FILES: &[&str] = &["/etc/my.cnf", "/etc/mysql/my.cnf"];

/// How deep one file may include another.
const MAX_DEPTH: usize = 10;

/// The settings of all option files, in the order in which they take effect: the last one wins.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    /// The settings of the client groups.
    pub(super) settings: Vec<Setting>,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
}

/// One setting, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The name, with `-` for `_`.
    pub(super) name: String,
    /// The value; `None` for a name without `=`.
    pub(super) value: Option<String>,
    /// The file it was read from.
    pub(super) file: PathBuf,
    /// The line in that file, from 1.
    pub(super) line: usize,
}

impl Setting {
    /// Returns an error that names the setting's place.
    pub(super) fn error(&self, problem: &str) -> Error {
        broken(&self.file, self.line, &format!("`{}` {problem}", self.name))
    }
}

/// Whether lines count: a group's heading decides it for the lines that follow.
#[derive(Clone, Copy)]
enum Group {
    /// No heading was seen yet.
    None,
    /// A group for clients.
    Read,
    /// A group for some other program.
    Skipped,
}

impl Defaults {
    /// Returns the settings of the named file, or of the files that MariaDB reads by default.
    ///
    /// The file that was asked for has to be there; the default ones need not.
    pub(super) fn read(file: Option<&Path>, home: Option<&Path>) -> Result<Self> {
        let mut defaults = Self::default();
        if let Some(file) = file {
            fs::File::open(file).map_err(|cause| {
                let message = format!("cannot open option file {}", file.display());
                let hint = "name a readable file by --defaults-file, or leave it out";
                Error::new(Kind::Usage, message).caused_by(cause).hint(hint)
            })?;
            defaults.read_file(file, 0)?;
            return Ok(defaults);
        }
        for file in DEFAULT_FILES {
            defaults.read_file(Path::new(file), 0)?;
        }
        if let Some(home) = home {
            defaults.read_file(&home.join(".my.cnf"), 0)?;
        }
        Ok(defaults)
    }

    /// Adds the settings of one file; a file that cannot be read adds at most a note.
    fn read_file(&mut self, file: &Path, depth: usize) -> Result<()> {
        match read_safely(file) {
            Ok(Some(text)) => self.read_lines(file, &text, depth),
            Ok(None) => {
                let advice = format!("`chmod o-w {}` puts it right", file.display());
                let what = format!("option file {} is ignored", file.display());
                self.notes.push(format!("{what}: everybody may write to it; {advice}"));
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => {
                self.notes.push(format!("option file {} is ignored: {error}", file.display()));
                Ok(())
            }
        }
    }

    fn read_lines(&mut self, file: &Path, text: &str, depth: usize) -> Result<()> {
        let mut group = Group::None;
        for (index, line) in text.split('\n').enumerate() {
            let number = index + 1;
            let line = line.trim_ascii_start();
            match line.bytes().next() {
                None | Some(b'#' | b';') => {}
                Some(b'!') => self.read_directive(file, number, &line[1..], depth)?,
                Some(b'[') => group = read_heading(file, number, line)?,
                Some(_) => match group {
                    Group::None => {
                        return Err(broken(file, number, "a setting stands before any [group]"));
                    }
                    Group::Skipped => {}
                    Group::Read => self.settings.push(read_setting(file, number, line)),
                },
            }
        }
        Ok(())
    }

    /// Follows `!include FILE` and `!includedir FOLDER`; other directives do nothing.
    fn read_directive(&mut self, file: &Path, line: usize, text: &str, depth: usize) -> Result<()> {
        let text = text.trim_ascii();
        let (name, argument) =
            text.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((text, ""));
        if !matches!(name, "include" | "includedir") {
            return Ok(());
        }
        let argument = argument.trim_ascii();
        if argument.is_empty() {
            return Err(broken(file, line, &format!("`!{name}` names nothing")));
        }
        if depth >= MAX_DEPTH {
            let place = format!("{} line {line}", file.display());
            self.notes.push(format!("`!{text}` is ignored: includes are too deep at {place}"));
            return Ok(());
        }
        if name == "include" {
            return self.read_file(Path::new(argument), depth + 1);
        }
        let files = option_files(Path::new(argument)).map_err(|cause| {
            broken(file, line, &format!("cannot list folder {argument}")).caused_by(cause)
        })?;
        files.iter().try_for_each(|included| self.read_file(included, depth + 1))
    }
}

/// Returns a file's text, `None` for a regular file that everybody may write to: such a one may
/// have been left by anybody, and MariaDB does not trust it either.
fn read_safely(file: &Path) -> io::Result<Option<String>> {
    let metadata = fs::metadata(file)?;
    if metadata.is_file() && metadata.mode() & 0o002 != 0 {
        return Ok(None);
    }
    // Comments in an old character set must not stop the reading.
    Ok(Some(String::from_utf8_lossy(&fs::read(file)?).into_owned()))
}

/// Returns the `*.cnf` files of a folder, sorted by name.
fn option_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "cnf"));
    files.sort();
    Ok(files)
}

fn read_heading(file: &Path, number: usize, line: &str) -> Result<Group> {
    let Some((name, _)) = line[1..].split_once(']') else {
        return Err(broken(file, number, "a [group] lacks its `]`"));
    };
    let name = name.trim_ascii_end();
    let is_ours = GROUPS.iter().any(|group| group.eq_ignore_ascii_case(name));
    Ok(if is_ours { Group::Read } else { Group::Skipped })
}

fn read_setting(file: &Path, number: usize, line: &str) -> Setting {
    let line = without_comment(line);
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(unescaped(unquoted(value.trim_ascii())))),
        None => (line, None),
    };
    let name = name.trim_ascii().replace('_', "-");
    Setting { name, value, file: file.to_owned(), line: number }
}

/// Returns a line up to the first `#` that no quotes enclose.
fn without_comment(line: &str) -> &str {
    let mut open = None;
    let mut is_escaped = false;
    for (position, character) in line.char_indices() {
        match character {
            '\'' | '"' if !is_escaped && open.is_none() => open = Some(character),
            '\'' | '"' if !is_escaped && open == Some(character) => open = None,
            '#' if open.is_none() => return &line[..position],
            _ => {}
        }
        is_escaped = open.is_some() && character == '\\' && !is_escaped;
    }
    line
}

/// Returns a value without the quotes that enclose all of it.
fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// Returns a value with its escapes replaced; an unknown one stays as it is.
fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('s') => text.push(' '),
            Some(known @ ('"' | '\'' | '\\')) => text.push(known),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

fn broken(file: &Path, line: usize, problem: &str) -> Error {
    let message = format!("cannot read option file {} line {line}: {problem}", file.display());
    Error::new(Kind::Usage, message)
        .hint("`my_print_defaults client client-server client-mariadb` shows what MariaDB reads")
}

#[cfg(test)]
mod tests;
