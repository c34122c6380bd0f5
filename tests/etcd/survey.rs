//! One look: what is there, how far one gets, and that nothing is changed.

#[path = "survey/large.rs"]
mod large;
#[path = "survey/steps.rs"]
mod steps;

use tidegate::diagnosis::Lease;
use tidegate::registry::survey::{Ask, Elsewhere, MemberFault, ServiceSeen, Survey};

use super::*;

fn named(services: &[&str]) -> Ask {
    match services {
        [] => Ask::default(),
        services => Ask::of(services.iter().map(|name| Arc::from(*name)).collect()),
    }
}

pub(super) async fn look(options: EtcdOptions, services: &[&str]) -> Survey {
    let registry = Etcd::new(options, Arc::new(tidegate::registry::Unwatched)).unwrap();
    registry.survey(named(services)).await
}

/// A look that a busy machine had no time for is made again.
pub(super) async fn unhurried(options: EtcdOptions, services: &[&str]) -> Survey {
    let begun = tokio::time::Instant::now();
    loop {
        let survey = look(options.clone(), services).await;
        let in_time = survey.failed.as_ref().is_none_or(|it| {
            !it.text.contains("no answer to a read within")
                && !it.text.contains("time for one look")
        });
        if in_time || begun.elapsed() > PATIENCE {
            return survey;
        }
    }
}

async fn look_at(etcd: &Server, services: &[&str]) -> Survey {
    look(options(&[etcd.url()]), services).await
}

/// A look that is made again as long as less is gone: a busy etcd tells its history later than a look waits for it.
async fn look_back(etcd: &Server, services: &[&str], gone: &[&str]) -> Survey {
    let begun = tokio::time::Instant::now();
    loop {
        let survey = look_at(etcd, services).await;
        if survey.services[0].gone.len() >= gone.len() || begun.elapsed() > PATIENCE {
            return survey;
        }
    }
}

fn addresses(service: &ServiceSeen) -> Vec<&str> {
    let all = service.set.instances.iter();
    all.map(|it| it.address.as_str()).collect()
}

fn names(survey: &Survey) -> Vec<&str> {
    survey.names.iter().map(|name| &**name).collect()
}

fn fault(survey: &Survey) -> &MemberFault {
    survey.members[0].answer.as_ref().unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_shows_what_is_asked_for_or_all_with_leases_and_what_cannot_be_read() {
    let etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    etcd.register_for(KITEX_PREFIX, "item", "10.0.0.2:1", 60)
        .await;
    etcd.put(&format!("{RANGE}10.0.0.3:1"), "nonsense").await;
    etcd.register(KITEX_PREFIX, "item/v2", "10.0.0.4:1").await;
    etcd.register(KITEX_PREFIX, "stock", "10.0.1.1:1").await;
    etcd.put("kitex/registry-etcd/none", "of a service").await;

    let one = look_at(&etcd, &["item", "itme"]).await;
    assert!(one.failed.is_none() && one.left_out == 0, "{one:?}");
    assert_eq!(names(&one), ["item", "stock"]);
    assert!(one.members[0].answer.as_ref().unwrap() < &SOON);
    assert_eq!(one.services.len(), 2);
    let item = &one.services[0];
    assert_eq!(addresses(item), ["10.0.0.1:1", "10.0.0.2:1"]);
    let codes: Vec<_> = item.set.skipped.iter().map(|it| it.code).collect();
    assert_eq!(codes, [Code::R09, Code::R20]);
    assert_eq!(item.leases[&format!("{RANGE}10.0.0.1:1")], Lease::None);
    let held = item.leases[&format!("{RANGE}10.0.0.2:1")];
    let Lease::Held { granted, left } = held else {
        panic!("{held:?}")
    };
    assert_eq!(granted, Duration::from_secs(60));
    assert!(
        left <= granted && left > Duration::from_secs(20),
        "{left:?}"
    );
    assert!(addresses(&one.services[1]).is_empty());

    let all = look_at(&etcd, &[]).await;
    let seen: Vec<_> = all.services.iter().map(|it| &*it.name).collect();
    assert_eq!(
        (seen, names(&all)),
        (vec!["item", "stock"], vec!["item", "stock"])
    );
    assert_eq!(all.services[0].set.instances, item.set.instances);
    assert_eq!(all.services[0].set.skipped, item.set.skipped);
    assert!(all.elsewhere.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_values_of_any_shape_are_passed_on_or_passed_over() {
    let etcd = Server::start().await;
    let odd = "\u{1b}[31m";
    etcd.put(&format!("{RANGE}{odd}"), &value("\\u001b[31m"))
        .await;
    etcd.register(KITEX_PREFIX, odd, "10.0.0.1:1").await;
    etcd.register(KITEX_PREFIX, "", "10.0.0.1:1").await;
    let mut client = etcd.client().await;
    let bytes = [RANGE.as_bytes(), &[0xff, 0x00, 0xfe]].concat();
    client.put(bytes, vec![0xff; 100_000], None).await.unwrap();
    for services in [&[][..], &["item"]] {
        let survey = look_at(&etcd, services).await;
        assert_eq!(names(&survey), ["item"], "an escape is no name");
        let item = &survey.services[0];
        assert_eq!(addresses(item), [odd]);
        assert_eq!(item.set.skipped[0].code, Code::R09);
        assert_eq!(item.leases.len(), 2);
    }
    let odd = look_at(&etcd, &[odd, ""]).await;
    assert_eq!(
        addresses(&odd.services[0]),
        ["10.0.0.1:1"],
        "asked for by name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_renews_shows_and_one_that_is_renewed_does_not() {
    let etcd = Server::start().await;
    etcd.register_for(KITEX_PREFIX, "item", "10.0.0.1:1", 10)
        .await;
    let mut client = etcd.client().await;
    let lease = client.lease_grant(10, None).await.unwrap().id();
    let options = etcd_client::PutOptions::new().with_lease(lease);
    let key = format!("{RANGE}10.0.0.2:1");
    client
        .put(key.clone(), value("10.0.0.2:1"), Some(options))
        .await
        .unwrap();
    sleep(Duration::from_millis(6500)).await;
    // Kitex would have done so after a third of it.
    let (mut keeper, mut kept) = client.lease_keep_alive(lease).await.unwrap();
    keeper.keep_alive().await.unwrap();
    kept.message().await.unwrap();
    let survey = look_at(&etcd, &["item"]).await;
    let leases = &survey.services[0].leases;
    assert!(
        leases[&format!("{RANGE}10.0.0.1:1")].is_unrenewed(),
        "{leases:?}"
    );
    assert!(!leases[&key].is_unrenewed(), "{leases:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_looked_for_under_other_prefixes() {
    let etcd = Server::start().await;
    etcd.register("", "stock", "10.0.0.1:1").await;
    etcd.register("", "item", "10.0.0.1:1").await;
    etcd.register("my/own", "cart", "10.0.0.1:1").await;
    for other in [
        "my/key",
        "a/b/c",
        "a/b/c:d",
        "registry/pods/default/x-1",
        "item/10.0.0.1:1",
        "/10.0.0.1:1",
    ] {
        etcd.put(other, "is no registration").await;
    }
    let elsewhere = |prefix: &str, service: &str| Elsewhere {
        prefix: prefix.to_owned(),
        service: service.into(),
    };
    let survey = look_at(&etcd, &["item"]).await;
    assert!(survey.failed.is_none() && survey.names.is_empty());
    assert_eq!(
        survey.elsewhere,
        [elsewhere("", "item"), elsewhere("my/own", "cart")]
    );
    let survey = look_at(&etcd, &[]).await;
    assert_eq!(
        survey.elsewhere,
        [elsewhere("", "item"), elsewhere("my/own", "cart")]
    );

    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    assert!(look_at(&etcd, &["item"]).await.elsewhere.is_empty());
    let cart = look_at(&etcd, &["cart"]).await;
    assert_eq!(
        (names(&cart), &*cart.elsewhere[0].prefix),
        (vec!["item"], "my/own")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_registered_and_is_gone_is_told_as_far_as_etcd_remembers() {
    let etcd = Server::start().await;
    let mut client = etcd.client().await;
    for at in ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"] {
        etcd.register(KITEX_PREFIX, "item", at).await;
        etcd.delete(&format!("{RANGE}{at}")).await;
    }
    etcd.register(KITEX_PREFIX, "item", "10.0.0.3:1").await;
    let lease = client.lease_grant(60, None).await.unwrap().id();
    let options = etcd_client::PutOptions::new().with_lease(lease);
    let odd = format!("{RANGE}odd");
    client
        .put(odd, value("10.0.0.4:1"), Some(options))
        .await
        .unwrap();
    client.lease_revoke(lease).await.unwrap();
    etcd.register(KITEX_PREFIX, "stock", "10.0.1.1:1").await;
    etcd.delete("kitex/registry-etcd/stock/10.0.1.1:1").await;

    let gone = ["10.0.0.4:1", "10.0.0.2:1", "10.0.0.1:1"];
    let survey = look_back(&etcd, &["item", "none"], &gone).await;
    assert_eq!(survey.services[0].gone, gone);
    assert!(survey.services[1].gone.is_empty());
    assert!(
        look_at(&etcd, &[]).await.services[0].gone.is_empty(),
        "not asked for by name"
    );

    let revision = client
        .get("now", None)
        .await
        .unwrap()
        .header()
        .unwrap()
        .revision();
    client.compact(revision, None).await.unwrap();
    assert!(look_at(&etcd, &["item"]).await.services[0].gone.is_empty());
    etcd.delete(&format!("{RANGE}10.0.0.3:1")).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.5:1").await;
    let survey = look_back(&etcd, &["item"], &["10.0.0.3:1"]).await;
    assert_eq!(survey.services[0].gone, ["10.0.0.3:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_changes_nothing_and_leaves_nothing_behind() {
    let etcd = Server::start().await;
    etcd.register_for(KITEX_PREFIX, "item", "10.0.0.1:1", 60)
        .await;
    let mut client = etcd.client().await;
    let revision = async |client: &mut etcd_client::Client| {
        let answer = client.get("now", None).await;
        answer.unwrap().header().unwrap().revision()
    };
    let before = revision(&mut client).await;
    for services in [&["item"][..], &["none"], &[]] {
        look_at(&etcd, services).await;
    }
    assert_eq!(revision(&mut client).await, before);
    assert_eq!(client.leases().await.unwrap().leases().len(), 1);
    eventually("no watcher", || watchers(&etcd) == Some(0)).await;
}
