use super::*;

fn source(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn only_sources_with_open_connections_are_remembered() {
    let guests = Guests::default();
    for n in 0..=255 {
        let address = IpAddr::from([10, 0, 0, n]);
        assert!(guests.arrive(address, 1).is_ok());
        guests.leave(address);
    }
    assert!(guests.sources.lock().is_empty());
}

#[test]
fn a_source_over_its_limit_is_named_once_until_it_is_gone() {
    let (guests, a, b) = (Guests::default(), source("10.0.0.1"), source("10.0.0.2"));
    let first = |of| guests.arrive(of, 2).err().map(|FirstTime(first)| first);
    assert_eq!((first(a), first(a)), (None, None));
    assert_eq!((first(a), first(a)), (Some(true), Some(false)));
    assert_eq!(first(b), None, "another source has its own count");
    guests.leave(a);
    assert_eq!((first(a), first(a)), (None, Some(false)));
    guests.leave(a);
    guests.leave(a);
    assert_eq!((first(a), first(a), first(a)), (None, None, Some(true)));
}

#[test]
fn a_limit_that_is_set_later_counts_those_who_are_there() {
    let (guests, a) = (Guests::default(), source("10.0.0.1"));
    for _ in 0..5 {
        assert!(guests.arrive(a, 0).is_ok());
    }
    assert!(guests.arrive(a, 5).is_err());
    assert!(guests.arrive(a, 6).is_ok());
}
