#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn every_key_reads_back_by_its_name() {
    for (name, key) in INTS {
        assert_eq!(Key::new(name), Ok(Key::Int(key)));
    }
    for name in INTS.map(|(name, _)| name).into_iter().chain([
        "source",
        "RPC_PERSIST_LANE",
        "RPC_TRANSIT_tenant",
        "gdpr-token",
        "isn",
    ]) {
        assert_eq!(Key::new(name).unwrap().name(), name);
    }
}

#[test]
fn a_misspelt_key_names_the_one_meant_and_what_can_be_none_is_refused() {
    for (wrong, near) in [
        ("Env", "env"),
        ("evn", "env"),
        ("from-service", "from_service"),
        ("to_clutser", "to_cluster"),
        ("ring_hashkey", "ring_hash_key"),
    ] {
        assert_eq!(Key::new(wrong), Err(NoKey::Near(near)), "{wrong}");
    }
    for wrong in ["", "a\nb", &"x".repeat(256)] {
        assert_eq!(Key::new(wrong), Err(NoKey::Malformed));
    }
}
