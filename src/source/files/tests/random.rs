//! Random trees that come back as they were.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::source::files::leftovers;

/// What a random tree is made of.
#[derive(Debug, Clone)]
enum Node {
    File {
        content: Vec<u8>,
        mode: u32,
        mtime: (u64, u32),
    },
    Link(Vec<u8>),
    /// One more name of the file that was made last.
    HardLink,
    Folder {
        nodes: BTreeMap<Vec<u8>, Self>,
        mode: u32,
        mtime: (u64, u32),
    },
}

fn mtime() -> impl Strategy<Value = (u64, u32)> {
    (0..4_000_000_000_u64, prop_oneof![Just(0), 0..1_000_000_000_u32])
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("is part of a name", |byte| !b"/\0".contains(byte));
    prop::collection::vec(byte, 1..150)
        .prop_filter("is a name", |name| name != b"." && name != b"..")
}

fn node() -> impl Strategy<Value = Node> {
    let file = (prop::collection::vec(any::<u8>(), 0..3000), 0o400..0o1000_u32, mtime())
        .prop_map(|(content, mode, mtime)| Node::File { content, mode: mode | 0o400, mtime });
    let leaf = prop_oneof![4 => file, 1 => name().prop_map(Node::Link), 1 => Just(Node::HardLink)];
    leaf.prop_recursive(3, 20, 6, |node| {
        (prop::collection::btree_map(name(), node, 0..6), 0..0o100_u32, mtime())
            .prop_map(|(nodes, mode, mtime)| Node::Folder { nodes, mode: mode | 0o700, mtime })
    })
}

fn make(path: &Path, node: &Node, last_file: &mut Option<PathBuf>) {
    match node {
        Node::File { content, mode, mtime } => {
            write(path, content, 0o600);
            set_mtime(path, mtime.0, mtime.1);
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
            *last_file = Some(path.to_owned());
        }
        Node::Link(to) => symlink(OsStr::from_bytes(to), path).unwrap(),
        Node::HardLink => {
            if let Some(file) = last_file {
                fs::hard_link(file, path).unwrap();
            }
        }
        Node::Folder { nodes, mode, mtime } => {
            fs::create_dir(path).unwrap();
            for (name, node) in nodes {
                make(&path.join(OsStr::from_bytes(name)), node, last_file);
            }
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
            set_mtime(path, mtime.0, mtime.1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_tree_comes_back_as_it_was(
        nodes in prop::collection::btree_map(name(), node(), 0..6),
        chunk_bytes in 1..5000_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("tree");
        make(&top, &Node::Folder { nodes, mode: 0o750, mtime: (1, 1) }, &mut None);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let saved = runtime.block_on(save(&top, chunk_bytes));
        let list = FileList::from_detail(&saved.list.to_detail()).unwrap();
        prop_assert_eq!(&list, &saved.list);
        let target = folder.path().join("restored");
        runtime.block_on(restore(&target, &saved)).unwrap().discard_previous().unwrap();
        prop_assert_eq!(picture(&target), picture(&top));
        prop_assert_eq!(leftovers(&target).unwrap(), []);
    }
}
