//! Where a security file lists users, groups and their roles.
//!
//! Cloudify Manager 3.x kept them in the file's user store: users and groups, each of which may
//! list `roles`. The same two lists stand at the top of its `userstore.yaml`, and of files that
//! operators write by that example. Since 4.0 the file has neither users nor roles.

use crate::profile::roles::state::Holder;
use crate::profile::security::tree::Node;

/// As many characters as the tables of Cloudify Manager hold of a name.
const MAX_NAME: usize = 255;

/// The tables that may have the two lists.
const STORES: [&[&str]; 2] = [&[], &["userstore_driver", "properties", "userstore"]];

/// A role that the file says somebody has.
pub(super) struct Mention<'a> {
    pub(super) holder: Holder,
    /// The text of the role.
    pub(super) role: &'a str,
    /// Where it stands.
    pub(super) node: &'a Node,
}

/// Returns all roles that users and groups list, in the order of the file.
pub(super) fn mentions(root: &Node) -> Vec<Mention<'_>> {
    let stores = STORES.into_iter().flat_map(|path| below(root, path));
    stores
        .flat_map(|store| {
            let users =
                holders(store, "users", |entry| Holder::User(named(entry, &["username", "name"])));
            let groups = holders(store, "groups", |entry| Holder::Group(named(entry, &["name"])));
            users.chain(groups).collect::<Vec<_>>()
        })
        .collect()
}

/// Returns every table under this path; more than one where a key stands twice.
fn below<'a>(root: &'a Node, path: &[&'a str]) -> Vec<&'a Node> {
    path.iter()
        .fold(vec![root], |nodes, key| nodes.into_iter().flat_map(|node| node.all(key)).collect())
}

fn holders<'a>(
    store: &'a Node,
    list: &'a str,
    holder: impl Fn(&Node) -> Holder,
) -> impl Iterator<Item = Mention<'a>> {
    let entries = store.all(list).flat_map(Node::list);
    entries.flat_map(move |entry| {
        let holder = holder(entry);
        let roles = entry.all("roles").flat_map(roles);
        roles.map(move |(node, role)| Mention { holder: holder.clone(), role, node })
    })
}

/// Returns the roles of a list, or the one role that stands there without a list.
fn roles(node: &Node) -> impl Iterator<Item = (&Node, &str)> {
    let alone = node.text().map(|role| (node, role));
    alone.into_iter().chain(node.list().iter().filter_map(|node| Some((node, node.text()?))))
}

/// Returns the name of an entry; an empty one where it has none: it is somebody all the same. It is
/// for people to read, and stands beside each role: of a longer one than any is, the beginning.
fn named(entry: &Node, keys: &[&str]) -> String {
    let name = keys.iter().find_map(|key| entry.get(key)?.text()).unwrap_or_default();
    name.chars().take(MAX_NAME).collect()
}

/// Returns whether the file lists users or groups, with roles or without.
pub(super) fn lists_holders(root: &Node) -> bool {
    let stores = STORES.into_iter().flat_map(|path| below(root, path));
    stores.flat_map(|store| store.all("users").chain(store.all("groups"))).next().is_some()
}
