//! Merging files: a later one says only what differs.
//!
//! Tables merge key by key. Arrays of tables whose entries have a `name` merge entry by entry:
//! one of the same name merges into the earlier, others are added. An entry of another `kind`
//! replaces the earlier, since their keys are not the same. Everything else is replaced.
//!
//! The rules under `[[rewrite]]` need no name to be added to the earlier ones.

use super::tree::{Kind, Node, Table};

/// The array whose entries are added whether they have names or not. An empty one still replaces it.
const LIST: &str = "rewrite";

/// Lays `over` upon `base`.
pub(crate) fn merge(base: &mut Table, over: Table) {
    if differs(base.text("kind"), over.text("kind")) {
        *base = over;
        return;
    }
    for entry in over.0 {
        match base.get_mut(&entry.key) {
            Some(earlier) => {
                earlier.key_at = entry.key_at;
                let is_list = entry.key == LIST;
                merge_values(&mut earlier.value, entry.value, is_list);
            }
            None => base.0.push(entry),
        }
    }
}

fn merge_values(base: &mut Node, over: Node, is_list: bool) {
    match (&mut base.kind, over.kind) {
        (Kind::Table(base), Kind::Table(over)) => merge(base, over),
        (Kind::Array(base), Kind::Array(over))
            if named(base) && named(&over) || is_list && !over.is_empty() =>
        {
            merge_named(base, over);
        }
        (_, kind) => {
            base.kind = kind;
            base.at = over.at;
        }
    }
}

fn differs(base: Option<&str>, over: Option<&str>) -> bool {
    matches!((base, over), (Some(base), Some(over)) if base != over)
}

fn merge_named(base: &mut Vec<Node>, over: Vec<Node>) {
    // Only what stood there before may be merged into, and once: two entries of one name in one
    // file stay two, for the check to refuse.
    let mut free: Vec<usize> = (0..base.len()).collect();
    for node in over {
        let same = free
            .iter()
            .position(|index| name(&base[*index]).is_some_and(|it| Some(it) == name(&node)));
        match same {
            Some(position) => merge_values(&mut base[free.swap_remove(position)], node, false),
            None => base.push(node),
        }
    }
}

/// An array whose entries are told apart by name.
fn named(array: &[Node]) -> bool {
    array.iter().any(|node| name(node).is_some())
}

fn name(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Table(table) => table.text("name"),
        _ => None,
    }
}
