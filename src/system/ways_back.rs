//! The commands that bring the packages of a service back to the versions that were written down.
//!
//! Where nobody looks on, no transaction of dnf or yum is undone, since it may be another's: each
//! package is named with its version. A person is told to undo one where it can be only that of the
//! command.

use std::fmt;

use crate::base::error::Error;
use crate::base::error::Kind;
use crate::base::error::Result;
use crate::system::ask;
use crate::system::packages::Installed;
use crate::system::packages::Installer;
use crate::system::packages::Package;

/// What dnf and yum are told, so that they remove nothing else, which nothing seems to need.
const KEEP_OTHERS: &str = "--setopt=clean_requirements_on_remove=False";

/// A command that brings packages back; as a text it is what a person types, who is asked before
/// anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    program: &'static str,
    arguments: String,
    /// The packages that it removes.
    removes: Vec<Package>,
}

impl WayBack {
    const fn new(program: &'static str, arguments: String) -> Self {
        Self { program, arguments, removes: Vec::new() }
    }

    /// Returns the command for a shell in which nobody answers: what is asked for is wanted, and the
    /// files that were changed by hand stay.
    pub fn unattended(&self) -> String {
        let Self { program, arguments, removes, .. } = self;
        match *program {
            "apt-get" => {
                // An older version may want others gone: that is for a person to say.
                let keeping = if removes.is_empty() { " --no-remove" } else { "" };
                format!(
                    "DEBIAN_FRONTEND=noninteractive apt-get -y{keeping} \
                     -o Dpkg::Options::=--force-confold {arguments}"
                )
            }
            "dpkg" => {
                format!("DEBIAN_FRONTEND=noninteractive dpkg --force-confold {arguments}")
            }
            program => format!("{program} -y {arguments}"),
        }
    }

    /// Fails with [`Kind::Refused`] where it would remove more than the packages that it names.
    pub async fn refuse_to_remove_others(&self) -> Result<()> {
        let is_of = |package: &&Package| package.installer == Installer::Rpm;
        let (rpm, dpkg): (Vec<_>, Vec<_>) = self.removes.iter().partition(is_of);
        if !rpm.is_empty() {
            let names = rpm.iter().map(|it| format!("{}.{}", it.name, it.architecture));
            refuse_needed(&names.collect::<Vec<_>>()).await?;
        }
        if !dpkg.is_empty() {
            let names = dpkg.iter().map(|package| package.name.clone());
            refuse_more(&names.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }
}

impl fmt::Display for WayBack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.program, self.arguments)
    }
}

/// Fails where something else needs one of these packages of rpm.
async fn refuse_needed(names: &[String]) -> Result<()> {
    let words = ["-e", "--test"].into_iter().chain(names.iter().map(String::as_str));
    if ask("rpm", &words.collect::<Vec<_>>()).await?.is_success() {
        return Ok(());
    }
    Err(refused(names, "something else needs it"))
}

/// Fails where apt would remove more than these packages.
async fn refuse_more(names: &[String]) -> Result<()> {
    let words = ["-s", "remove"].into_iter().chain(names.iter().map(String::as_str));
    let simulated = ask("apt-get", &words.collect::<Vec<_>>()).await?;
    if !simulated.is_success() {
        return Err(refused(names, &format!("apt-get -s {}", simulated.end)));
    }
    let removed = simulated.output.iter().filter_map(|line| {
        let rest = line.strip_prefix("Remv ").or_else(|| line.strip_prefix("Purg "))?;
        rest.split([' ', ':']).next()
    });
    let others: Vec<_> = removed.filter(|name| !names.iter().any(|named| named == name)).collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(refused(names, &format!("{} would go too", others.join(", "))))
}

fn refused(names: &[String], why: &str) -> Error {
    Error::new(Kind::Refused, format!("cannot remove {}: {why}", names.join(", ")))
}

/// Returns what brings dpkg to the end of what it was doing, where it has installed any of these:
/// apt-get does nothing before that, once dpkg was killed.
pub fn settling(before: &Installed, now: &Installed) -> Option<WayBack> {
    let is_there = before.has_dpkg() || now.has_dpkg();
    is_there.then(|| WayBack::new("dpkg", "--configure -a".to_owned()))
}

/// Returns the commands that bring back the packages of `before`, where `now` others are installed,
/// in the order in which they are given. None are needed where nothing changed.
pub fn ways_back(before: &Installed, now: &Installed) -> Vec<WayBack> {
    [of_rpm(before, now), of_dpkg(before, now)].concat()
}

/// Returns the commands for a person where no other command has been there to bring packages back:
/// what a single transaction has done is undone by its number.
pub fn first_ways_back(before: &Installed, now: &Installed) -> Vec<WayBack> {
    let single = now.transactions_since(before).filter(|since| since.start() == since.end());
    let of_rpm = match (of_rpm(before, now), single) {
        (ways, Some(single)) if !ways.is_empty() => {
            let undo = format!("history undo {}", single.start());
            vec![WayBack::new(by(before, now), undo)]
        }
        (ways, _) => ways,
    };
    [of_rpm, of_dpkg(before, now)].concat()
}

/// Returns who brings the packages of rpm back; where none of them is left, who had installed them.
const fn by(before: &Installed, now: &Installed) -> &'static str {
    if now.transaction.is_some() { now.by.name() } else { before.by.name() }
}

fn of_rpm(before: &Installed, now: &Installed) -> Vec<WayBack> {
    let by = by(before, now);
    let Changes { back, added } = Changes::between(before, now, Installer::Rpm);
    let exact = |package: &&Package| {
        format!("{}-{}.{}", package.name, package.version, package.architecture)
    };
    let is_older = |package: &&Package| {
        let mut now = now.packages.iter().filter(|other| other.is_of_the_name_of(package));
        now.any(|now| order(&package.version) < order(&now.version))
    };
    let (older, missing): (Vec<_>, Vec<_>) = back.into_iter().partition(is_older);
    let commands = [
        command(by, "downgrade", older.iter().map(exact)),
        command(by, "install", missing.iter().map(exact)),
        removal(by, &format!("{KEEP_OTHERS} remove"), &added, exact),
    ];
    commands.into_iter().flatten().collect()
}

fn of_dpkg(before: &Installed, now: &Installed) -> Vec<WayBack> {
    let Changes { back, added } = Changes::between(before, now, Installer::Dpkg);
    let versions = back.iter().map(|package| format!("{}={}", package.name, package.version));
    let commands = [
        command("apt-get", "install --allow-downgrades", versions),
        removal("apt-get", "remove", &added, |package| package.name.clone()),
    ];
    commands.into_iter().flatten().collect()
}

/// What became of the packages of one installer.
struct Changes<'a> {
    /// As they were, where now there is another version, or none.
    back: Vec<&'a Package>,
    /// Those that were not there before.
    added: Vec<&'a Package>,
}

impl<'a> Changes<'a> {
    fn between(before: &'a Installed, now: &'a Installed, installer: Installer) -> Self {
        let of = |installed: &'a Installed| {
            installed.packages.iter().filter(move |package| package.installer == installer)
        };
        let was_there =
            |package: &&Package| before.packages.iter().any(|it| it.is_of_the_name_of(package));
        Self {
            back: of(before).filter(|package| !now.packages.contains(package)).collect(),
            added: of(now).filter(|package| !was_there(package)).collect(),
        }
    }
}

impl Package {
    /// Returns whether both are versions of one package.
    fn is_of_the_name_of(&self, other: &Self) -> bool {
        (self.installer, &self.name, &self.architecture)
            == (other.installer, &other.name, &other.architecture)
    }
}

/// What a part of a version of rpm is, in the order of rpm.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    /// `~`, which comes before the end: 1~rc1 is older than 1.
    Before,
    End,
    Letters(&'a str),
    /// How many digits, without the zeros before them, and those.
    Number(usize, &'a str),
}

/// Returns what a version of rpm is compared by: numbers as numbers, letters as letters.
fn order(version: &str) -> (u64, Vec<Part<'_>>) {
    let (epoch, mut rest) = version.split_once(':').unwrap_or(("0", version));
    let mut parts = Vec::new();
    while let Some(first) = rest.chars().next() {
        let is_like_first = |c: char| match first {
            '0'..='9' => c.is_ascii_digit(),
            'a'..='z' | 'A'..='Z' => c.is_ascii_alphabetic(),
            _ => false,
        };
        let length = rest.find(|c| !is_like_first(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(length.max(first.len_utf8()));
        let digits = part.trim_start_matches('0');
        match first {
            '~' => parts.push(Part::Before),
            '-' => parts.push(Part::End),
            '0'..='9' => parts.push(Part::Number(digits.len(), digits)),
            'a'..='z' | 'A'..='Z' => parts.push(Part::Letters(part)),
            _ => {}
        }
        rest = after;
    }
    parts.push(Part::End);
    (epoch.parse().unwrap_or(0), parts)
}

/// Returns the command for these packages, unless there are none.
fn command(
    program: &'static str,
    verb: &str,
    packages: impl Iterator<Item = String>,
) -> Option<WayBack> {
    let packages: Vec<_> = packages.collect();
    let arguments = || format!("{verb} {}", packages.join(" "));
    (!packages.is_empty()).then(|| WayBack::new(program, arguments()))
}

/// Returns the command that removes these packages, unless there are none.
fn removal(
    program: &'static str,
    verb: &str,
    packages: &[&Package],
    named: impl Fn(&&Package) -> String,
) -> Option<WayBack> {
    let command = command(program, verb, packages.iter().map(named))?;
    Some(WayBack { removes: packages.iter().copied().cloned().collect(), ..command })
}

#[cfg(test)]
mod tests {
    use crate::system::packages::RpmInstaller;

    use super::*;

    fn texts(ways: &[WayBack]) -> Vec<String> {
        ways.iter().map(ToString::to_string).collect()
    }

    fn of(installer: Installer, transaction: Option<u32>, lines: &[&str]) -> Installed {
        let package = |line: &&str| {
            let mut words = line.split(' ').map(str::to_owned);
            let (name, version) = (words.next().unwrap(), words.next().unwrap());
            Package { installer, name, version, architecture: "noarch".to_owned() }
        };
        let packages = lines.iter().map(package).collect();
        Installed { packages, transaction, ..Installed::default() }
    }

    #[test]
    fn a_single_transaction_is_undone_by_a_person_and_never_where_nobody_looks_on() {
        let before = of(Installer::Rpm, Some(11), &["map 20.04.8-2"]);
        let now = |transaction, version: &str| {
            of(Installer::Rpm, Some(transaction), &[&format!("map {version}")])
        };
        let exact = ["dnf downgrade map-20.04.8-2.noarch"];
        let upgraded = now(12, "20.10.1-1");
        assert_eq!(texts(&first_ways_back(&before, &upgraded)), ["dnf history undo 12"]);
        assert_eq!(texts(&ways_back(&before, &upgraded)), exact);
        // One of two may be another's.
        assert_eq!(texts(&first_ways_back(&before, &now(13, "20.10.1-1"))), exact);
        assert!(first_ways_back(&before, &now(12, "20.04.8-2")).is_empty());
    }

    #[test]
    fn yum_is_named_where_there_is_no_dnf() {
        let map = |transaction, lines: &[&str]| Installed {
            by: RpmInstaller::Yum,
            ..of(Installer::Rpm, transaction, lines)
        };
        let before = map(Some(11), &["map 19.10.1-1"]);
        let now = map(Some(12), &["map 20.04.8-2"]);
        assert_eq!(texts(&first_ways_back(&before, &now)), ["yum history undo 12"]);
        assert_eq!(texts(&ways_back(&before, &now)), ["yum downgrade map-19.10.1-1.noarch"]);
        let gone = ways_back(&before, &Installed::default());
        assert_eq!(texts(&gone), ["yum install map-19.10.1-1.noarch"]);
    }

    #[test]
    fn each_package_comes_back_as_it_was_and_what_is_new_goes_alone() {
        let before = of(Installer::Rpm, None, &["map 20.04.8-2", "gone 1-1", "older 10-1"]);
        let now = of(Installer::Rpm, None, &["map 20.10.1-1", "new 2-1", "older 9-1"]);
        let expected = [
            "dnf downgrade map-20.04.8-2.noarch",
            "dnf install gone-1-1.noarch older-10-1.noarch",
            "dnf --setopt=clean_requirements_on_remove=False remove new-2-1.noarch",
        ];
        assert_eq!(texts(&ways_back(&before, &now)), expected);
        let remove = ways_back(&before, &now)[2].unattended();
        assert_eq!(remove, expected[2].replace("dnf ", "dnf -y "));
    }

    #[test]
    fn versions_are_ordered_as_rpm_orders_them() {
        let ascending = [
            "1~rc1-1",
            "1-1",
            "1-2.el8",
            "1-10.el8",
            "1.1-1",
            "1.1.a-1",
            "1.1.1-1",
            "1.02-1",
            "1.10-1",
            "20.04.8-1.el8",
            "1:0.1-1",
        ];
        for pair in ascending.windows(2) {
            assert!(order(pair[0]) < order(pair[1]), "{pair:?}");
        }
        assert_eq!(order("1.02-1"), order("0:1.2-1"));
    }

    #[test]
    fn dpkg_is_given_the_versions() {
        let before = of(Installer::Dpkg, None, &["map 24.04.1", "web 24.04.1", "gone 1"]);
        let now = of(Installer::Dpkg, None, &["map 24.10.3", "web 24.04.1", "new 2"]);
        let expected =
            ["apt-get install --allow-downgrades map=24.04.1 gone=1", "apt-get remove new"];
        assert_eq!(texts(&ways_back(&before, &now)), expected);
        let remove = ways_back(&before, &now)[1].unattended();
        assert!(remove.contains("noninteractive apt-get -y -o ") && remove.ends_with("remove new"));
        let settling = settling(&before, &Installed::default()).unwrap();
        assert_eq!(settling.to_string(), "dpkg --configure -a");
    }
}
