#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn key(rest: &str) -> Vec<u8> {
    format!("kitex/registry-etcd/{rest}").into_bytes()
}

fn names(table: &NameTable) -> Vec<String> {
    table.names().iter().map(ToString::to_string).collect()
}

#[test]
fn a_service_is_there_from_its_first_key_to_its_last() {
    let mut table = NameTable::new(Layout::default());
    assert!(table.put(&key("item/10.0.0.1:1")));
    assert!(!table.put(&key("item/10.0.0.2:1")));
    assert!(!table.put(&key("item/10.0.0.2:1")), "put again");
    assert!(table.put(&key("stock/10.0.0.2:1")));
    assert_eq!(names(&table), ["item", "stock"]);
    assert!(!table.delete(&key("item/10.0.0.2:1")));
    assert!(!table.delete(&key("item/10.0.0.9:1")), "never there");
    assert!(table.delete(&key("item/10.0.0.1:1")));
    assert!(!table.delete(&key("item/10.0.0.1:1")));
    assert_eq!(names(&table), ["stock"]);
}

#[test]
fn an_address_may_hold_slashes() {
    let mut table = NameTable::new(Layout::default());
    assert!(table.put(&key("item//run/item.sock")));
    assert!(!table.put(&key("item//run/other.sock")));
    assert!(!table.delete(&key("item//run/item.sock")));
    assert_eq!(names(&table), ["item"]);
}

#[test]
fn a_fresh_read_tells_whether_the_names_differ() {
    let mut table = NameTable::new(Layout::default());
    let read = |table: &mut NameTable, keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|rest| key(rest)).collect();
        table.replace(keys.iter().map(Vec::as_slice))
    };
    assert!(read(&mut table, &["item/a:1", "item/b:1"]));
    assert!(!read(&mut table, &["item/c:1"]), "the same service");
    assert!(read(&mut table, &["stock/c:1"]));
    assert!(table.delete(&key("stock/c:1")), "nothing else was left");
    assert!(!read(&mut table, &[]));
}

proptest! {
    #[test]
    fn changes_one_by_one_come_to_what_a_fresh_read_says(
        changes in prop::collection::vec((0_u8..3, 0_u8..3, any::<bool>()), 0..40),
    ) {
        let mut table = NameTable::new(Layout::default());
        let mut keys = BTreeSet::new();
        for (service, address, is_put) in changes {
            let key = key(&format!("s{service}/{address}"));
            let before = names(&table);
            let told = match is_put {
                true => table.put(&key),
                false => table.delete(&key),
            };
            prop_assert_eq!(told, names(&table) != before);
            match is_put {
                true => keys.insert(key),
                false => keys.remove(&key),
            };
            let mut fresh = NameTable::new(Layout::default());
            fresh.replace(keys.iter().map(Vec::as_slice));
            prop_assert_eq!(names(&table), names(&fresh));
        }
    }
}
