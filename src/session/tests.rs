//! What a connection costs while it is idle, as counts: so that it cannot creep.

use super::*;

fn size<F>(_: impl Fn(Box<Client>, Arc<Door>) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_session_takes_at_most_one_and_a_half_kib_and_its_client_half_a_kib() {
    assert!(size(serve) <= 1536, "{}", size(serve));
    assert!(size_of::<Client>() <= 512, "{}", size_of::<Client>());
}
