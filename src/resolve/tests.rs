#![allow(clippy::unwrap_used)]

use super::{NotSaid, Says};
use crate::call::Attributes;
use crate::config::Key;

#[test]
fn of_a_key_that_is_said_twice_the_last_counts() {
    let mut says = Says::default();
    for pair in [
        "env=alice",
        "env=gray",
        "source=::ffff:10.0.0.7",
        "RPC_PERSIST_LANE=a=b",
    ] {
        says.add(pair).unwrap();
    }
    let said = |key: &str| says.attribute(&Key::new(key).unwrap()).unwrap().to_vec();
    assert_eq!(said("env"), b"gray");
    assert_eq!(said("source"), b"10.0.0.7");
    assert_eq!(said("RPC_PERSIST_LANE"), b"a=b");
    assert!(says.attribute(&Key::new("to_cluster").unwrap()).is_none());
}

#[test]
fn what_no_call_can_say_is_refused() {
    let refused = |pair: &str| Says::default().add(pair).unwrap_err();
    assert_eq!(refused("env"), NotSaid::NoPair);
    assert_eq!(refused("env="), NotSaid::NoPair);
    assert_eq!(refused("source=here"), NotSaid::NoAddress);
    assert!(matches!(refused("=x"), NotSaid::Key(_)));
    assert!(matches!(refused("to-cluster=x"), NotSaid::Key(_)));
}
