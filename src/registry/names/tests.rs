#![allow(clippy::unwrap_used)]

use super::*;

fn lookup(answer: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Lookup {
    Arc::new(move |name| {
        let answer = answer(&name);
        Box::pin(async move { answer })
    })
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

async fn resolve_one(before: Resolved, lookup: Lookup) -> Found {
    let names = BTreeSet::from(["item".to_owned()]);
    resolve(names, before, lookup).await.remove("item").unwrap()
}

#[tokio::test(start_paused = true)]
async fn addresses_are_sorted_and_unique() {
    let found = resolve_one(
        Resolved::new(),
        lookup(|_| Ok(ips(&["10.0.0.2", "10.0.0.1", "10.0.0.2"]))),
    )
    .await;
    assert_eq!(found, Found::Addresses(ips(&["10.0.0.1", "10.0.0.2"])));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_fails_keeps_what_it_had() {
    let before = Resolved::from([("item".to_owned(), Found::Addresses(ips(&["10.0.0.1"])))]);
    let failing = lookup(|_| Err(io::Error::other("server failure")));
    for failing in [Arc::clone(&failing), lookup(|_| Err(no_answer()))] {
        assert_eq!(
            resolve_one(before.clone(), failing).await,
            Found::Addresses(ips(&["10.0.0.1"]))
        );
    }
    assert_eq!(
        resolve_one(Resolved::new(), failing).await,
        Found::Failed("server failure".to_owned())
    );
    let nothing = resolve_one(Resolved::new(), lookup(|_| Ok(Vec::new()))).await;
    assert_eq!(nothing, Found::Failed("it has no address".to_owned()));
}

/// What the standard library makes of a resolver that nobody answers for.
fn no_answer() -> io::Error {
    match cfg!(windows) {
        true => io::Error::from_raw_os_error(11002),
        false => io::Error::other(
            "failed to lookup address information: Temporary failure in name resolution",
        ),
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[tokio::test(start_paused = true)]
async fn a_resolver_that_does_not_answer_says_nothing_of_the_name() {
    let silent = || lookup(|_| Err(no_answer()));
    let names = || ["item.internal", "item"].map(str::to_owned).into();
    let until = Instant::now() + Duration::from_secs(6);
    for found in [
        resolve(names(), Resolved::new(), silent()).await,
        resolve_until(names(), until, silent()).await,
    ] {
        let dotted = &found["item.internal"];
        assert!(matches!(dotted, Found::Unanswered(_)), "{dotted:?}");
        // Some resolvers say so of every such name that they do not know.
        let dotless = &found["item"];
        assert!(matches!(dotless, Found::Failed(_)), "{dotless:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_is_given_up_and_delays_nobody_else_for_longer() {
    let hanging: Lookup = Arc::new(|name| {
        Box::pin(async move {
            if name != "good" {
                std::future::pending::<()>().await;
            }
            Ok(ips(&["10.0.0.1"]))
        })
    });
    let begun = tokio::time::Instant::now();
    let names = ["bad", "worse", "good"].map(str::to_owned);
    let found = resolve(names.into(), Resolved::new(), hanging).await;
    assert_eq!(begun.elapsed(), LOOKUP_TIMEOUT);
    assert_eq!(found["good"], Found::Addresses(ips(&["10.0.0.1"])));
    assert!(matches!(&found["bad"], Found::Unanswered(why) if why.contains("no answer")));
}

#[tokio::test]
async fn the_system_resolves_localhost() {
    let Found::Addresses(ips) = look_up("localhost", None, &system()).await else {
        panic!("no address")
    };
    assert!(ips.iter().all(IpAddr::is_loopback));
}

#[tokio::test(start_paused = true)]
async fn of_a_name_that_has_no_answer_in_time_nothing_is_known() {
    // A resolver that takes its time with every other name.
    let slow: Lookup = Arc::new(|name| {
        Box::pin(async move {
            let wait = if name.ends_with(['1', '3', '5', '7', '9']) {
                7
            } else {
                1
            };
            tokio::time::sleep(Duration::from_secs(wait)).await;
            Ok(ips(&["10.0.0.1"]))
        })
    });
    let names: BTreeSet<String> = (0..60).map(|n| format!("item{n}")).collect();
    let until = Instant::now() + Duration::from_secs(6);
    let found = resolve_until(names, until, slow).await;
    let known = Found::Addresses(ips(&["10.0.0.1"]));
    let unanswered = Found::Unanswered("no answer in time".to_owned());
    let count = |like: &Found| found.values().filter(|it| *it == like).count();
    assert_eq!((count(&known), count(&unanswered)), (30, 30));
    let failing = lookup(|_| Err(io::Error::other("no such host")));
    let names = BTreeSet::from(["item".to_owned()]);
    let until = Instant::now() + Duration::from_secs(6);
    let found = resolve_until(names, until, failing).await;
    assert_eq!(found["item"], Found::Failed("no such host".to_owned()));
}
