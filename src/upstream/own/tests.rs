#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_connection_is_known_as_ours_while_it_lives_and_somebody_asks() {
    let local: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:1".parse().unwrap();
    assert!(Own::remember(|| Some(local)).is_none());
    let watch = Watch::new();
    let own = Own::remember(|| Some(local));
    assert!(is_own(local) && is_own(mapped));
    drop(own);
    assert!(!is_own(local));
    drop(watch);
    assert!(Own::remember(|| panic!("nobody asks")).is_none());
}
