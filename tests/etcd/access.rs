//! Who may read: users, roles, tokens and certificates.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_reads_what_its_role_may() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    etcd.enable_auth("tide", "s3cret", RANGE).await;
    let as_user = |password: &str| EtcdOptions {
        user: Some("tide".to_owned()),
        password: Some(password.to_owned()),
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(as_user("s3cret"), "item");
    followed.sees(&["10.0.0.1:1"]).await;

    let wrong = Followed::new(as_user("wrong"), "item");
    eventually("the refusal", || wrong.refusal().is_some()).await;
    let why = wrong.refusal().unwrap();
    assert!(
        why.contains(": check `user` (\"tide\") and `password`; ") && !why.contains("wrong"),
        "{why}"
    );
    assert!(why.ends_with("is asked again every 500ms (E02)"), "{why}");
    assert!(wrong.registry.status().last_error.unwrap().contains("E02"));

    let nobody = Followed::of(&etcd);
    eventually("the refusal", || nobody.refusal().is_some()).await;
    let why = nobody.refusal().unwrap();
    assert!(
        why.contains("give user and password") && why.contains(": this registry has no `user`"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_the_role_may_not_read_is_named_and_read_once_it_may() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "stock", "10.0.0.1:1").await;
    etcd.enable_auth("tide", "s3cret", RANGE).await;
    let user = Some("tide".to_owned());
    let options = EtcdOptions {
        user,
        password: Some("s3cret".to_owned()),
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(options, "stock");
    eventually("the refusal", || followed.refusal().is_some()).await;
    let why = followed.refusal().unwrap();
    assert!(
        why.contains("grant-permission")
            && why.contains("kitex/registry-etcd/stock/")
            && why.ends_with("(E03)"),
        "{why}"
    );
    assert!(followed.registry.status().up, "etcd itself is well");
    etcd.grant("kitex/registry-etcd/stock/").await;
    followed.sees(&["10.0.0.1:1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_die_and_authentication_that_is_enabled_cost_nothing() {
    let mut etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let user = Some("tide".to_owned());
    let options = EtcdOptions {
        user,
        password: Some("s3cret".to_owned()),
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(options, "item");
    followed.sees(&["10.0.0.1:1"]).await;

    etcd.enable_auth("tide", "s3cret", RANGE).await;
    for at in 2..5 {
        // Simple tokens do not survive a restart.
        etcd.restart().await;
        etcd.register(KITEX_PREFIX, "item", &format!("10.0.0.{at}:1"))
            .await;
        eventually("the change", || followed.addresses().unwrap().len() == at).await;
    }
    assert!(followed.refusal().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_auth_revision_does_not_stop_the_changes() {
    let mut etcd = Server::start().await;
    etcd.enable_auth("tide", "s3cret", RANGE).await;
    let user = Some("tide".to_owned());
    let relist_every = Duration::from_millis(300);
    let options = EtcdOptions {
        user,
        password: Some("s3cret".to_owned()),
        relist_every,
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(options, "item");
    followed.sees(&[]).await;
    for at in 0..5 {
        etcd.grant(&format!("elsewhere/{at}")).await;
        etcd.register(KITEX_PREFIX, "item", &format!("10.0.0.{at}:1"))
            .await;
        eventually("the change", || {
            followed.addresses().unwrap().len() == at + 1
        })
        .await;
    }
    assert!(followed.registry.status().up);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_private_authority_and_client_certificates() {
    let etcd = Server::start_with(Some(Tls::new(true))).await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let tls = etcd.tls.as_ref().unwrap();
    let (ca, cert, key) = (
        Some(tls.path("ca.pem")),
        Some(tls.path("client.pem")),
        Some(tls.path("client.key")),
    );
    let mutual = EtcdOptions {
        ca: ca.clone(),
        cert,
        key,
        ..options(&[etcd.url()])
    };
    let followed = Followed::new(mutual.clone(), "item");
    followed.sees(&["10.0.0.1:1"]).await;
    let named = Followed::new(
        EtcdOptions {
            domain: Some("etcd.test".to_owned()),
            ..mutual.clone()
        },
        "item",
    );
    named.sees(&["10.0.0.1:1"]).await;

    let misnamed = Followed::new(
        EtcdOptions {
            domain: Some("other.test".to_owned()),
            ..mutual
        },
        "item",
    );
    let plain = Followed::new(
        EtcdOptions {
            ca,
            ..options(&[etcd.url()])
        },
        "item",
    );
    let system = Followed::new(options(&[etcd.url()]), "item");
    for (failing, what) in [
        (&misnamed, "certificate"),
        (&plain, "client certificate"),
        (&system, "certificate"),
    ] {
        eventually("a failure", || {
            failing.registry.status().last_error.is_some()
        })
        .await;
        let error = failing.registry.status().last_error.unwrap();
        assert!(
            error.contains(what) && error.contains(&etcd.url()),
            "{error}"
        );
        assert!(failing.set().is_none());
    }
}
