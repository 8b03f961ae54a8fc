//! The layers of `src/`, and the tests that keep them free of circles.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Each folder of `src/` and the folders it may use, lowest layer first.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("repository", &["base"]),
    ("source", &["base"]),
    ("profile", &["base", "source"]),
    ("system", &["base", "profile"]),
    ("snapshot", &["base", "repository", "source", "profile", "system"]),
    ("cli", &["base", "repository", "profile", "snapshot"]), // not source: through profile
];

/// A file longer than this, tests aside, is two files.
const MAX_LINES: usize = 400;

#[test]
fn a_layer_uses_only_the_layers_it_may_use() {
    for (layer, may_use) in LAYERS {
        for file in rust_files(&Path::new("src").join(layer)) {
            for used in layers_used(&read(&file)) {
                assert!(
                    used == *layer || may_use.contains(&used.as_str()),
                    "{}: `{layer}` may not use `{used}`",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn a_layer_may_use_only_lower_layers_so_there_is_no_circle() {
    for (position, (layer, may_use)) in LAYERS.iter().enumerate() {
        for used in *may_use {
            let is_lower = LAYERS[..position].iter().any(|(lower, _)| lower == used);
            assert!(is_lower, "`{used}` is not below `{layer}`");
        }
    }
}

#[test]
fn every_folder_is_a_layer() {
    for entry in fs::read_dir("src").expect("list src") {
        let path = entry.expect("read entry of src").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_layer = LAYERS.iter().any(|(layer, _)| *layer == name);
        assert!(!path.is_dir() || is_layer, "`{name}` is in no layer");
    }
}

#[test]
fn every_file_opens_with_its_purpose_names_its_imports_and_is_short() {
    for file in rust_files(Path::new("src")) {
        let text = read(&file);
        let name = file.display();
        assert!(text.starts_with("//! "), "{name}: say what the file is for");
        for hidden in ["crate::{", "crate::*", "super::super"] {
            assert!(!text.contains(hidden), "{name}: `{hidden}` hides what is used");
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        assert!(code.lines().count() <= MAX_LINES, "{name}: longer than {MAX_LINES} lines");
    }
}

/// Returns `a` for each `crate::a…` outside of comments.
fn layers_used(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|path| path.split(|c: char| !c.is_alphanumeric() && c != '_').next())
        .map(|name| name.unwrap_or_default().to_owned())
        .collect()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("list folder") {
        let path = entry.expect("read folder entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("read source file")
}
