#![allow(clippy::unwrap_used)]
use super::*;

#[tokio::test]
async fn a_scripted_thrift_server_is_open_and_says_nothing() {
    let server = scripted::Server::start(scripted::Act::Exception(1, "unknown".into()))
        .await
        .unwrap();
    let plan = Plan {
        call: true,
        ..Plan::default()
    };
    let seen = probe(&server.address().into(), &plan).await;
    assert!(seen.works() && seen.spoke.is_none(), "{seen:?}");
    assert!(
        matches!(&seen.call, Some(Called::Answered(_, text)) if text == "unknown"),
        "{seen:?}"
    );
}
