//! Whether a command of an upgrade is at work still, after the process that ran it was killed.
//!
//! A package manager is not ended with `snap`: so nobody goes back before it has ended. A command
//! signs a file before it becomes what it is, with its line in `/proc`: number and beginning, since
//! a number may be given to another process later.

use std::fs;
use std::io;
use std::path::Path;

use crate::base::error::Context as _;
use crate::base::error::Result;

/// What the shell does to sign `$0` and become the command that its arguments are. That it cannot
/// sign, on a disk that is full, keeps it from nothing.
pub(super) const SIGN: &str = "\
{ read -r line <\"/proc/$$/stat\" && printf '%s\\n' \"$line\" >\"$0\"; } 2>/dev/null
exec \"$@\"";

/// Returns the process group that signed a file, where anything in it is at work.
pub(super) fn at_work(file: &Path) -> Result<Option<u32>> {
    let line = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        line => line.context(|| format!("cannot read {}", file.display()))?,
    };
    // Killed while it signed, it has not become the command.
    let Some(signed) = Process::parse(&line) else { return Ok(None) };
    let processes = processes().context(|| "cannot list the processes in /proc".to_owned())?;
    let is_other = |process: &Process| process.id == signed.id && process.began != signed.began;
    let is_at_work = |process: &Process| process.group == signed.id && !process.is_dead;
    let lives = !processes.iter().any(is_other) && processes.iter().any(is_at_work);
    Ok(lives.then_some(signed.id))
}

/// A line of `/proc/ID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    group: u32,
    /// When, in ticks since the machine began.
    began: u64,
    /// Whether nothing but its end is left, which nobody has asked for.
    is_dead: bool,
}

impl Process {
    fn parse(line: &str) -> Option<Self> {
        // The second field is a name in parentheses, which may hold anything.
        let (id, rest) = line.split_once(' ')?;
        let (_, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            id: id.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            began: fields.get(19)?.parse().ok()?,
            is_dead: matches!(fields[0], "Z" | "X"),
        })
    }
}

fn processes() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // A process may end while it is looked at.
        let line = fs::read_to_string(entry?.path().join("stat"));
        processes.extend(line.ok().as_deref().and_then(Process::parse));
    }
    Ok(processes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "7 (a) S 1 (b c) S 1 5 5 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 4711 9 9";
        let process = Process { id: 7, group: 5, began: 4711, is_dead: false };
        assert_eq!(Process::parse(line), Some(process));
        assert_eq!(Process::parse("7 (a"), None);
    }

    #[test]
    fn a_command_is_at_work_until_all_of_its_group_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("process");
        assert_eq!(at_work(&file).unwrap(), None);
        let mut command = Command::new("sh");
        let words = ["sh", "-c", "sleep 1000 & read -r line"];
        command.args(["-c", SIGN]).arg(&file).args(words).process_group(0);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        while at_work(&file).unwrap().is_none() {
            std::thread::yield_now();
        }
        drop(child.stdin.take());
        let id = child.id();
        child.wait().unwrap();
        assert_eq!(at_work(&file).unwrap(), Some(id), "what it has started runs on");
        let line = fs::read_to_string(&file).unwrap();
        let group = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        while at_work(&file).unwrap().is_some() {
            std::thread::yield_now();
        }
        assert!(line.starts_with(&format!("{id} (sh) ")), "{line}");
    }
}
