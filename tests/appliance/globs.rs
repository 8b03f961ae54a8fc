//! A folder of which `include` and `exclude` leave out a part: the rest is saved and restored around
//! what is left out, which nothing moves or removes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use crate::place::CERTIFICATES;
use crate::place::Place;
use crate::tree;

const EXCLUDE: &str = "exclude = ['**/*.log', 'cache']\n";

/// A place that saves a folder, and nothing else.
struct Divided {
    place: Place,
}

impl Divided {
    /// Returns a place with a snapshot, whose folder was used since.
    fn used() -> Self {
        let divided = Self { place: Place::empty() };
        divided.configure(EXCLUDE);
        for path in ["a.conf", "conf/a", "gone/b", "app.log", "conf/app.log", "cache/c"] {
            divided.write(path, "saved");
        }
        divided.snap(&["create", "before"]);
        divided.use_again();
        divided
    }

    /// Brings the folder to where it differs in every way.
    fn use_again(&self) {
        if self.folder().exists() {
            fs::remove_dir_all(self.folder()).expect("remove the folder");
        }
        for path in ["a.conf", "conf/a", "later/own", "new/deep/n"] {
            self.write(path, "used");
        }
        for path in ["app.log", "conf/app.log", "later/deep/app.log", "cache/c"] {
            self.write(path, "late");
        }
    }

    fn configure(&self, patterns: &str) {
        self.place.configure(&format!(
            "[[profiles.studio.sources]]\nname = 'conf'\nkind = 'files'\npath = '/etc/map'\n{patterns}"
        ));
    }

    fn folder(&self) -> PathBuf {
        let path = self.place.root().join("etc/map");
        fs::canonicalize(&path).unwrap_or(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("make its folder");
        fs::write(path, content).expect("write a file");
    }

    fn snap(&self, arguments: &[&str]) -> String {
        self.place.snap(arguments).succeeded().to_owned()
    }

    /// Returns what is said of the folder by a dry run.
    fn planned(&self) -> String {
        let plan = self.place.snap(&["restore", "before", "--dry-run", "--json"]).json();
        plan["restore"]["sources"][0]["reason"].as_str().expect("it has a reason").to_owned()
    }

    /// Returns every file: what is the source's, and what is left out, with its number.
    fn files(&self) -> [Vec<String>; 2] {
        let (mut own, mut left_out) = (Vec::new(), Vec::new());
        let described = tree::describe(&self.folder());
        for line in described.lines() {
            let path = line.split(' ').next().unwrap_or_default().trim_start_matches("./");
            let place = self.folder().join(path);
            if place.is_dir() {
                continue;
            }
            let content = fs::read_to_string(&place).expect("read a file");
            if is_left_out(path) {
                let number = place.metadata().expect("it is there").ino();
                left_out.push(format!("{path} {number} {content}"));
            } else {
                own.push(format!("{path} {content}"));
            }
        }
        [own, left_out]
    }

    /// Returns what restores left beside the folder.
    fn beside(&self) -> Vec<String> {
        let folder = self.folder();
        let parent = folder.parent().expect("it has a parent");
        let names = fs::read_dir(parent).expect("list it");
        let names = names.map(|entry| entry.expect("read it").file_name().display().to_string());
        names.filter(|name| name.starts_with(".map.snap-")).collect()
    }
}

fn is_left_out(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == "log") || path.starts_with("cache/")
}

const SAVED: [&str; 3] = ["a.conf saved", "conf/a saved", "gone/b saved"];
const USED: [&str; 4] = ["a.conf used", "conf/a used", "later/own used", "new/deep/n used"];

#[test]
fn what_patterns_leave_out_of_a_folder_stays_through_restore_and_rollback() {
    let divided = Divided::used();
    let shown = divided.place.snap(&["show", "before", "--json"]).json();
    assert_eq!(shown["catalog"]["sources"][0]["detail"]["exclude"][1], "cache", "{shown}");
    assert_eq!(shown["catalog"]["sources"][0]["items"][0]["rows"], 6, "{shown}");
    // What is so in the profile today says nothing of what was saved.
    divided.configure("exclude = ['a.conf']\n");
    let [used, left_out] = divided.files();
    assert_eq!(used, USED);
    assert_eq!(divided.planned(), "it differs; what its patterns leave out stays as it is");
    divided.snap(&["restore", "before"]);
    assert_eq!(divided.files(), [SAVED.map(str::to_owned).to_vec(), left_out]);
    divided.write("conf/more.log", "more");
    assert_eq!(divided.planned(), "it is identical already");
    for expected in [&USED[..], &SAVED[..], &USED[..]] {
        divided.write("gone/since.log", "since");
        divided.write("new/deep/since.log", "since");
        let [_, left_out] = divided.files();
        divided.snap(&["rollback"]);
        assert_eq!(divided.files(), [expected.iter().map(ToString::to_string).collect(), left_out]);
        assert_eq!(divided.beside().len(), 1);
    }
    let [_, left_out] = divided.files();
    divided.snap(&["restore", "--discard-previous"]);
    assert_eq!(divided.files()[1], left_out);
    assert_eq!(divided.beside(), [""; 0]);
    divided.snap(&["verify", "before", "--read-data"]);
}

#[test]
fn a_link_to_a_divided_folder_stays_a_link() {
    let divided = Divided::used();
    let (link, elsewhere) =
        (divided.place.root().join("etc/map"), divided.place.root().join("srv/map"));
    fs::create_dir_all(elsewhere.parent().expect("it has a folder")).expect("make it");
    fs::rename(&link, &elsewhere).expect("move the folder");
    symlink("/srv/map", &link).expect("make a link");
    // The link is one below the root.
    let left_out = ["app.log", "cache/c"].map(|path| elsewhere.join(path));
    let numbers = || left_out.each_ref().map(|it| it.metadata().expect("it is there").ino());
    let before = numbers();
    divided.snap(&["restore", "before"]);
    assert!(link.is_symlink());
    assert_eq!(numbers(), before);
    assert_eq!(fs::read_to_string(elsewhere.join("gone/b")).expect("read"), "saved");
    divided.snap(&["rollback"]);
    assert_eq!(numbers(), before);
    assert_eq!(fs::read_to_string(elsewhere.join("new/deep/n")).expect("read"), "used");
}

#[test]
fn of_a_mount_point_too_a_part_is_left_out() {
    let mut place = Place::studio();
    place.mount_certificates();
    place.configure(&format!(
        "[[profiles.studio.sources]]\nname = 'certificates'\nkind = 'files'\n\
         path = '/{CERTIFICATES}'\nexclude = ['private', '**/*.log']\n"
    ));
    let folder = place.root().join(CERTIFICATES);
    let write = |path: &str, content: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("make its folder");
        fs::write(path, content).expect("write a file");
    };
    write("deep/one", "saved");
    place.snap(&["create", "before"]).succeeded();
    for path in ["deep/one", "deep/a.log", "private/key", "new"] {
        write(path, "used");
    }
    let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap_or_default();
    for (command, expected) in
        [(&["restore", "before"][..], ["saved", ""]), (&["rollback"], ["used", "used"])]
    {
        place.snap(command).succeeded();
        assert_eq!(["deep/one", "new"].map(read), expected, "{command:?}");
        assert_eq!(["deep/a.log", "private/key"].map(read), ["used", "used"], "{command:?}");
    }
}

#[test]
fn what_is_left_out_travels_with_an_archive_as_patterns_alone() {
    let divided = Divided::used();
    let archive = divided.place.path("before.tar").display().to_string();
    divided.snap(&["download", "before", "-o", &archive]);
    divided.snap(&["delete", "before"]);
    divided.snap(&["upload", &archive, "-s", "before"]);
    let [_, left_out] = divided.files();
    divided.snap(&["restore", "before"]);
    assert_eq!(divided.files(), [SAVED.map(str::to_owned).to_vec(), left_out]);
}

#[test]
fn what_is_included_alone_is_saved_and_restored() {
    let divided = Divided::used();
    divided.configure("include = ['conf', '*.conf']\nexclude = ['**/*.log']\n");
    divided.snap(&["create", "part"]);
    divided.write("conf/a", "changed");
    divided.write("conf/new", "changed");
    divided.write("elsewhere", "changed");
    divided.snap(&["restore", "part"]);
    let [own, _] = divided.files();
    assert_eq!(
        own,
        ["a.conf used", "conf/a used", "elsewhere changed", "later/own used", "new/deep/n used"]
    );
}

#[test]
fn what_is_left_out_and_in_the_way_is_told_by_a_dry_run_too() {
    let divided = Divided::used();
    fs::remove_file(divided.folder().join("a.conf")).expect("remove a file");
    divided.write("a.conf/in.log", "in the way");
    let before = divided.files();
    for arguments in [&["restore", "before", "--dry-run"][..], &["restore", "before"]] {
        divided.place.snap(arguments).failed(14, &["etc/map/a.conf is in the way", "move it away"]);
        assert_eq!(divided.files(), before, "{arguments:?}");
    }
}

#[cfg(feature = "fault-points")]
mod killed {
    use std::collections::BTreeMap;

    use super::*;
    use crate::place::Output;

    impl Divided {
        fn snap_with(&self, variable: &str, value: &str, arguments: &[&str]) -> Output {
            let mut command = self.place.command(arguments);
            Output::of(command.env(variable, value).output().expect("start snap"))
        }

        /// Returns the points that a verb comes to, from the first that could touch something live.
        fn points(&self, arguments: &[&str]) -> Vec<String> {
            let file = self.place.path("trace");
            self.snap_with("SNAP_FAULT_TRACE", &file.display().to_string(), arguments).succeeded();
            let trace = fs::read_to_string(&file).expect("read the trace");
            fs::remove_file(&file).expect("remove the trace");
            let mut times: BTreeMap<&str, usize> = BTreeMap::new();
            let mut points = Vec::new();
            for point in trace.lines() {
                let time = times.entry(point).or_default();
                points.push(format!("{point}={time}*off->return"));
                *time += 1;
            }
            let is_first = |point: &String| point.starts_with("journal.verified");
            let first = points.iter().position(is_first).unwrap_or_default();
            points.split_off(first)
        }

        /// Kills a verb at every point; each time it is resumed, and what is left out is whole.
        fn kill_everywhere(&self, prepare: impl Fn(), arguments: &[&str]) -> usize {
            prepare();
            let points = self.points(arguments);
            for point in &points {
                prepare();
                let [_, left_out] = self.files();
                let killed = self.snap_with("FAILPOINTS", point, arguments);
                assert_ne!(killed.code, 0, "{point}: {killed:#?}");
                assert_eq!(self.files()[1], left_out, "{point}: killed");
                // A program goes on with its logs.
                for path in ["app.log", "conf/app.log", "conf/since.log"] {
                    self.write(path, "since");
                }
                let [_, left_out] = self.files();
                self.snap(&["restore", "--resume"]);
                let [own, kept] = self.files();
                assert!(own == SAVED || own == USED, "{point}: {own:?}");
                assert_eq!(kept, left_out, "{point}: resumed");
                assert!(!self.beside().iter().any(|it| it.contains("staging")), "{point}");
            }
            points.len()
        }
    }

    #[test]
    fn a_restore_killed_anywhere_leaves_what_is_left_out_and_is_resumed() {
        let divided = Divided::used();
        let prepare = || divided.use_again();
        let points = divided.kill_everywhere(prepare, &["restore", "before"]);
        assert!(points > 10, "it came to {points} points alone");
    }

    #[test]
    fn a_rollback_killed_anywhere_leaves_what_is_left_out_and_is_resumed() {
        let divided = Divided::used();
        let prepare = || {
            divided.use_again();
            divided.snap(&["restore", "before"]);
        };
        let points = divided.kill_everywhere(prepare, &["rollback"]);
        assert!(points > 10, "it came to {points} points alone");
    }

    #[test]
    fn a_resume_killed_anywhere_leaves_what_is_left_out_and_is_resumed() {
        let divided = Divided::used();
        for point in ["inside.begun", "inside.in=1*off->return", "inside.out"] {
            let point = if point.contains('=') { point.into() } else { format!("{point}=return") };
            let prepare = || {
                divided.use_again();
                let killed = divided.snap_with("FAILPOINTS", &point, &["restore", "before"]);
                assert_ne!(killed.code, 0, "{point}: {killed:#?}");
            };
            let points = divided.kill_everywhere(prepare, &["restore", "--resume"]);
            assert!(points > 5, "it came to {points} points alone");
            assert_eq!(divided.files()[0], SAVED);
        }
    }

    #[test]
    fn what_can_only_be_put_back_is_put_back_around_what_is_left_out_wherever_that_is_killed() {
        let divided = Divided::used();
        let prepare = || {
            divided.use_again();
            let begun = "inside.in=1*off->return";
            let killed = divided.snap_with("FAILPOINTS", begun, &["restore", "before"]);
            assert_ne!(killed.code, 0, "{killed:#?}");
            let staging = divided.beside().into_iter().find(|it| it.contains("staging"));
            let staging = divided.place.root().join("etc").join(staging.expect("it is there"));
            fs::remove_file(staging.join("conf/a")).expect("lose what was to come in");
            // A folder that came in has a log already.
            assert!(divided.folder().join("gone/b").exists());
            divided.write("gone/since.log", "since");
        };
        let points = divided.kill_everywhere(prepare, &["restore", "--resume"]);
        assert!(points > 5, "it came to {points} points alone");
        assert_eq!(divided.files()[0], USED);
    }
}
