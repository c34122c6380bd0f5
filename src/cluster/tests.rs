#![allow(clippy::unwrap_used)]
use std::net::SocketAddr;

use super::*;
use crate::call::{Attribute, Attributes};
use crate::config::Key;
use crate::endpoint::{Pick, Tags};
use crate::health::{Held, Reason};

fn cluster() -> Arc<Cluster> {
    Cluster::new(
        "item",
        Arc::new(Policy::default()),
        Handle::current(),
        false,
    )
}

fn dial(port: u16, weight: u32) -> Dial {
    Dial {
        addr: SocketAddr::from(([127, 0, 0, 1], port)).into(),
        weight,
        revision: 1,
        tags: Default::default(),
        here: false,
        origin: Default::default(),
    }
}

fn refused() -> ConnectError {
    ConnectError {
        outcome: Outcome::ConnectRefused,
        detail: "refused".into(),
        is_reset: false,
    }
}

#[tokio::test]
async fn endpoints_that_stay_keep_their_state_and_those_that_go_get_no_further_call() {
    let cluster = cluster();
    cluster.apply(vec![dial(1, 1), dial(2, 1)], Knowledge::Read(None));
    let (one, two) = (
        cluster.endpoint(&dial(1, 1).addr).unwrap(),
        cluster.endpoint(&dial(2, 1).addr).unwrap(),
    );
    cluster.apply(vec![dial(2, 5), dial(3, 1)], Knowledge::Read(None));
    assert!(one.is_removed() && !two.is_removed());
    assert!(Arc::ptr_eq(
        &two,
        &cluster.endpoint(&dial(2, 1).addr).unwrap()
    ));
    assert!(cluster.endpoint(&dial(1, 1).addr).is_none());
    assert_eq!(
        cluster
            .set()
            .all
            .iter()
            .map(|m| m.weight)
            .collect::<Vec<_>>(),
        [5, 1]
    );
}

#[tokio::test]
async fn a_down_endpoint_is_out_of_the_set_at_once_and_back_when_a_connect_succeeds() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let cluster = cluster();
    cluster.apply(vec![dial(port, 1)], Knowledge::Read(None));
    let endpoint = cluster.endpoint(&dial(port, 1).addr).unwrap();
    cluster.connect_failed(&endpoint, &refused());
    assert!(matches!(
        cluster
            .set()
            .pick(&(), &Default::default(), 0, Instant::now()),
        Pick::Nothing
    ));
    // The background connect finds the listener.
    for _ in 0..1_000 {
        if cluster.set().available() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the endpoint never came back");
}

#[tokio::test]
async fn an_entry_put_again_is_dialled_at_once() {
    let port = scripted::free().port();
    let cluster = cluster();
    cluster.apply(vec![dial(port, 1)], Knowledge::Read(None));
    let endpoint = cluster.endpoint(&dial(port, 1).addr).unwrap();
    cluster.connect_failed(&endpoint, &refused());
    let before = endpoint.health.outage().unwrap().failures;
    cluster.apply(
        vec![Dial {
            revision: 2,
            tags: Default::default(),
            here: false,
            ..dial(port, 1)
        }],
        Knowledge::Read(None),
    );
    for _ in 0..1_000 {
        if endpoint.health.outage().unwrap().failures > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it was not dialled again");
}

#[tokio::test]
async fn an_empty_service_says_why_and_is_unknown_only_where_nothing_is_registered() {
    let cluster = cluster();
    cluster.set_named(true);
    assert!(cluster.why_none().unwrap().contains("could not be read"));
    assert!(!cluster.is_unknown());
    let refused = Knowledge::Read(Some("permission denied".into()));
    cluster.apply(Vec::new(), refused);
    assert_eq!(&*cluster.why_none().unwrap(), "permission denied");
    assert!(!cluster.is_unknown());
    cluster.apply(Vec::new(), Knowledge::Nothing);
    assert!(cluster.is_unknown());
    assert_eq!(
        &*cluster.why_none().unwrap(),
        "nothing is registered (R13); see tidegate doctor item"
    );
}

fn policy(table: &str) -> Arc<Policy> {
    let text = format!(
        "[[listener]]\nname='s'\nlisten='127.0.0.1:1'\nservice='s'\n\
         [[service]]\nname='s'\nendpoints=['127.0.0.1:2']\n{table}"
    );
    let config = crate::config::Config::from_str("t", &text).unwrap();
    Arc::new(config.policy_of("s").clone())
}

fn tagged(port: u16, env: &str) -> Dial {
    Dial {
        tags: Tags::of(&Arc::new(crate::registry::Instance {
            address: String::new(),
            network: "tcp".into(),
            key: String::new(),
            weight: 1,
            tags: [("env".to_owned(), env.to_owned())].into(),
            revision: 1,
            notes: Vec::new(),
        })),
        ..dial(port, 1)
    }
}

#[tokio::test]
async fn a_change_of_tags_or_of_lanes_alone_makes_the_set_anew() {
    struct Alice;
    impl Attributes for Alice {
        fn attribute(&self, _: &Key) -> Option<Attribute<'_>> {
            Some(Attribute::of_bytes(b"alice"))
        }
    }
    let cluster = cluster();
    cluster.apply(vec![dial(1, 1), tagged(2, "alice")], Knowledge::Read(None));
    let live = || cluster.set().live(&Alice);
    assert_eq!(live(), 2);
    cluster.set_policy(&policy(
        "[[service.lane]]\nwhen={env='*'}\nuse={env='{env}'}\nfallback=false",
    ));
    assert_eq!(live(), 1);
    cluster.apply(
        vec![tagged(1, "alice"), tagged(2, "alice")],
        Knowledge::Read(None),
    );
    assert_eq!(live(), 2);
    cluster.apply(vec![dial(1, 1), tagged(2, "bob")], Knowledge::Read(None));
    assert_eq!(live(), 0);
    cluster.set_policy(&policy("prefer=['env=bob']"));
    assert_eq!(live(), 2);
    assert_eq!(cluster.set().preferred().len(), 1);
}

/// Endpoints of these environments; none for an empty one.
fn of_lanes(envs: &[&str], policy_of_them: &str) -> (Arc<Cluster>, Vec<Arc<Endpoint>>) {
    let cluster = cluster();
    cluster.set_policy(&policy(policy_of_them));
    let of = |(port, env): (u16, &&str)| match env.is_empty() {
        true => dial(port, 1),
        false => tagged(port, env),
    };
    let dials: Vec<Dial> = (1..).zip(envs).map(of).collect();
    cluster.apply(dials.clone(), Knowledge::Read(None));
    let all = dials.iter().map(|it| cluster.endpoint(&it.addr).unwrap());
    (cluster.clone(), all.collect())
}

const BY_ENV: &str = "[[service.lane]]\nwhen={env='*'}\nuse={env='{env}'}\n";

fn states(all: &[Arc<Endpoint>]) -> Vec<&'static str> {
    let label = |it: &Arc<Endpoint>| it.health.state().label();
    all.iter().map(label).collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_of_a_lane_and_of_the_baseline_is_not_ejected() {
    let (cluster, all) = of_lanes(&["", "alice", "bob", "bob"], BY_ENV);
    for endpoint in &all {
        cluster.eject(endpoint, Reason::Consecutive, Instant::now());
    }
    assert_eq!(states(&all), ["up", "up", "ejected", "up"]);
    let held = all[1].health.snapshot().held;
    assert_eq!(held, Some((Reason::Consecutive, Held::Lane)));

    let none_left = format!("[service.ejection]\nmin_available = 0\n{BY_ENV}");
    let (cluster, all) = of_lanes(&["", "alice", "bob"], &none_left);
    cluster.eject(&all[1], Reason::Consecutive, Instant::now());
    assert_eq!(states(&all), ["up", "ejected", "up"]);
}

#[tokio::test(start_paused = true)]
async fn an_ejected_endpoint_comes_back_when_the_last_other_of_its_lane_goes_down() {
    let (cluster, all) = of_lanes(&["", "", "", "bob", "bob"], BY_ENV);
    cluster.eject(&all[3], Reason::Consecutive, Instant::now());
    assert_eq!(states(&all), ["up", "up", "up", "ejected", "up"]);
    cluster.connect_failed(&all[4], &refused());
    assert_eq!(states(&all), ["up", "up", "up", "probation", "down"]);
}
