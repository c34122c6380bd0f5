//! Whole calls through the proxy: a scripted client, the real listener, session and stack, scripted instances.
#![allow(clippy::unwrap_used)]

mod support;

use scripted::{Act, Answer, Client, Framing, Server};
use support::{item, start};

#[tokio::test]
async fn a_call_in_each_framing_reaches_the_instance_and_its_reply_comes_back() {
    let server = Server::start(Act::Echo).await.unwrap();
    let (_app, addr) = start(&item(&[server.address()], ""));
    for framing in Framing::ALL {
        let mut client = Client::connect(addr, framing).await.unwrap();
        for _ in 0..3 {
            assert_eq!(
                client.call("Echo", "hello").await.unwrap(),
                Answer::Text("hello".into()),
                "{framing:?}"
            );
        }
    }
}
