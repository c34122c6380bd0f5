#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_connection_is_known_as_ours_by_both_ends_while_it_lives_and_somebody_asks() {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let (local, mapped) = (at("127.0.0.1:1"), at("[::ffff:127.0.0.1]:1"));
    let (to, elsewhere) = (at("10.0.0.1:8888"), at("10.0.0.2:8888"));
    assert!(Own::remember(|| Some((local, to))).is_none());
    let watch = Watch::new();
    let own = Own::remember(|| Some((local, to))).unwrap();
    assert!(
        !came_back(local, elsewhere),
        "somebody else's, from the same port"
    );
    assert!(!own.came_back());
    assert!(came_back(local, to) && came_back(mapped, to));
    assert!(own.came_back(), "its user is told");
    drop(own);
    assert!(!came_back(local, to));
    drop(watch);
    assert!(Own::remember(|| panic!("nobody asks")).is_none());
}
