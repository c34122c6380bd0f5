//! One look: what is there, how far one gets, and that nothing is changed.

use tidegate::diagnosis::Lease;
use tidegate::registry::survey::{Ask, ServiceSeen, Survey};

use super::*;

fn named(services: &[&str]) -> Ask {
    Ask {
        services: services.iter().map(|name| Arc::from(*name)).collect(),
    }
}

async fn look(options: EtcdOptions, services: &[&str]) -> Survey {
    let registry = Etcd::new(options, Arc::new(tidegate::registry::Unwatched)).unwrap();
    registry.survey(named(services)).await
}

async fn look_at(etcd: &Server, services: &[&str]) -> Survey {
    look(options(&[etcd.url()]), services).await
}

fn addresses(service: &ServiceSeen) -> Vec<&str> {
    let all = service.set.instances.iter();
    all.map(|it| it.address.as_str()).collect()
}

fn names(survey: &Survey) -> Vec<&str> {
    survey.names.iter().map(|name| &**name).collect()
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
