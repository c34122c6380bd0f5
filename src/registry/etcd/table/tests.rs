#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn table() -> Table {
    let layout = Layout::default();
    let range = layout.range("item");
    Table::new(layout, range)
}

fn good(address: &str) -> String {
    format!(r#"{{"network":"tcp","address":"{address}","weight":10,"tags":null}}"#)
}

fn put<'a>(key: &'a str, value: &'a str, revision: i64) -> Put<'a> {
    Put {
        key: key.as_bytes(),
        value: value.as_bytes(),
        revision,
    }
}

fn addresses(table: &Table) -> Vec<String> {
    table
        .set()
        .instances
        .iter()
        .map(|instance| instance.address.clone())
        .collect()
}

#[test]
fn puts_and_deletions_change_the_set() {
    let (mut table, one, two) = (table(), good("10.0.0.1:1"), good("10.0.0.2:1"));
    assert_eq!(table.put(&put("b", &two, 2)), None);
    assert_eq!(table.put(&put("a", &one, 3)), None);
    assert_eq!(
        addresses(&table),
        ["10.0.0.1:1", "10.0.0.2:1"],
        "in the order of the keys"
    );
    assert!(table.delete(b"b"));
    assert!(!table.delete(b"b"));
    assert_eq!(addresses(&table), ["10.0.0.1:1"]);
    assert_eq!(table.set().instances[0].revision, 3);
}

#[test]
fn a_fresh_read_says_whether_it_differs() {
    let (mut table, one, two) = (table(), good("10.0.0.1:1"), good("10.0.0.2:1"));
    assert_eq!(
        table.replace([put("a", &one, 1)].into_iter()),
        (true, vec![])
    );
    assert_eq!(
        table.replace([put("a", &one, 1)].into_iter()),
        (false, vec![])
    );
    assert_eq!(
        table.replace([put("a", &one, 2)].into_iter()),
        (true, vec![]),
        "put again"
    );
    assert_eq!(
        table.replace([put("a", &two, 2)].into_iter()),
        (true, vec![]),
        "another etcd, the same revision"
    );
    assert_eq!(table.replace(std::iter::empty()), (true, vec![]));
}

#[test]
fn a_finding_is_new_once() {
    let (mut table, one) = (table(), good("10.0.0.1:1"));
    let both = || [put("a", "nonsense", 1), put("b", &one, 2)].into_iter();
    assert_eq!(table.replace(both()), (true, vec![Code::R09]));
    assert_eq!(table.replace(both()), (false, vec![]));
    assert_eq!(addresses(&table), ["10.0.0.1:1"], "the rest is served");
    assert_eq!(table.set().skipped.len(), 1);
    assert_eq!(table.put(&put("b", "nonsense", 3)), Some(Code::R09));
    assert!(addresses(&table).is_empty());
}

proptest! {
    #[test]
    fn arbitrary_keys_and_values_never_panic(entries: Vec<(Vec<u8>, Vec<u8>, i64)>) {
        let mut table = table();
        for (key, value, revision) in &entries {
            table.put(&Put { key, value, revision: *revision });
        }
        let puts = entries.iter().map(|(key, value, revision)| Put { key, value, revision: *revision });
        table.replace(puts);
        for (key, ..) in &entries {
            table.delete(key);
        }
        prop_assert!(table.set().instances.is_empty() && table.set().skipped.is_empty());
    }
}
