//! `tidegate why` of the real binary, for each state that faults bring about: the state, and the numbers behind it.

use std::net::SocketAddr;
use std::time::Duration;

use scripted::{Fault, Instance, Load, Plan};

use crate::process::{PATIENCE, Tidegate, free, listener, service};

/// What the command prints, once it has all of these parts.
async fn says(proxy: &Tidegate, args: &[&str], parts: &[&str]) -> String {
    let mut text = String::new();
    let waiting = async {
        while !parts.iter().all(|part| text.contains(part)) || text.is_empty() {
            let output = tokio::task::block_in_place(|| proxy.command(&asked(args)));
            assert!(output.status.success(), "{output:?}");
            text = String::from_utf8(output.stdout).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(
        waited.is_ok(),
        "{args:?} never said {parts:?}, but:\n{text}"
    );
    text
}

/// The running one's admin address is in the config that it was started with.
fn asked<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["why"];
    all.extend(args);
    all.extend(["-c", "tidegate.toml"]);
    all
}

/// Three instances under a steady load.
async fn under_load(
    policy: &str,
    methods: &'static [&'static str],
) -> (Vec<Instance>, Tidegate, Load, SocketAddr) {
    let mut instances = Vec::new();
    for _ in 0..3 {
        let usual = Duration::from_millis(1);
        instances.push(Instance::start(free(), usual, Fault::None).await.unwrap());
    }
    let listen = free();
    let endpoints: Vec<_> = instances.iter().map(Instance::address).collect();
    let config = listener("item", listen, "item") + &service("item", &endpoints, policy);
    let proxy = Tidegate::start(&config);
    let load = Load::start(Plan {
        methods,
        ..Plan::new(listen, 200)
    });
    (instances, proxy, load, listen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_tells_each_state_of_endpoints_and_the_cap_that_keeps_one_in() {
    // Calls that hang at once, while nobody looks, are no reason to eject yet.
    let long = "[service.ejection]\nbase_ejection_time = \"60s\"\nconsecutive = 50\nfailure_rate = 0\n\
                [service.breaker]\nenabled = false";
    let (instances, proxy, load, _) = under_load(long, &["Echo"]).await;
    let address: Vec<String> = instances.iter().map(|i| i.address().to_string()).collect();
    says(
        &proxy,
        &["item"],
        &[
            "item: 3 of 3 endpoints can be called",
            "up: no failure of late",
        ],
    )
    .await;

    instances[2].set(Fault::Hang).await;
    says(
        &proxy,
        &["item", &address[2]],
        &["a try was overdue", "one success ends it"],
    )
    .await;
    instances[2].set(Fault::None).await;
    says(&proxy, &["item", &address[2]], &[": up: "]).await;

    instances[0].set(Fault::Fail(1.0)).await;
    let parts = [
        ": ejected since ",
        " by consecutive (",
        "back on probation in ",
    ];
    says(&proxy, &["item", &address[0]], &parts).await;
    instances[1].set(Fault::Fail(1.0)).await;
    let parts = [
        "not ejected (",
        "1 of 3 is out already, max_ejection_percent is 50",
    ];
    says(&proxy, &["item", &address[1]], &parts).await;
    instances[1].set(Fault::None).await;
    instances[1].set(Fault::Down).await;
    let parts = [": down for ", "connect_refused ", "next connect "];
    says(&proxy, &["item", &address[1]], &parts).await;

    let all = says(
        &proxy,
        &[],
        &["1 of 3 endpoints can be called: 1 down, 1 ejected"],
    )
    .await;
    assert!(all.starts_with("item: "), "{all}");
    let whole = says(
        &proxy,
        &["item"],
        &["retry budget: ", "limits: ", "breaker Echo: off"],
    )
    .await;
    assert_eq!(whole.matches("  endpoint ").count(), 3, "{whole}");
    load.end(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_tells_each_state_of_a_breaker_and_what_keeps_it_closed() {
    let policy =
        "[service.breaker]\nconsecutive = 0\nmin_samples = 100000\n[service.method.Bad]\ntries = 1";
    let (instances, proxy, load, listen) = under_load(policy, &["Echo", "Bad"]).await;
    for instance in &instances {
        instance.set(Fault::FailMethod("Bad")).await;
    }
    let parts = [
        "breaker Bad: closed: 100 % failed, but ",
        " of 100000 samples within 2s",
    ];
    says(&proxy, &["item"], &parts).await;
    says(&proxy, &["item"], &["breaker Echo: closed: none of "]).await;

    let force = |state: &str| {
        let path = format!("/breaker?service=item&method=Bad&state={state}&for=10m");
        let said = tokio::task::block_in_place(|| proxy.post(&path));
        assert_eq!(said.0, 200, "{}", said.1);
    };
    force("open");
    says(
        &proxy,
        &["item"],
        &["breaker Bad: forced open for another ", ", by request"],
    )
    .await;
    force("closed");
    says(
        &proxy,
        &["item"],
        &["breaker Bad: forced closed for another "],
    )
    .await;

    // With the built-in rules it opens, once nobody forces it.
    let said =
        tokio::task::block_in_place(|| proxy.post("/breaker?service=item&method=Bad&state=reset"));
    assert_eq!(said.0, 200, "{}", said.1);
    let endpoints: Vec<_> = instances.iter().map(Instance::address).collect();
    let config = listener("item", listen, "item")
        + &service("item", &endpoints, "[service.breaker]\ncooling = \"30s\"");
    proxy.rewrite(&config);
    proxy.signal("HUP");
    let parts = ["breaker Bad: open since ", " failed", "half-open in "];
    says(&proxy, &["item"], &parts).await;
    says(&proxy, &[], &["breaker of Bad open"]).await;
    load.end(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_names_what_there_is_where_a_name_is_wrong() {
    let (_instances, proxy, load, _) = under_load("", &["Echo"]).await;
    let output = |args: &[&str]| {
        let output = tokio::task::block_in_place(|| proxy.command(&asked(args)));
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = output(&["itme"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("no service itme: did you mean item?"),
        "{said}"
    );
    let (code, said) = output(&["item", "10.0.0.1:1"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no endpoint 10.0.0.1:1 of item: "), "{said}");
    load.end(PATIENCE).await;
}
