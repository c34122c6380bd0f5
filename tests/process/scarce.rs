//! What the host has too little of: open files, and addresses that nobody uses.

use std::net::TcpListener;

use scripted::{Answer, Client, Framing};

use crate::load::instance;
use crate::process::{Tidegate, eventually, free, listener, service};

const OPEN_FILES: u32 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_no_open_file_left_it_waits_and_serves_again_when_some_are_closed() {
    let instance = instance().start().await.unwrap();
    let listen = free();
    let config = listener("item", listen, "item") + &service("item", &[instance.address()], "");
    let mut proxy = Tidegate::launch(&config, Some(OPEN_FILES));
    eventually("it serves", || proxy.get("/healthz").is_some());
    let mut first = Client::connect(listen, Framing::Framed).await.unwrap();
    assert_eq!(
        first.call("Echo", "hi").await.unwrap(),
        Answer::Text("hi".into())
    );

    // The system lets them in, whatever the process does.
    let mut crowd = Vec::new();
    for _ in 0..2 * OPEN_FILES {
        crowd.push(Client::connect(listen, Framing::Framed).await.unwrap());
    }
    proxy.logged(&["ERROR", "cannot accept", "ulimit -n"]);
    for _ in 0..20 {
        let answer = first.call("Echo", "hi").await.unwrap();
        assert_eq!(answer, Answer::Text("hi".into()), "who is in is served");
    }
    drop(crowd);
    let mut late = Client::connect(listen, Framing::Framed).await.unwrap();
    assert_eq!(
        late.call("Echo", "late").await.unwrap(),
        Answer::Text("late".into())
    );
    assert!(proxy.exited().is_none());
    assert!(proxy.count("tidegate_calls_total", &[("outcome", "overloaded")]) > 0);
    let lines = proxy.log().matches("cannot accept").count();
    assert!(lines < 200, "{lines} lines about it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_ends_it_with_3_and_the_name_of_who_has_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|addr| (addr, taken)).unwrap();
    let us = std::process::id().to_string();
    let endpoint = service("item", &[free()], "");
    let own = listener("item", taken.0, "item") + &endpoint;
    let remote = format!(
        "[metrics]\nlisten = \"{}\"\n{}{endpoint}",
        taken.0,
        listener("item", free(), "item")
    );
    for (config, who) in [(own, "listener item"), (remote, "[metrics]")] {
        let mut proxy = Tidegate::launch(&config, None);
        assert_eq!(proxy.ends(), 3);
        let line = proxy.logged(&["ERROR", who, "cannot listen on"]);
        assert!(
            line.contains(&taken.0.to_string()) && line.contains(&us),
            "{line}"
        );
    }
}
