//! The packages of a service: their versions, and the commands that bring those back.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::base::error::Error;
use crate::base::error::Result;
use crate::base::process::End;
use crate::base::process::Ended;
use crate::system::ask;

const RPM_FORMAT: &str = "%{NAME}\\t%{EVR}\\t%{ARCH}\\n";
const DPKG_FORMAT: &str = "${Package}\\t${Version}\\t${Architecture}\\t${Status}\\n";

/// A package that is installed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Who installed it.
    pub installer: Installer,
    /// Its name.
    pub name: String,
    /// Its version, with epoch and release where it has them.
    pub version: String,
    /// What it is built for, as its installer calls it.
    pub architecture: String,
}

/// Who installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Installer {
    /// `rpm`, by `dnf` or `yum`
    Rpm,
    /// `dpkg`, by `apt-get`
    Dpkg,
}

/// The packages of a service at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// The packages, by installer and name.
    pub packages: Vec<Package>,
    /// The last transaction of dnf, or of yum, where there is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<u32>,
    /// Who installs the packages of rpm; dnf, where nothing is said.
    #[serde(default)]
    pub by: RpmInstaller,
}

/// Who installs the packages of rpm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RpmInstaller {
    /// `dnf`, from EL8 on
    #[default]
    Dnf,
    /// `yum`, of EL7: from EL8 on it is another name of dnf
    Yum,
}

impl RpmInstaller {
    const fn name(self) -> &'static str {
        match self {
            Self::Dnf => "dnf",
            Self::Yum => "yum",
        }
    }
}

/// Returns the installed packages that match one of these globs.
pub async fn installed(globs: &[String]) -> Result<Installed> {
    if globs.is_empty() {
        return Ok(Installed::default());
    }
    let mut packages = query(Installer::Rpm, "rpm", &["-qa", "--qf", RPM_FORMAT], globs).await?;
    let dpkg = query(Installer::Dpkg, "dpkg-query", &["-W", "-f", DPKG_FORMAT], globs).await?;
    packages.extend(dpkg);
    packages.sort();
    packages.dedup();
    let has_rpm = packages.iter().any(|package| package.installer == Installer::Rpm);
    if !has_rpm {
        return Ok(Installed { packages, ..Installed::default() });
    }
    for by in [RpmInstaller::Dnf, RpmInstaller::Yum] {
        let history = ask(by.name(), &["history", "list"]).await?;
        if !history.end.is_absent() {
            return Ok(Installed { packages, transaction: last_transaction(&history), by });
        }
    }
    Ok(Installed { packages, ..Installed::default() })
}

/// A command that brings packages back; as a text it is what a person types, who is asked before
/// anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayBack {
    program: &'static str,
    arguments: String,
}

impl WayBack {
    const fn new(program: &'static str, arguments: String) -> Self {
        Self { program, arguments }
    }

    /// Returns the command for a shell in which nobody answers: what is asked for is wanted, and the
    /// files that were changed by hand stay.
    pub fn unattended(&self) -> String {
        let Self { program, arguments } = self;
        match *program {
            "apt-get" => format!(
                "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confold {arguments}"
            ),
            program => format!("{program} -y {arguments}"),
        }
    }
}

impl fmt::Display for WayBack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.program, self.arguments)
    }
}

/// Returns the commands that bring back the packages of `before`, where `after` are installed now,
/// in the order in which they are given. None are needed where nothing changed.
pub fn ways_back(before: &Installed, after: &Installed) -> Vec<WayBack> {
    let mut commands = of_rpm(before, after);
    let Changes { back, added } = Changes::between(before, after, Installer::Dpkg);
    let versions = back.iter().map(|package| format!("{}={}", package.name, package.version));
    commands.extend(command("apt-get", "install --allow-downgrades", versions));
    let added = added.iter().map(|package| package.name.clone());
    commands.extend(command("apt-get", "remove", added));
    commands
}

/// What dnf or yum did is undone by it, transaction by transaction; what another has installed, package
/// by package.
fn of_rpm(before: &Installed, after: &Installed) -> Vec<WayBack> {
    let by = after.by.name();
    let Changes { back, added } = Changes::between(before, after, Installer::Rpm);
    if back.is_empty() && added.is_empty() {
        return Vec::new();
    }
    let transactions = before.transaction.zip(after.transaction);
    let undone = transactions.into_iter().flat_map(|(before, after)| (before + 1..=after).rev());
    let undone: Vec<_> =
        undone.map(|number| WayBack::new(by, format!("history undo {number}"))).collect();
    if !undone.is_empty() {
        return undone;
    }
    let exact = |package: &&Package| {
        format!("{}-{}.{}", package.name, package.version, package.architecture)
    };
    let (older, gone): (Vec<_>, Vec<_>) =
        back.into_iter().partition(|package| package.is_in(&after.packages));
    let commands = [
        command(by, "downgrade", older.iter().map(exact)),
        command(by, "install", gone.iter().map(exact)),
        command(by, "remove", added.iter().map(exact)),
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
    fn between(before: &'a Installed, after: &'a Installed, installer: Installer) -> Self {
        let of = |installed: &'a Installed| {
            installed.packages.iter().filter(move |package| package.installer == installer)
        };
        Self {
            back: of(before).filter(|package| !after.packages.contains(package)).collect(),
            added: of(after).filter(|package| !package.is_in(&before.packages)).collect(),
        }
    }
}

impl Package {
    /// Returns whether any version of it is among these.
    fn is_in(&self, packages: &[Self]) -> bool {
        packages.iter().any(|other| {
            (other.installer, &other.name, &other.architecture)
                == (self.installer, &self.name, &self.architecture)
        })
    }
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

/// Asks an installer; one that is absent has installed nothing.
async fn query(
    installer: Installer,
    program: &str,
    arguments: &[&str],
    globs: &[String],
) -> Result<Vec<Package>> {
    let globs = globs.iter().map(String::as_str);
    let arguments: Vec<_> = arguments.iter().copied().chain(globs).collect();
    let ended = ask(program, &arguments).await?;
    // dpkg complains so of a glob that nothing matches.
    let is_answer = ended.is_success() || ended.end == End::Exit(1);
    if !is_answer && !ended.end.is_absent() {
        let told = format!("cannot list the installed packages: {program} {}", ended.end);
        return Err(Error::failed(told));
    }
    Ok(ended.output.iter().filter_map(|line| package(installer, line)).collect())
}

/// Returns the package of a line of the answer; dpkg tells of removed ones too.
fn package(installer: Installer, line: &str) -> Option<Package> {
    let mut fields = line.split('\t').map(str::to_owned);
    let (name, version, architecture) = (fields.next()?, fields.next()?, fields.next()?);
    let is_installed = fields.next().is_none_or(|status| status.ends_with(" installed"));
    is_installed.then_some(Package { installer, name, version, architecture })
}

/// Returns the number of the last transaction, which `dnf history undo` takes.
fn last_transaction(history: &Ended) -> Option<u32> {
    let number = |line: &String| line.split_whitespace().next()?.parse().ok();
    history.output.iter().filter_map(number).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(before: &Installed, after: &Installed) -> Vec<String> {
        ways_back(before, after).iter().map(ToString::to_string).collect()
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
    fn a_line_of_an_answer_is_a_package() {
        let known = package(Installer::Rpm, "centreon-map-server\t20.04.8-2.el7\tnoarch").unwrap();
        assert_eq!(
            (known.name.as_str(), known.version.as_str()),
            ("centreon-map-server", "20.04.8-2.el7")
        );
        assert!(package(Installer::Dpkg, "a\t1\tall\tinstall ok installed").is_some());
        assert!(package(Installer::Dpkg, "a\t1\tall\tdeinstall ok config-files").is_none());
        assert!(package(Installer::Dpkg, "a\t\tall\tunknown ok not-installed").is_none());
        assert!(package(Installer::Rpm, "complaint").is_none());
    }

    #[test]
    fn what_dnf_did_is_undone_by_transaction_the_last_first() {
        let before = of(Installer::Rpm, Some(11), &["map 20.04.8-2"]);
        let after = of(Installer::Rpm, Some(13), &["map 20.10.1-1"]);
        assert_eq!(texts(&before, &after), ["dnf history undo 13", "dnf history undo 12"]);
        assert!(texts(&before, &of(Installer::Rpm, Some(13), &["map 20.04.8-2"])).is_empty());
    }

    #[test]
    fn yum_is_named_where_there_is_no_dnf() {
        let map = |transaction, version: &str| Installed {
            by: RpmInstaller::Yum,
            ..of(Installer::Rpm, transaction, &[&format!("map {version}")])
        };
        let undone = texts(&map(Some(11), "19.10.1-1"), &map(Some(12), "20.04.8-2"));
        assert_eq!(undone, ["yum history undo 12"]);
        let older = texts(&map(None, "19.10.1-1"), &map(None, "20.04.8-2"));
        assert_eq!(older, ["yum downgrade map-19.10.1-1.noarch"]);
    }

    #[test]
    fn without_a_transaction_each_package_comes_back_as_it_was() {
        let before = of(Installer::Rpm, None, &["map 20.04.8-2", "gone 1-1"]);
        let after = of(Installer::Rpm, None, &["map 20.10.1-1", "new 2-1"]);
        let expected = [
            "dnf downgrade map-20.04.8-2.noarch",
            "dnf install gone-1-1.noarch",
            "dnf remove new-2-1.noarch",
        ];
        assert_eq!(texts(&before, &after), expected);
    }

    #[test]
    fn dpkg_is_given_the_versions() {
        let before = of(Installer::Dpkg, None, &["map 24.04.1", "web 24.04.1", "gone 1"]);
        let after = of(Installer::Dpkg, None, &["map 24.10.3", "web 24.04.1", "new 2"]);
        let expected =
            ["apt-get install --allow-downgrades map=24.04.1 gone=1", "apt-get remove new"];
        assert_eq!(texts(&before, &after), expected);
        let remove = ways_back(&before, &after)[1].unattended();
        assert!(remove.contains("noninteractive apt-get -y -o ") && remove.ends_with("remove new"));
    }
}
