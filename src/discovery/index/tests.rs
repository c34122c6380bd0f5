#![allow(clippy::unwrap_used)]
use super::*;

fn addr(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 8888))
}

fn set(of: &[u8]) -> HashSet<SocketAddr> {
    of.iter().map(|last| addr(*last)).collect()
}

fn names(index: &AddressIndex, last: u8) -> Vec<String> {
    let names = index.services_at(addr(last));
    names.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn an_address_names_every_service_that_is_registered_there() {
    let index = Arc::new(AddressIndex::default());
    let mut item = Registered::new(index.clone(), "item".into());
    let mut stock = Registered::new(index.clone(), "stock".into());
    item.set(set(&[1, 2]), Instant::now());
    stock.set(set(&[2]), Instant::now());
    assert_eq!(names(&index, 1), ["item"]);
    assert_eq!(names(&index, 2), ["item", "stock"]);
    assert!(names(&index, 3).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_services_at_an_address_come_by_name_whichever_was_read_first() {
    let index = Arc::new(AddressIndex::default());
    let mut all: Vec<_> = ["stock", "user", "item"]
        .map(|name| Registered::new(index.clone(), name.into()))
        .into();
    for registered in &mut all {
        registered.set(set(&[1]), Instant::now());
    }
    assert_eq!(names(&index, 1), ["item", "stock", "user"]);
    all[0].set(set(&[]), Instant::now());
    all[0].set(set(&[1]), Instant::now());
    assert_eq!(names(&index, 1), ["item", "stock", "user"]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_left_is_known_for_another_minute_unless_another_service_has_it() {
    let index = Arc::new(AddressIndex::default());
    let mut item = Registered::new(index.clone(), "item".into());
    let mut stock = Registered::new(index.clone(), "stock".into());
    item.set(set(&[1, 2]), Instant::now());
    item.set(set(&[]), Instant::now());
    assert_eq!(names(&index, 1), ["item"]);
    stock.set(set(&[2]), Instant::now());
    assert_eq!(names(&index, 2), ["stock"]);
    tokio::time::advance(LINGER).await;
    index.sweep(Instant::now());
    assert!(names(&index, 1).is_empty());
    assert_eq!(names(&index, 2), ["stock"]);
    assert_eq!(index.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_comes_back_within_the_minute_stays() {
    let index = Arc::new(AddressIndex::default());
    let mut item = Registered::new(index.clone(), "item".into());
    item.set(set(&[1]), Instant::now());
    item.set(set(&[]), Instant::now());
    tokio::time::advance(LINGER / 2).await;
    item.set(set(&[1]), Instant::now());
    tokio::time::advance(LINGER).await;
    index.sweep(Instant::now());
    assert_eq!(names(&index, 1), ["item"]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_followed_no_more_leaves_nothing_after_a_minute() {
    let index = Arc::new(AddressIndex::default());
    let mut item = Registered::new(index.clone(), "item".into());
    item.set(set(&[1, 2]), Instant::now());
    item.set(set(&[1]), Instant::now());
    drop(item);
    assert_eq!(names(&index, 1), ["item"], "it may be followed anew");
    tokio::time::advance(LINGER).await;
    index.sweep(Instant::now());
    assert!(index.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_followed_anew_keeps_its_addresses() {
    let index = Arc::new(AddressIndex::default());
    let mut before = Registered::new(index.clone(), "item".into());
    before.set(set(&[1, 2]), Instant::now());
    let mut after = Registered::new(index.clone(), "item".into());
    after.set(set(&[2, 3]), Instant::now());
    drop(before);
    tokio::time::advance(LINGER).await;
    index.sweep(Instant::now());
    assert!(names(&index, 1).is_empty());
    assert_eq!(names(&index, 2), ["item"]);
    drop(after);
    tokio::time::advance(LINGER).await;
    index.sweep(Instant::now());
    assert!(index.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() {
    let index = Arc::new(AddressIndex::default());
    let mut item = Registered::new(index.clone(), "item".into());
    item.set(set(&[1]), Instant::now());
    let mapped: SocketAddr = "[::ffff:10.0.0.1]:8888".parse().unwrap();
    assert_eq!(index.services_at(mapped).len(), 1);
}
