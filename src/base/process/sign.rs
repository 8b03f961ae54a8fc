//! Whether a program is at work still, after the process that ran it was killed.
//!
//! A package manager, or what loads a database, is not ended with `snap`: so nobody goes on before it
//! has ended. A program signs a file before it becomes what it is, with its line in `/proc`: number and
//! beginning, since a number may be given to another process later.

use std::fs;
use std::io;
use std::path::Path;

use crate::base::error::Context as _;
use crate::base::error::Result;

/// What the shell does to sign the file that is its first argument. That it cannot sign, on a disk
/// that is full, keeps it from nothing.
pub(super) const SIGN: &str = "\
{ read -r line <\"/proc/$$/stat\" && printf '%s\\n' \"$line\" >\"$1\"; } 2>/dev/null
shift
";

/// Returns the process group that signed a file, where anything in it is at work.
pub fn at_work(file: &Path) -> Result<Option<u32>> {
    let line = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        line => line.context(|| format!("cannot read {}", file.display()))?,
    };
    // Killed while it signed, it has not become the command.
    let Some(signed) = Stat::parse(&line) else { return Ok(None) };
    let processes = processes().context(|| "cannot list the processes in /proc".to_owned())?;
    let is_other = |stat: &Stat| stat.id == signed.id && stat.began != signed.began;
    let is_at_work = |stat: &Stat| stat.group == signed.id && !stat.is_dead;
    let lives = !processes.iter().any(is_other) && processes.iter().any(is_at_work);
    Ok(lives.then_some(signed.id))
}

/// A line of `/proc/ID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    id: u32,
    group: u32,
    /// When, in ticks since the machine began.
    began: u64,
    /// Whether nothing but its end is left, which nobody has asked for.
    is_dead: bool,
}

impl Stat {
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

fn processes() -> io::Result<Vec<Stat>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        // A process may end while it is looked at.
        let line = fs::read_to_string(entry?.path().join("stat"));
        processes.extend(line.ok().as_deref().and_then(Stat::parse));
    }
    Ok(processes)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::Duration;

    use rustix::process::Pid;
    use rustix::process::Signal;
    use rustix::process::kill_process_group;
    use tokio::task::yield_now;

    use crate::base::process::Process;

    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "7 (a) S 1 (b c) S 1 5 5 0 -1 4 1 0 0 0 0 0 0 0 20 0 1 0 4711 9 9";
        let stat = Stat { id: 7, group: 5, began: 4711, is_dead: false };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("7 (a"), None);
    }

    #[tokio::test]
    async fn a_program_is_at_work_until_all_of_its_group_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let command = "sleep 1000 & read -r line";
        let words = ["-c", command];
        for (name, process) in [
            ("shell", Process::shell(command, Duration::MAX)),
            ("program", Process::program("sh", words, Duration::MAX)),
        ] {
            let file = folder.path().join(name);
            assert_eq!(at_work(&file).unwrap(), None);
            let signing = process.signing(file.clone());
            let mut running = signing.start(Stdio::piped(), Stdio::null(), Stdio::null()).unwrap();
            while at_work(&file).unwrap().is_none() {
                yield_now().await;
            }
            let id = running.child.id().unwrap();
            drop(running.child.stdin.take());
            running.end(std::future::pending()).await.unwrap();
            assert_eq!(at_work(&file).unwrap(), Some(id), "what it has started runs on");
            let line = fs::read_to_string(&file).unwrap();
            let group = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
            kill_process_group(group, Signal::KILL).unwrap();
            while at_work(&file).unwrap().is_some() {
                yield_now().await;
            }
            assert!(line.starts_with(&format!("{id} (sh) ")), "{line}");
        }
    }
}
