//! The packages of a service, and whether others have changed beside them.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::Serialize;

use crate::base::digest::sha256;
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
    /// The digest of the versions of all other packages of the host: what a service needs is brought
    /// by its upgrade too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<String>,
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
    /// Returns the name of its program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dnf => "dnf",
            Self::Yum => "yum",
        }
    }
}

impl Installed {
    /// Returns the numbers of the transactions since `before`, where there are any.
    pub fn transactions_since(&self, before: &Self) -> Option<RangeInclusive<u32>> {
        let (before, now) = before.transaction.zip(self.transaction)?;
        Some(before + 1..=now).filter(|since| !since.is_empty())
    }

    /// Returns whether other packages than those of the service are not as they were `before`.
    pub fn has_other_changes(&self, before: &Self) -> bool {
        before.others.as_ref().zip(self.others.as_ref()).is_some_and(|(old, new)| old != new)
    }

    /// Returns whether dpkg has installed any of them.
    pub fn has_dpkg(&self) -> bool {
        self.packages.iter().any(|package| package.installer == Installer::Dpkg)
    }
}

/// Returns the installed packages that match one of these globs.
pub async fn installed(globs: &[String]) -> Result<Installed> {
    if globs.is_empty() {
        return Ok(Installed::default());
    }
    let packages = matching(globs).await?;
    let all = matching(&["*".to_owned()]).await?;
    let others = Some(digest(all.iter().filter(|package| !packages.contains(package))));
    let installed = Installed { packages, others, ..Installed::default() };
    if !installed.packages.iter().any(|package| package.installer == Installer::Rpm) {
        return Ok(installed);
    }
    for by in [RpmInstaller::Dnf, RpmInstaller::Yum] {
        let history = ask(by.name(), &["history", "list"]).await?;
        if !history.end.is_absent() {
            return Ok(Installed { transaction: last_transaction(&history), by, ..installed });
        }
    }
    Ok(installed)
}

async fn matching(globs: &[String]) -> Result<Vec<Package>> {
    let mut packages = query(Installer::Rpm, "rpm", &["-qa", "--qf", RPM_FORMAT], globs).await?;
    let dpkg = query(Installer::Dpkg, "dpkg-query", &["-W", "-f", DPKG_FORMAT], globs).await?;
    packages.extend(dpkg);
    packages.sort();
    packages.dedup();
    Ok(packages)
}

/// Returns what stands for these packages; a key that a repository is trusted by is none.
fn digest<'a>(packages: impl Iterator<Item = &'a Package>) -> String {
    let packages = packages.filter(|package| package.name != "gpg-pubkey");
    let line = |package: &Package| {
        let Package { name, version, architecture, .. } = package;
        format!("{name}\t{version}\t{architecture}\n")
    };
    sha256(packages.map(line).collect::<String>().as_bytes())
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
}
