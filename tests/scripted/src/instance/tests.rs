use super::*;
use crate::{Answer, Client, Framing, free};
use std::io::ErrorKind;
use tokio::time::timeout;

const USUAL: Duration = Duration::from_millis(1);
const MOMENT: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(20);

async fn started(fault: Fault) -> Instance {
    Instance::start(free(), USUAL, fault).await.unwrap()
}

async fn client(instance: &Instance) -> Client {
    Client::connect(instance.address(), Framing::Framed)
        .await
        .unwrap()
}

#[tokio::test]
async fn it_refuses_while_it_is_down_and_listens_again_after() {
    let instance = started(Fault::Down).await;
    let refused = Client::connect(instance.address(), Framing::Framed).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    for _ in 0..20 {
        instance.set(Fault::None).await;
        let mut open = client(&instance).await;
        assert_eq!(
            open.call("Echo", "hi").await.unwrap(),
            Answer::Text("hi".into())
        );
        instance.set(Fault::Down).await;
        let ended = timeout(PATIENCE, open.receive()).await.unwrap();
        assert!(ended.is_err(), "{ended:?}");
        assert!(
            Client::connect(instance.address(), Framing::Framed)
                .await
                .is_err()
        );
    }
    assert_eq!(instance.counts().cut, 0);
}

#[tokio::test]
async fn a_call_in_flight_when_it_goes_down_is_counted_and_cut() {
    let instance = started(Fault::Hang).await;
    let mut caller = client(&instance).await;
    let call = caller.next("Echo", body::text(1, "hi"));
    caller.send(&call).await.unwrap();
    while instance.calls() == 0 {
        tokio::time::sleep(USUAL).await;
    }
    instance.set(Fault::Down).await;
    assert!(
        timeout(PATIENCE, caller.receive()).await.unwrap().is_err(),
        "no answer"
    );
    let counts = instance.counts();
    assert_eq!((counts.calls, counts.cut), (1, 1));
}

#[tokio::test]
async fn a_call_that_hangs_is_answered_once_it_no_longer_does() {
    let instance = started(Fault::Hang).await;
    let mut caller = client(&instance).await;
    let mut call = Box::pin(caller.call("Echo", "hi"));
    assert!(timeout(MOMENT, &mut call).await.is_err(), "it hangs");
    instance.set(Fault::None).await;
    let answer = timeout(PATIENCE, call).await.unwrap().unwrap();
    assert_eq!(answer, Answer::Text("hi".into()));
}

#[tokio::test]
async fn only_the_named_method_fails_and_only_the_share_of_all() {
    let instance = started(Fault::FailMethod("Bad")).await;
    let mut caller = client(&instance).await;
    let bad = caller.call("Bad", "hi").await.unwrap();
    assert!(matches!(bad, Answer::Exception(6, _)), "{bad:?}");
    assert_eq!(
        caller.call("Echo", "hi").await.unwrap(),
        Answer::Text("hi".into())
    );
    instance.set(Fault::Fail(0.5)).await;
    for _ in 0..200 {
        caller.call("Echo", "hi").await.unwrap();
    }
    let failed = instance.counts().failed - 1;
    assert!((50..150).contains(&failed), "{failed} of 200");
}

#[tokio::test]
async fn a_caller_that_leaves_is_counted() {
    let instance = started(Fault::Hang).await;
    let mut caller = client(&instance).await;
    assert!(timeout(MOMENT, caller.call("Echo", "hi")).await.is_err());
    drop(caller);
    timeout(PATIENCE, async {
        while instance.counts().left == 0 {
            tokio::time::sleep(USUAL).await;
        }
    })
    .await
    .unwrap();
}
