//! An etcd that holds very much, or stops in the middle.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::*;

/// Registers so many instances of each service.
async fn fill(etcd: &Server, services: &[&str], each: usize) {
    let mut client = etcd.client().await;
    for service in services {
        let addresses: Vec<_> = (0..each)
            .map(|at| format!("10.{}.{}.{}:8888", at / 62_500, at / 250 % 250, at % 250))
            .collect();
        for part in addresses.chunks(125) {
            let put = |address: &String| {
                TxnOp::put(
                    format!("{KITEX_PREFIX}/{service}/{address}"),
                    value(address),
                    None,
                )
            };
            let puts: Vec<_> = part.iter().map(put).collect();
            client.txn(Txn::new().and_then(puts)).await.unwrap();
        }
    }
}

/// Carries bytes to and from etcd, each connection after a while, and stops it for good after so many bytes from etcd.
async fn stopping_after(etcd: &Server, bytes: usize, after: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, to) = (listener.local_addr().unwrap(), etcd.port());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            sleep(after).await;
            let server = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
            });
            tokio::spawn(async move {
                let (mut left, mut part) = (bytes, vec![0; 16 * 1024]);
                while let Ok(n @ 1..) = from_server.read(&mut part).await {
                    left = left.saturating_sub(n);
                    if left == 0 {
                        std::future::pending::<()>().await;
                    }
                    let _ = to_client.write_all(&part[..n]).await;
                }
            });
        }
    });
    format!("http://{at}")
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_registrations_are_read_and_an_etcd_that_stops_in_the_middle_is_told() {
    many(2_500).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a slow machine does not read as many twice within the 10 s of one look"]
async fn fifty_thousand_registrations_are_read_and_an_etcd_that_stops_in_the_middle_is_told() {
    many(25_000).await;
}

/// Two services of so many instances, read from an etcd that is well, and from one that stops halfway.
async fn many(each: usize) {
    let etcd = Server::start().await;
    fill(&etcd, &["item", "stock"], each).await;
    etcd.register(KITEX_PREFIX, "zebra", "10.0.0.1:1").await;
    let everything = 2 * each + 1;
    let all = look_at(&etcd, &[]).await;
    assert!(
        all.failed.is_none() && all.left_out == 0,
        "{:?}",
        all.failed
    );
    let counts: Vec<_> = all.services.iter().map(|it| addresses(it).len()).collect();
    assert_eq!(counts, [each, each, 1]);
    let one = look_at(&etcd, &["zebra"]).await;
    assert_eq!(names(&one), ["item", "stock", "zebra"]);
    assert_eq!(addresses(&one.services[0]).len(), 1);

    let stopping = stopping_after(&etcd, 160 * each, Duration::ZERO).await;
    let some = look(options(std::slice::from_ref(&stopping)), &[]).await;
    let failed = some.failed.unwrap();
    assert_eq!((failed.step, failed.code), ("answer", Some(Code::E01)));
    assert!(
        failed.text.contains("stopped in the middle"),
        "{}",
        failed.text
    );
    let read: usize = some.services.iter().map(|it| addresses(it).len()).sum();
    assert!(read > 0, "what was read stands");
    assert_eq!(read + some.left_out, everything);

    let late = stopping_after(&etcd, usize::MAX, Duration::from_millis(300)).await;
    let other = look(options(&[stopping.clone(), late]), &[]).await;
    assert!(
        other.failed.is_none(),
        "another member is read: {:?}",
        other.failed
    );
    assert_eq!(
        other
            .services
            .iter()
            .map(|it| addresses(it).len())
            .sum::<usize>(),
        everything
    );

    let one = look(options(&[stopping]), &["zebra", "item", "stock"]).await;
    assert!(one.failed.unwrap().text.contains("stopped in the middle"));
    assert_eq!(addresses(&one.services[0]).len(), 1, "it was read whole");
    assert!(one.services.last().unwrap().failed.is_some());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a million keys take minutes to put"]
async fn a_million_keys_cost_neither_memory_nor_time_without_end() {
    let etcd = Server::start().await;
    fill(&etcd, &["item"], 1_000_000).await;
    etcd.register(KITEX_PREFIX, "zebra", "10.0.0.1:1").await;
    for services in [&[][..], &["item"], &["zebra"]] {
        let begun = Instant::now();
        let survey = look_at(&etcd, services).await;
        let kept: usize = survey.services.iter().map(|it| addresses(it).len()).sum();
        println!(
            "{services:?}: {kept} kept, {} left out, {} names in {:?}; {:?}",
            survey.left_out,
            survey.names.len(),
            begun.elapsed(),
            survey.failed
        );
        assert!(begun.elapsed() < Duration::from_secs(15));
        assert!(kept <= 100_000);
    }
}
