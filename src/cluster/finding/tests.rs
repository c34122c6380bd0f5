#![allow(clippy::unwrap_used)]
use std::net::SocketAddr;

use tokio::runtime::Handle;

use super::*;
use crate::cluster::{Dial, Knowledge};
use crate::config::Policy;
use crate::diagnosis::Origin;
use crate::log::captured::captured;
use crate::outcome::{Limit, Reach};
use crate::probe::Seen;
use crate::registry::{Class, DialAddr, Instance, Rewritten};

/// A service with one endpoint, which is registered so, and the endpoint.
fn one(addr: &str, origin: Origin) -> (Arc<Cluster>, Arc<Endpoint>) {
    let policy = Policy {
        connect_timeout: Duration::from_millis(50),
        ..Policy::default()
    };
    let cluster = Cluster::new("item", Arc::new(policy), Handle::current(), false);
    let addr = match addr.parse::<SocketAddr>() {
        Ok(socket) => socket.into(),
        Err(_) => DialAddr::Unix(std::path::Path::new(addr).into()),
    };
    let dial = Dial {
        origin: Arc::new(origin),
        ..dial(&addr)
    };
    cluster.apply(vec![dial], Knowledge::Read(None));
    let endpoint = cluster.endpoint(&addr).unwrap();
    // Nothing here looks for itself.
    assert!(endpoint.watch.take_probe(Instant::now()));
    (cluster, endpoint)
}

fn dial(addr: &DialAddr) -> Dial {
    Dial {
        addr: addr.clone(),
        weight: 1,
        revision: 1,
        tags: Default::default(),
        here: false,
        origin: Arc::default(),
    }
}

fn registered(class: Class, code: Code, alone: bool) -> Origin {
    Origin {
        class,
        codes: vec![code],
        alone,
        ..Origin::default()
    }
}

/// What a caller is told after a connect that failed so.
fn told(cluster: &Cluster, endpoint: &Arc<Endpoint>, outcome: Outcome, detail: &str) -> String {
    let error = ConnectError {
        outcome,
        detail: detail.into(),
        is_reset: false,
    };
    cluster.note_connect(endpoint, &error, true);
    let failed = Failed::new(outcome, Instant::now())
        .to(endpoint.id, &endpoint.name)
        .because(detail);
    down(endpoint, failed, "1 of 1 endpoints down").explain("item", "GetItem")
}

#[tokio::test(start_paused = true)]
async fn the_first_failing_caller_reads_what_the_registration_is() {
    let loopback = registered(Class::Loopback, Code::R02, false);
    let (cluster, endpoint) = one("127.0.0.1:8890", loopback);
    assert_eq!(
        told(&cluster, &endpoint, Outcome::ConnectRefused, "refused"),
        "tidegate: 127.0.0.1:8890 (item) is registered as a loopback address (R02); see tidegate doctor item: 1 of 1 \
         endpoints down, it refused (P01); called GetItem"
    );
    let container = registered(Class::ContainerNetwork, Code::R04, true);
    let (cluster, endpoint) = one("172.17.0.3:8888", container);
    assert_eq!(
        told(&cluster, &endpoint, Outcome::ConnectTimeout, "no answer"),
        "tidegate: 172.17.0.3:8888 (item) is registered as a container's address (R04); see tidegate doctor item: 1 of 1 \
         endpoints down, it timed out (P02); called GetItem"
    );
}

#[tokio::test(start_paused = true)]
async fn on_a_lone_host_that_nobody_listens_comes_before_the_loopback_address() {
    let loopback = registered(Class::Loopback, Code::R02, true);
    let (cluster, endpoint) = one("127.0.0.1:8890", loopback);
    assert_eq!(
        told(&cluster, &endpoint, Outcome::ConnectRefused, "refused"),
        "tidegate: cannot connect to item: 1 of 1 endpoints down, last 127.0.0.1:8890 refused (P01), it is registered as \
         a loopback address (R02); see tidegate doctor item; called GetItem"
    );
}

#[tokio::test(start_paused = true)]
async fn a_private_address_without_a_route_is_told_as_such() {
    let private = Origin {
        class: Class::Private,
        ..Origin::default()
    };
    let (cluster, endpoint) = one("10.1.2.3:8888", private);
    assert_eq!(
        told(
            &cluster,
            &endpoint,
            Outcome::Unreachable,
            "No route to host (os error 113)"
        ),
        "tidegate: 10.1.2.3:8888 (item) is registered as a private address without a route from here (R05); see tidegate \
         doctor item: 1 of 1 endpoints down, it was unreachable (P03: No route to host (os error 113)); called GetItem"
    );
}

#[tokio::test(start_paused = true)]
async fn a_unix_socket_that_nobody_listens_on_is_told_nothing_of_ports() {
    let socket = Origin {
        class: Class::UnixSocket,
        ..Origin::default()
    };
    let words = "its file is there, and nobody listens on it";
    for outcome in [Outcome::ConnectRefused, Outcome::Unreachable] {
        let (cluster, endpoint) = one("/run/item.sock", socket.clone());
        assert_eq!(
            told(&cluster, &endpoint, outcome, words),
            "tidegate: unix:/run/item.sock (item) is registered as a unix socket that nobody here listens on (R19); see \
             tidegate doctor item: 1 of 1 endpoints down, it failed: its file is there, and nobody listens on it; called \
             GetItem"
        );
        let codes: Vec<Code> = endpoint.watch.list().iter().map(|it| it.code).collect();
        assert_eq!(codes, [Code::R19]);
    }
}

fn open_after(ms: u64, spoke: Option<Spoke>) -> Seen {
    Seen {
        connect: Connect::Open(Duration::from_millis(ms)),
        spoke,
        call: None,
        idle: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_tells_a_far_endpoint_from_one_that_does_not_answer() {
    let (cluster, endpoint) = one("10.1.2.3:8888", Origin::default());
    let first = told(&cluster, &endpoint, Outcome::ConnectTimeout, "no answer");
    assert!(
        first.contains("timed out (P02); see tidegate doctor item"),
        "{first}"
    );
    cluster.looked(&endpoint, &open_after(80, None), Instant::now());
    let codes = || -> Vec<Code> { endpoint.watch.list().iter().map(|it| it.code).collect() };
    assert_eq!(codes(), [Code::P12]);
    // The background connect, within the same short timeout.
    told(&cluster, &endpoint, Outcome::ConnectTimeout, "no answer");
    assert_eq!(codes(), [Code::P12]);
    let failed = Failed::new(Outcome::ConnectTimeout, Instant::now())
        .to(endpoint.id, &endpoint.name)
        .because("no answer");
    let said = down(&endpoint, failed, "1 of 1 endpoints down").explain("item", "GetItem");
    assert!(
        said.contains("timed out (P12: a connect takes 80ms, connect_timeout is 50ms)"),
        "{said}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_round_trip_is_no_finding_where_connects_work() {
    let (cluster, endpoint) = one("10.1.2.3:8888", Origin::default());
    let now = Instant::now();
    cluster.looked(&endpoint, &open_after(80, None), now);
    assert_eq!(endpoint.watch.list(), []);
    cluster.looked(&endpoint, &open_after(1, Some(Spoke::Redis)), now);
    assert_eq!(endpoint.watch.list()[0].code, Code::P11);
}

#[tokio::test(start_paused = true)]
async fn what_came_back_meanwhile_is_not_accused_by_a_late_look() {
    let (cluster, endpoint) = one("10.1.2.3:8888", Origin::default());
    let refused = Seen {
        connect: Connect::Refused(Duration::ZERO),
        ..open_after(1, None)
    };
    let began = Instant::now();
    cluster.looked(&endpoint, &refused, began);
    assert_eq!(endpoint.watch.list(), []);
    tokio::time::advance(Duration::from_millis(1)).await;
    endpoint.load.answered(Instant::now());
    let redis = open_after(1, Some(Spoke::Redis));
    cluster.looked(&endpoint, &redis, began);
    assert_eq!(endpoint.watch.list(), []);
}

/// A try that ended so, after a second; as its caller is told.
fn waited(cluster: &Cluster, endpoint: &Arc<Endpoint>, outcome: Outcome) -> String {
    let now = Instant::now();
    let sent = now - Duration::from_secs(1);
    let limit = Limit::Time("deadline", Duration::from_secs(1));
    let failed = Failed::new(outcome, now)
        .during(Phase::FirstByte, Reach::Written)
        .to(endpoint.id, &endpoint.name)
        .limit(limit, Duration::from_secs(1));
    cluster
        .diagnose(endpoint, failed, sent)
        .explain("item", "Get")
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_told_from_a_silent_endpoint_and_an_impatient_caller_accuses_nobody() {
    let (cluster, endpoint) = one("10.1.2.3:8888", Origin::default());
    let ends = |said: String, end: &str| {
        let end = format!("phase first_byte{end}; called Get");
        assert!(said.ends_with(&end), "{said}");
    };
    ends(waited(&cluster, &endpoint, Outcome::Deadline), "");
    let lone = waited(&cluster, &endpoint, Outcome::DeadlineOverdue);
    ends(lone, ": it has answered nothing yet");
    tokio::time::advance(Duration::from_millis(100)).await;
    let silent = ": it has answered nothing yet (P08); see tidegate doctor item --call";
    for outcome in [Outcome::DeadlineOverdue, Outcome::Deadline] {
        ends(waited(&cluster, &endpoint, outcome), silent);
    }
    tokio::time::advance(Duration::from_millis(100)).await;
    endpoint.load.answered(Instant::now());
    tokio::time::advance(Duration::from_millis(100)).await;
    for code in ["", "", " (P13)"] {
        let slow = waited(&cluster, &endpoint, Outcome::ReadDeadline);
        let end = format!(": it answers other calls, this one is slow{code}");
        ends(slow, &end);
    }
    let codes: Vec<Code> = endpoint.watch.list().iter().map(|it| it.code).collect();
    assert_eq!(codes, [Code::P13]);
}

#[tokio::test(start_paused = true)]
async fn the_silence_of_another_protocols_server_is_no_finding_of_its_own() {
    let (cluster, endpoint) = one("10.1.2.3:8888", Origin::default());
    let codes = || -> Vec<Code> { endpoint.watch.list().iter().map(|it| it.code).collect() };
    for _ in 0..2 {
        waited(&cluster, &endpoint, Outcome::DeadlineOverdue);
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert_eq!(codes(), [Code::P08]);
    let page = Spoke::Http("<!DOCTYPE HTML>".into());
    let said = cluster.speaks(&endpoint, &page);
    assert_eq!(said, "an HTTP server answers there (P05): <!DOCTYPE HTML>");
    assert_eq!(codes(), [Code::P05]);
    assert_eq!(&*endpoint.watch.list()[0].said, "it says <!DOCTYPE HTML>");
    let said = waited(&cluster, &endpoint, Outcome::DeadlineOverdue);
    let end = "phase first_byte: it is an HTTP server (P05); see tidegate doctor item; called Get";
    assert!(said.ends_with(end), "{said}");
    assert_eq!(codes(), [Code::P05]);
}

#[tokio::test(start_paused = true)]
async fn the_log_leads_with_what_the_registration_is_and_its_remedy() {
    let loopback = || registered(Class::Loopback, Code::R02, false);
    let line = logged("127.0.0.1:8890", loopback(), |cluster, endpoint| {
        told(cluster, endpoint, Outcome::ConnectRefused, "refused");
    });
    let text = "it is registered as a loopback address, and refuses connections (P01): refused; register an address that \
                other hosts can dial instead of 127.0.0.1:8890: ";
    assert!(line.contains(text), "{line}");
    assert!(
        line.contains("code=R02") && !line.contains("start the server"),
        "{line}"
    );
    let ruled = Origin {
        rewritten: Some(Rewritten {
            to: "127.0.0.1:8890".into(),
            class: Class::Loopback,
            rule: "rewrite 1".into(),
            label: "1".into(),
        }),
        instance: Some(Arc::new(Instance {
            address: "10.0.0.7:8888".into(),
            network: "tcp".into(),
            key: String::new(),
            weight: 1,
            tags: Default::default(),
            revision: 1,
            notes: Vec::new(),
        })),
        ..loopback()
    };
    let line = logged("127.0.0.1:8890", ruled, |cluster, endpoint| {
        told(cluster, endpoint, Outcome::ConnectRefused, "refused");
    });
    assert!(line.contains("let rewrite 1 lead to"), "{line}");
    let plain = Origin::default();
    let line = logged("10.1.2.3:8888", plain, |cluster, endpoint| {
        for _ in 0..2 {
            waited(cluster, endpoint, Outcome::DeadlineOverdue);
        }
        let now = Instant::now();
        cluster.overdue(endpoint, now - Duration::from_millis(1), now);
    });
    assert!(
        line.contains("code=P08") && line.contains("raise read_deadline"),
        "{line}"
    );
    assert!(line.contains("see tidegate doctor item --call"), "{line}");
}

/// The line that the log gets of what befalls an endpoint that is registered so.
fn logged(
    addr: &str,
    origin: Origin,
    befalls: impl FnOnce(&Arc<Cluster>, &Arc<Endpoint>),
) -> String {
    let (cluster, endpoint) = one(addr, origin);
    captured(|| {
        befalls(&cluster, &endpoint);
        cluster.upkeep(Instant::now() + Duration::from_secs(2));
    })
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_even_be_written_takes_back_no_finding() {
    let (cluster, endpoint) = one("10.1.2.3:8888", Origin::default());
    let now = Instant::now();
    for sent in [now - Duration::from_secs(2), now - Duration::from_secs(1)] {
        cluster.overdue(&endpoint, sent, now);
    }
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let failed = Failed::new(Outcome::ReadDeadline, Instant::now())
            .during(Phase::Write, Reach::Unwritten)
            .to(endpoint.id, &endpoint.name);
        let said = cluster
            .diagnose(&endpoint, failed, now)
            .explain("item", "Get");
        assert!(
            said.contains("phase write: it has answered nothing yet (P08)"),
            "{said}"
        );
        cluster.upkeep(Instant::now());
        assert_eq!(endpoint.watch.list()[0].code, Code::P08);
    }
}

/// How many addresses were counted for this finding.
fn counted(cluster: &Cluster, code: Code) -> usize {
    let counted = cluster.counted.lock();
    counted
        .as_ref()
        .and_then(|it| it.get(&code).copied())
        .unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn what_is_registered_no_more_leaves_the_count_at_once_though_it_is_kept() {
    let (cluster, endpoint) = one("10.1.2.3:8888", Origin::default());
    told(&cluster, &endpoint, Outcome::ConnectRefused, "refused");
    cluster.set_registered_findings(Registered::new());
    assert_eq!(counted(&cluster, Code::P01), 1);
    let lost = Origin {
        lost: true,
        ..Origin::default()
    };
    let dial = Dial {
        addr: endpoint.addr.clone(),
        weight: 1,
        revision: 1,
        tags: Default::default(),
        here: false,
        origin: Arc::new(lost),
    };
    cluster.apply(vec![dial], Knowledge::Read(None));
    cluster.set_registered_findings(Registered::new());
    assert_eq!(counted(&cluster, Code::P01), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_with_nothing_registered_counts_until_something_is() {
    let (cluster, endpoint) = one("10.1.2.3:8888", Origin::default());
    for (dials, known, n) in [
        (vec![], Knowledge::Nothing, 1),
        (vec![], Knowledge::Read(Some("refused".into())), 0),
        (vec![], Knowledge::Nothing, 1),
        (vec![dial(&endpoint.addr)], Knowledge::Read(None), 0),
    ] {
        cluster.apply(dials, known);
        cluster.set_registered_findings(Registered::new());
        assert_eq!(counted(&cluster, Code::R13), n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_is_counted_until_somebody_was_connected_to_there_and_a_note_never() {
    let pod = Origin {
        codes: vec![Code::R04, Code::R10],
        class: Class::ContainerNetwork,
        ..Origin::default()
    };
    let (cluster, endpoint) = one("10.244.1.5:8888", pod);
    cluster.set_registered_findings(Registered::from([(Code::R02, 2)]));
    let now = |code| counted(&cluster, code);
    assert_eq!((now(Code::R02), now(Code::R04), now(Code::R10)), (2, 1, 0));
    cluster.connected(&endpoint);
    cluster.upkeep(Instant::now());
    assert_eq!((now(Code::R02), now(Code::R04)), (2, 0));
    told(&cluster, &endpoint, Outcome::ConnectTimeout, "no answer");
    cluster.upkeep(Instant::now());
    assert_eq!((now(Code::R04), now(Code::P02)), (0, 1));
}
