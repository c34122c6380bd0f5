use super::*;
use crate::{Act, Fault, Instance, Server, free};

const USUAL: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(20);

async fn sent(load: &Load, calls: u64) {
    let enough = async {
        while load.sent() < calls {
            tokio::time::sleep(USUAL).await;
        }
    };
    timeout(PATIENCE, enough).await.unwrap();
}

#[tokio::test]
async fn every_call_is_in_the_log_once_with_its_end() {
    let instance = Instance::start(free(), USUAL, Fault::FailMethod("Bad"))
        .await
        .unwrap();
    let load = Load::start(Plan {
        methods: &["Echo", "Bad"],
        ..Plan::new(instance.address(), 1000)
    });
    sent(&load, 200).await;
    let (all, log) = (load.sent(), load.end(PATIENCE).await);
    assert!(log.calls.len() as u64 >= all);
    assert_eq!(log.calls.len() as u64, instance.calls());
    for call in &log.calls {
        let expected = match call.method {
            "Bad" => End::Exception,
            _ => End::Answered,
        };
        assert_eq!(call.end, expected, "{call:?}");
    }
    assert_eq!(log.failed(), instance.counts().failed);
    assert!(log.texts[0].contains("scripted failure"), "{:?}", log.texts);
}

#[tokio::test]
async fn a_connection_has_one_call_in_flight_and_is_used_again() {
    let instance = Instance::start(free(), USUAL, Fault::None).await.unwrap();
    let load = Load::start(Plan {
        max_in_flight: 10,
        ..Plan::new(instance.address(), 500)
    });
    sent(&load, 200).await;
    let log = load.end(PATIENCE).await;
    assert_eq!(log.failed(), 0, "{:?}", log.texts);
    let counts = instance.counts();
    assert!(
        counts.connections < counts.calls / 4,
        "{} connections",
        counts.connections
    );
}

#[tokio::test]
async fn unanswered_calls_are_bounded_and_failed_at_the_end() {
    let server = Server::start(Act::Silence).await.unwrap();
    let load = Load::start(Plan {
        max_in_flight: 10,
        ..Plan::new(server.address(), 1000)
    });
    timeout(PATIENCE, async {
        while lock(&load.shared.log).held_back < 10 {
            tokio::time::sleep(USUAL).await;
        }
    })
    .await
    .unwrap();
    let log = load.end(USUAL).await;
    assert_eq!(log.calls.len(), 10);
    assert!(log.calls.iter().all(|c| c.end == End::Unanswered));
}

#[tokio::test]
async fn a_caller_hangs_up_when_it_said_and_its_connection_is_closed() {
    let instance = Instance::start(free(), USUAL, Fault::Hang).await.unwrap();
    let load = Load::start(Plan {
        hang_up: Some(Duration::from_millis(50)),
        ..Plan::new(instance.address(), 100)
    });
    sent(&load, 10).await;
    let log = load.end(PATIENCE).await;
    assert!(log.calls.iter().all(|c| c.end == End::HungUp));
    assert!(
        log.calls
            .iter()
            .all(|c| c.took >= Duration::from_millis(50))
    );
    timeout(PATIENCE, async {
        while instance.counts().left < log.calls.len() as u64 {
            tokio::time::sleep(USUAL).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let instance = Instance::start(free(), USUAL, Fault::None).await.unwrap();
    let load = Load::start(Plan::new(instance.address(), 20));
    sent(&load, 3).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    lock(&load.shared.log).calls.clear();
    instance.set(Fault::Down).await;
    instance.set(Fault::None).await;
    let so_far = load.sent();
    sent(&load, so_far + 5).await;
    let log = load.end(PATIENCE).await;
    let ended = log.calls.iter().filter(|c| c.failed()).count();
    assert!(
        ended <= usize::try_from(instance.counts().cut).unwrap() + 1,
        "{:?}",
        log.texts
    );
}
