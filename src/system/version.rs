//! The version of a product, as the host tells it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::base::error::Result;
use crate::base::process::Process;
use crate::profile::service::Command;
use crate::profile::service::Detection;
use crate::profile::version::Version;
use crate::system::ask;

/// No file that tells a version has it further inside.
const MAX_BYTES: u64 = 64 << 10;

/// Returns what the first of the detections tells that tells a version. A tool, a package or a file
/// that is absent tells nothing, and neither does a command that fails.
pub async fn detected(detections: &[Detection], root: &Path) -> Result<Option<Version>> {
    for detection in detections {
        let told = match detection {
            Detection::Rpm(package) => {
                tells("rpm", &["-q", "--qf", "%{VERSION}\\n", package]).await?
            }
            Detection::Dpkg(package) => {
                tells("dpkg-query", &["-W", "-f", "${Status}\\n${Version}\\n", package])
                    .await?
                    .and_then(|told| Some(of_dpkg(&told)?.to_owned()))
            }
            Detection::File(path) => read(&root.join(path.strip_prefix("/").unwrap_or(path))),
            Detection::Command(Command { text, limit }) => {
                let ended = Process::shell(text, *limit).answer().await?;
                ended.is_success().then(|| ended.output.join("\n"))
            }
        };
        if let Some(version) = told.and_then(|text| first(&text)) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

async fn tells(program: &str, arguments: &[&str]) -> Result<Option<String>> {
    let ended = ask(program, arguments).await?;
    Ok(ended.is_success().then(|| ended.output.join("\n")))
}

/// Returns the version of a package that dpkg has installed, without its epoch; it knows packages
/// that were removed too.
fn of_dpkg(told: &str) -> Option<&str> {
    let (status, version) = told.split_once('\n')?;
    status.ends_with(" installed").then_some(())?;
    Some(version.split_once(':').map_or(version, |(_, version)| version))
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the first version in a text: two numbers at least, with dots between them.
fn first(text: &str) -> Option<Version> {
    let is_outside = |c: char| !(c.is_ascii_alphanumeric() || ".-~+_".contains(c));
    text.split(is_outside).find_map(of_word)
}

/// Returns the version that a word is or begins with, as `4.1.1` in `v4.1.1rc2`.
fn of_word(word: &str) -> Option<Version> {
    let word = word.strip_prefix('v').unwrap_or(word).trim_end_matches(['.', '-', '_']);
    let numbers = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
    let numbers = word[..numbers].trim_end_matches('.');
    numbers.contains('.').then_some(())?;
    word.parse().or_else(|_| numbers.parse()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn version_in(text: &str) -> Option<String> {
        first(text).map(|version| version.to_string())
    }

    #[test]
    fn the_first_version_of_a_text_is_found() {
        for (text, version) in [
            ("4.2", "4.2"),
            ("{\"commit\": \"a1\", \"build\": 85, \"version\": \"4.1.1\"}", "4.1.1"),
            ("version=20.04.8-2.el7\n", "20.04.8-2.el7"),
            ("Cloudify Manager v5.0.5rc1.", "5.0.5"),
            ("release 22.10, then 23.04", "22.10"),
        ] {
            assert_eq!(version_in(text).as_deref(), Some(version), "{text}");
        }
        for text in ["", "none", "2024", "a4.2", "...", "1-2.3"] {
            assert_eq!(version_in(text), None, "{text}");
        }
    }

    #[test]
    fn dpkg_knows_packages_that_are_not_installed_and_epochs() {
        assert_eq!(of_dpkg("install ok installed\n1:24.10.3-1"), Some("24.10.3-1"));
        assert_eq!(of_dpkg("deinstall ok config-files\n24.10.3"), None);
        assert_eq!(of_dpkg(""), None);
    }

    #[tokio::test]
    async fn the_first_detection_that_tells_a_version_decides() {
        let root = tempfile::tempdir().unwrap();
        let command = |text: &str| {
            Detection::Command(Command { text: text.to_owned(), limit: Duration::from_secs(60) })
        };
        let file = || Detection::File("/etc/version".into());
        let told = async |detections: &[Detection]| {
            let version = detected(detections, root.path()).await.unwrap();
            version.map(|version| version.to_string())
        };
        let absent = Detection::Rpm("no-such-package-anywhere".to_owned());
        let failing = command("echo 9.9; exit 1");
        let silent = [absent, failing, file(), command("no-such-program --version")];
        assert_eq!(told(&silent).await, None);
        let all = [&silent[..], &[command("echo it is 4.10"), command("echo 4.2")]].concat();
        assert_eq!(told(&all).await.as_deref(), Some("4.10"));
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("version-4.1", root.path().join("etc/version")).unwrap();
        write(&root.path().join("etc/version-4.1"), "4.1\n");
        assert_eq!(told(&all).await.as_deref(), Some("4.1"));
    }

    #[expect(clippy::disallowed_methods, reason = "nobody relies on a file of a test")]
    fn write(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
    }
}
