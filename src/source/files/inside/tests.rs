//! Every state that a process may leave which is killed while it exchanges entries.

use std::fs::Permissions;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

use super::*;
use crate::base::error::Kind;
use crate::source::files::rename;

const LIVE_MODE: u32 = 0o750;
const COMING_MODE: u32 = 0o711;

/// A target that holds `both` and `gone`, and what comes in: `both` and `fresh`.
struct Scene {
    folder: TempDir,
    inside: Inside,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path();
        let incoming = target.join(".snap-staging-x");
        fs::create_dir(&incoming).unwrap();
        for path in ["both", "gone", ".snap-staging-x/both", ".snap-staging-x/fresh"] {
            write(&target.join(path), if path.starts_with('.') { "new" } else { "old" });
        }
        dress(&incoming, COMING_MODE, 1);
        dress(target, LIVE_MODE, 2);
        let mut inside = Inside::of(target).unwrap();
        let chooser = &Chooser::everything();
        let previous = &target.join(".snap-previous-x");
        inside.note(Folders { target, incoming: &incoming, previous, chooser }).unwrap();
        Self { folder, inside }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Does something with the target, the folder of what comes in, and that of what was live.
    fn with<T>(&self, work: impl FnOnce(&Inside, Folders<'_>) -> T) -> T {
        let (incoming, previous) = (self.path(".snap-staging-x"), self.path(".snap-previous-x"));
        let (target, chooser) = (self.folder.path(), &Chooser::everything());
        let folders = Folders { target, incoming: &incoming, previous: &previous, chooser };
        work(&self.inside, folders)
    }

    fn rename(&self, from: &str, to: &str) {
        make(&self.path(".snap-previous-x")).unwrap();
        rename::to_free(&self.path(from), &self.path(to)).unwrap();
    }

    fn exchange(&self, one: &str, other: &str) {
        make(&self.path(".snap-previous-x")).unwrap();
        rename::exchange(&self.path(one), &self.path(other)).unwrap();
    }

    /// Returns every file and what it holds, and the mode and time of the target.
    fn picture(&self) -> String {
        let mut lines = Vec::new();
        for name in names(self.folder.path()).unwrap() {
            let path = self.folder.path().join(&name);
            let name = name.display().to_string();
            if path.is_dir() {
                lines.push(format!("{name} {:o}", mode(&path)));
                let within = names(&path).unwrap().into_iter();
                lines.extend(within.map(|it| line(&name, &path, &it)));
            } else {
                lines.push(line("", self.folder.path(), OsStr::new(&name)));
            }
        }
        let time = fs::metadata(self.folder.path()).unwrap().mtime();
        lines.push(format!("{:o} {time}", mode(self.folder.path())));
        lines.join(", ")
    }
}

const SWAPPED: &str = ".snap-previous-x 750, .snap-previous-x/both=old, \
    .snap-previous-x/gone=old, /both=new, /fresh=new, 711 1";

const WAITING: &str = ".snap-staging-x 711, .snap-staging-x/both=new, \
    .snap-staging-x/fresh=new, /both=old, /gone=old, 750 2";

fn line(place: &str, folder: &Path, name: &OsStr) -> String {
    let content = fs::read_to_string(folder.join(name)).unwrap();
    format!("{place}/{}={content}", name.display())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn dress(folder: &Path, mode: u32, seconds: u64) {
    fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    File::open(folder).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test lays out what the product finds")]
fn write(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
}

/// How something is come to, and what it is called.
type State = (&'static str, fn(&Scene));

/// Where the entries of a name that both trees have may be.
const BOTH: &[State] = &[
    ("both waits", |_| {}),
    ("both crossed", |it| it.exchange(".snap-staging-x/both", "both")),
    ("both is between two renames", |it| it.rename("both", ".snap-previous-x/both")),
    ("both is swapped", |it| {
        it.rename("both", ".snap-previous-x/both");
        it.rename(".snap-staging-x/both", "both");
    }),
    ("both crossed back", |it| it.rename(".snap-staging-x/both", ".snap-previous-x/both")),
];

const FRESH: &[State] =
    &[("fresh waits", |_| {}), ("fresh is in", |it| it.rename(".snap-staging-x/fresh", "fresh"))];

const GONE: &[State] =
    &[("gone is live", |_| {}), ("gone is kept", |it| it.rename("gone", ".snap-previous-x/gone"))];

/// Every state, but for those before the first and after the last entry goes.
fn for_each_state(check: impl Fn(&str, &Scene)) {
    for (both, reach_both) in BOTH {
        for (fresh, reach_fresh) in FRESH {
            for (gone, reach_gone) in GONE {
                let scene = Scene::new();
                for reach in [reach_both, reach_fresh, reach_gone] {
                    reach(&scene);
                }
                check(&format!("{both}, {fresh}, {gone}"), &scene);
            }
        }
    }
}

#[test]
fn from_every_state_it_is_completed_and_taken_back() {
    for_each_state(|name, scene| {
        assert!(scene.with(Inside::can_go_on), "{name}");
        scene.with(Inside::complete).unwrap();
        assert_eq!(scene.picture(), SWAPPED, "{name}");
        assert!(scene.with(Inside::can_go_on), "{name}");
        dress(scene.folder.path(), LIVE_MODE, 3);
        scene.with(Inside::complete).unwrap();
        assert_eq!(scene.picture(), SWAPPED, "{name}: it was not dressed yet");
        scene.with(Inside::take_back).unwrap();
        assert_eq!(scene.picture(), WAITING, "{name}");
    });
    for_each_state(|name, scene| {
        scene.with(Inside::take_back).unwrap();
        assert_eq!(scene.picture(), WAITING, "{name}");
        scene.with(Inside::take_back).unwrap();
        assert_eq!(scene.picture(), WAITING, "{name}");
    });
}

#[test]
fn what_came_since_goes_with_what_it_came_to() {
    let scene = Scene::new();
    write(&scene.path("came"), "since");
    scene.with(Inside::complete).unwrap();
    assert!(scene.path(".snap-previous-x/came").exists());
    scene.with(Inside::take_back).unwrap();
    assert!(scene.path("came").exists());
}

#[test]
fn what_replaced_an_entry_that_had_come_in_stays_with_it() {
    let scene = Scene::new();
    scene.rename("both", ".snap-previous-x/both");
    scene.rename(".snap-staging-x/both", "both");
    write(&scene.path("replaced"), "newest");
    fs::remove_file(scene.path("both")).unwrap();
    scene.rename("replaced", "both");
    assert!(!scene.with(Inside::can_go_on), "an entry that comes in is nowhere");
    scene.with(Inside::take_back).unwrap();
    assert_eq!(fs::read(scene.path("both")).unwrap(), b"old");
    assert!(!scene.path(".snap-previous-x").exists());
}

#[test]
fn without_its_mount_nothing_is_done() {
    let mut scene = Scene::new();
    scene.with(Inside::complete).unwrap();
    scene.inside.top.number += 1;
    assert!(!scene.with(Inside::can_go_on));
    for act in [Inside::complete, Inside::take_back] {
        let error = scene.with(act).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains("is not the folder that it was"), "{error}");
    }
    assert_eq!(scene.picture(), SWAPPED);
}

#[test]
fn the_numbers_of_what_comes_in_last_as_text() {
    let scene = Scene::new();
    let text = serde_json::to_string(&scene.inside).unwrap();
    assert_eq!(serde_json::from_str::<Inside>(&text).unwrap(), scene.inside);
}
