use std::sync::Arc;

use super::*;
use crate::breaker::{Forced, State};
use crate::budget::Standing;
use crate::config::{EjectionPolicy, Policy, RateLimit, RetryBudget};
use crate::health::{Health, Peers, Reason};
use crate::outcome::Outcome;
use crate::why::service::{Rank, Whole, limits, retry_budget};

/// Three endpoints, so many of them down and ejected.
fn whole(down: usize, ejected: usize) -> Whole<'static> {
    let peers: Arc<Peers> = Arc::default();
    let all: Vec<Health> = (0..3).map(|_| Health::new(peers.clone())).collect();
    let now = Instant::now();
    for health in &all[..down] {
        health.connect_failed(Outcome::ConnectRefused, "", now, 0.0);
    }
    for health in &all[down..down + ejected] {
        let rules = EjectionPolicy::default();
        health.eject(Reason::Consecutive, &rules, now, 0.0);
    }
    Whole {
        census: peers.census(),
        kept: 0,
        well: 3 - down - ejected,
        last_resort: 0,
        problem: None,
        breakers: vec![("Get", State::Closed)],
        forced: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_is_told_in_one_line_and_the_worst_ranks_first() {
    let unread = Whole {
        problem: Some("its registry could not be read yet"),
        ..whole(0, 0)
    };
    let open = Whole {
        breakers: vec![("Get", State::ForcedOpen), ("Put", State::Closed)],
        ..whole(0, 0)
    };
    let forced = Whole {
        breakers: vec![("Get", State::ForcedOpen), ("Put", State::HalfOpen)],
        forced: Some(Forced::Open),
        ..whole(0, 0)
    };
    let kept = Whole {
        kept: 1,
        ..whole(0, 0)
    };
    let lone = Whole {
        kept: 1,
        well: 0,
        ..whole(1, 1)
    };
    let last_resort = Whole {
        last_resort: 2,
        ..whole(3, 0)
    };
    for (whole, rank, said) in [
        (
            last_resort,
            Rank::Failing,
            "0 of 3 endpoints can be called: 3 down; 2 called all the same: every endpoint fails its checks",
        ),
        (
            lone,
            Rank::Failing,
            "1 of 3 endpoints can be called: 1 down, 1 ejected; 1 fails and is not ejected",
        ),
        (unread, Rank::Dead, "its registry could not be read yet"),
        (
            whole(3, 0),
            Rank::Dead,
            "0 of 3 endpoints can be called: 3 down",
        ),
        (
            open,
            Rank::Refusing,
            "3 of 3 endpoints can be called; breaker of Get forced open",
        ),
        (
            forced,
            Rank::Refusing,
            "3 of 3 endpoints can be called; breakers of all methods forced open; breaker of Put half open",
        ),
        (
            whole(1, 1),
            Rank::Wounded,
            "1 of 3 endpoints can be called: 1 down, 1 ejected",
        ),
        (
            kept,
            Rank::Watched,
            "3 of 3 endpoints can be called; 1 fails and is not ejected",
        ),
        (whole(0, 0), Rank::Well, "3 of 3 endpoints can be called"),
    ] {
        assert_eq!((whole.rank(), &*whole.sentence()), (rank, said));
    }
    assert!(Rank::Dead < Rank::Failing && Rank::Failing < Rank::Refusing);
    assert!(Rank::Failing < Rank::Wounded && Rank::Watched < Rank::Well);
}

#[test]
fn the_retry_budget_is_told_as_a_sum() {
    let standing = Standing {
        calls: 3_020,
        resends: 600,
        tokens: 104,
    };
    let said = retry_budget(&standing, RetryBudget::default());
    assert_eq!(
        said,
        "104 tokens: 20 % of 3,020 calls + 100 - 600 retries in 10s"
    );
}

#[test]
fn limits_are_told_with_what_is_used_of_them() {
    let mut policy = Policy::default();
    assert_eq!(
        limits(12, 0, &policy),
        "12 of 1,024 calls in flight, 0 of 1,024 waiting"
    );
    policy.call.rate = RateLimit {
        per_second: 2_000,
        burst: 50,
    };
    let said = limits(0, 0, &policy);
    assert!(
        said.ends_with("waiting; rate_limit 2,000 a second, 50 at once"),
        "{said}"
    );
}
