//! What happens to etcd never empties what was seen, and ends by itself when etcd is back.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_etcd_leaves_the_last_set_and_its_return_brings_the_changes() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.1:1"]).await;
    etcd.kill();
    eventually("etcd is seen to be away", || !followed.registry.status().up).await;
    let status = followed.registry.status();
    assert!(status.last_error.unwrap().contains("E01"));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(followed.addresses().unwrap(), ["10.0.0.1:1"]);
    assert_eq!(
        followed.registry.status().last_sync,
        status.last_sync,
        "its age says how stale the set is"
    );

    etcd.restart().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.2:1").await;
    followed.sees(&["10.0.0.1:1", "10.0.0.2:1"]).await;
    etcd.delete(&format!("{RANGE}10.0.0.1:1")).await;
    followed.sees(&["10.0.0.2:1"]).await;
    assert!(followed.registry.status().up);
    assert!(followed.told.restarts.lock().contains(&"unreachable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_comes_late_is_read_when_it_comes() {
    let mut etcd = Server::idle(None);
    let followed = Followed::of(&etcd);
    eventually("the failure", || {
        followed.registry.status().last_error.is_some()
    })
    .await;
    assert!(matches!(*followed.known.borrow(), Known::Unread));
    etcd.restart().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    followed.sees(&["10.0.0.1:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_were_compacted_while_away_are_seen() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.1:1"]).await;
    etcd.kill();
    eventually("etcd is seen to be away", || !followed.registry.status().up).await;
    etcd.restart().await;
    etcd.delete(&format!("{RANGE}10.0.0.1:1")).await;
    let mut client = etcd.client().await;
    let revision = client
        .put(format!("{RANGE}10.0.0.2:1"), value("10.0.0.2:1"), None)
        .await
        .unwrap();
    let revision = revision.header().unwrap().revision();
    client
        .compact(revision, Some(CompactionOptions::new().with_physical()))
        .await
        .unwrap();
    followed.sees(&["10.0.0.2:1"]).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.3:1").await;
    followed.sees(&["10.0.0.2:1", "10.0.0.3:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_etcd_of_a_lower_revision_is_followed() {
    let mut etcd = Server::start().await;
    for at in 0..20 {
        etcd.register(KITEX_PREFIX, "item", &format!("10.0.0.{}:1", at % 2))
            .await;
    }
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.0:1", "10.0.0.1:1"]).await;
    etcd.kill();
    etcd.wipe();
    etcd.restart().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.7:1").await;
    followed.sees(&["10.0.0.7:1"]).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.8:1").await;
    followed.sees(&["10.0.0.7:1", "10.0.0.8:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_endpoints_that_refuses_is_passed_over() {
    let etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let dead = || format!("http://127.0.0.1:{}", free_port());
    for _ in 0..6 {
        let followed = Followed::new(options(&[dead(), etcd.url(), dead()]), "item");
        assert!(followed.sees(&["10.0.0.1:1"]).await < SOON);
        assert!(
            !followed.told.ups.lock().contains(&false),
            "a dead endpoint is no dead etcd"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_leader_keeps_the_set_and_one_member_less_costs_nothing() {
    let mut members = Server::cluster().await;
    let urls: Vec<_> = members.iter().map(Server::url).collect();
    members[0]
        .register(KITEX_PREFIX, "item", "10.0.0.1:1")
        .await;
    let followed = Followed::new(options(&urls), "item");
    followed.sees(&["10.0.0.1:1"]).await;

    for at in 0..3 {
        members[at].kill();
        let other = &members[(at + 1) % 3];
        let address = format!("10.0.1.{at}:1");
        other.register(KITEX_PREFIX, "item", &address).await;
        eventually("the change", || {
            followed.addresses().unwrap().contains(&address)
        })
        .await;
        members[at].restart().await;
    }

    members[0].kill();
    members[1].kill();
    eventually("no leader is seen", || !followed.registry.status().up).await;
    assert_eq!(followed.addresses().unwrap().len(), 4);
    members[0].spawn();
    members[1].restart().await;
    members[1]
        .register(KITEX_PREFIX, "item", "10.0.0.9:1")
        .await;
    eventually("the change", || followed.addresses().unwrap().len() == 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_etcd_is_noticed_and_left_when_it_thaws() {
    let etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let followed = Followed::of(&etcd);
    followed.sees(&["10.0.0.1:1"]).await;
    etcd.signal("STOP");
    eventually("it is seen to be frozen", || !followed.registry.status().up).await;
    assert_eq!(followed.addresses().unwrap(), ["10.0.0.1:1"]);
    etcd.signal("CONT");
    etcd.register(KITEX_PREFIX, "item", "10.0.0.2:1").await;
    followed.sees(&["10.0.0.1:1", "10.0.0.2:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_set_survives_a_restart_of_ours_while_etcd_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let with_state = EtcdOptions {
        state_dir: Some(folder.path().to_owned()),
        ..options(&[etcd.url()])
    };
    let first = Followed::new(with_state.clone(), "item");
    first.sees(&["10.0.0.1:1"]).await;
    eventually("the file", || folder.path().join("etcd/item.json").exists()).await;
    drop(first);
    etcd.kill();

    let second = Followed::new(with_state, "item");
    second.sees(&["10.0.0.1:1"]).await;
    assert!(second.set().unwrap().stale && !second.registry.status().up);
    etcd.restart().await;
    eventually("a fresh set", || !second.set().unwrap().stale).await;
    assert_eq!(second.addresses().unwrap(), ["10.0.0.1:1"]);
}
