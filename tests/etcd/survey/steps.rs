//! How far one gets with an etcd: each step that fails is named.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Socket, Type};

use super::*;

/// Asks all endpoints at once, as they are configured.
async fn steps(endpoints: &[String]) -> Vec<(&'static str, Code, String)> {
    let survey = look(options(endpoints), &["item"]).await;
    let failed = survey.failed.as_ref().unwrap();
    let first = survey.members[0].answer.as_ref().unwrap_err();
    assert_eq!((failed.step, failed.code), (first.step, first.code));
    assert!(failed.text.starts_with(&endpoints[0]), "{}", failed.text);
    let each = survey.members.into_iter().map(|it| it.answer.unwrap_err());
    each.map(|it| (it.step, it.code.unwrap(), it.text))
        .collect()
}

/// Whether the step is the one, and the text says what it must.
fn is(told: &(&str, Code, String), step: &str, code: Code, words: &[&str]) {
    let (at, what, text) = told;
    assert_eq!((*at, *what), (step, code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

/// Answers every connection with these bytes, once it was asked something.
fn says(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
        }
    });
    format!("http://{at}")
}

/// A port whose queue of connections is full: further connects get no answer at all.
fn black_hole() -> (String, Vec<Socket>) {
    let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = new();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let at = listener.local_addr().unwrap();
    let mut held: Vec<_> = (0..4).map(|_| new()).collect();
    for socket in &held {
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&at);
    }
    held.push(listener);
    (format!("http://{}", at.as_socket().unwrap()), held)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_step_that_fails_is_named_name_route_port_or_something_else() {
    let (hole, _held) = black_hole();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoints = [
        "http://no-such-host.invalid:2379".to_owned(),
        // A broadcast address: no packet of TCP ever leaves for it.
        "http://255.255.255.255:2379".to_owned(),
        format!("http://127.0.0.1:{}", free_port()),
        hole,
        says(b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\n\r\n"),
        says(b"-ERR wrong number of arguments for 'get' command\r\n"),
        format!("http://{}", silent.local_addr().unwrap()),
    ];
    let told = steps(&endpoints).await;
    is(
        &told[0],
        "name",
        Code::E01,
        &["no-such-host.invalid", "DNS"],
    );
    is(&told[1], "route", Code::E01, &["255.255.255.255:2379"]);
    is(&told[2], "port", Code::E01, &["refuses", "nobody listens"]);
    is(
        &told[3],
        "port",
        Code::E01,
        &["does not answer the connect", "firewall"],
    );
    is(
        &told[4],
        "answer",
        Code::E01,
        &["something else than etcd", "404 Not Found"],
    );
    is(
        &told[5],
        "answer",
        Code::E01,
        &["something else than etcd", "-ERR"],
    );
    is(&told[6], "answer", Code::E01, &["no answer to a read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_etcd_accepts_and_does_not_answer() {
    let etcd = Server::start().await;
    etcd.signal("STOP");
    let told = steps(&[etcd.url()]).await;
    etcd.signal("CONT");
    is(
        &told[0],
        "answer",
        Code::E01,
        &["no answer to a read within 2s"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_that_answers_is_enough_whatever_the_others_do() {
    let (hole, _held) = black_hole();
    let etcd = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let survey = look(options(&[hole, etcd.url()]), &["item"]).await;
    assert!(survey.failed.is_none(), "{survey:?}");
    assert_eq!(fault(&survey).step, "port");
    assert!(survey.members[1].answer.is_ok());
    assert_eq!(addresses(&survey.services[0]), ["10.0.0.1:1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_do_not_fit_are_a_step_of_their_own() {
    let etcd = Server::start_with(Some(Tls::new(true))).await;
    let plain = Server::start().await;
    etcd.register(KITEX_PREFIX, "item", "10.0.0.1:1").await;
    let tls = etcd.tls.as_ref().unwrap();
    let other = Tls::new(false);
    let mutual = EtcdOptions {
        ca: Some(tls.path("ca.pem")),
        cert: Some(tls.path("client.pem")),
        key: Some(tls.path("client.key")),
        ..options(&[etcd.url()])
    };
    let seen = look(mutual.clone(), &["item"]).await;
    assert!(seen.failed.is_none(), "{seen:?}");
    assert_eq!(addresses(&seen.services[0]), ["10.0.0.1:1"]);

    let wrong_ca = EtcdOptions {
        ca: Some(other.path("ca.pem")),
        ..mutual.clone()
    };
    let without = EtcdOptions {
        cert: None,
        key: None,
        ..mutual.clone()
    };
    let misnamed = EtcdOptions {
        domain: Some("other.test".to_owned()),
        ..mutual.clone()
    };
    let missing = EtcdOptions {
        ca: Some("/none/ca.pem".into()),
        ..mutual.clone()
    };
    let not_tls = EtcdOptions {
        endpoints: vec![plain.url().replace("http:", "https:")],
        ..mutual.clone()
    };
    let plainly = options(&[etcd.url().replace("https:", "http:")]);
    for (options, words) in [
        (wrong_ca, "certificate"),
        (without, "give cert and key"),
        (misnamed, "certificate"),
        (missing, "/none/ca.pem"),
        (not_tls, "write http://"),
        (plainly, "write https://"),
    ] {
        let survey = look(options, &["item"]).await;
        let told = fault(&survey).clone();
        is(
            &(told.step, told.code.unwrap(), told.text),
            "tls",
            Code::E07,
            &[words],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn password_and_permission_are_steps_of_their_own() {
    let mut etcd = Server::start().await;
    for service in ["item", "stock"] {
        etcd.register(KITEX_PREFIX, service, "10.0.0.1:1").await;
    }
    etcd.enable_auth("tide", "s3cret", RANGE).await;
    let as_user = |user: &str, password: &str| EtcdOptions {
        user: Some(user.to_owned()),
        password: Some(password.to_owned()),
        ..options(&[etcd.url()])
    };
    for (options, words) in [
        (as_user("tide", "wrong"), "check user and password"),
        (as_user("tied", "s3cret"), "tied"),
        (options(&[etcd.url()]), "give user and password"),
    ] {
        let survey = look(options, &["item"]).await;
        let told = fault(&survey).clone();
        assert!(!told.text.contains("wrong"), "{}", told.text);
        is(
            &(told.step, told.code.unwrap(), told.text),
            "password",
            Code::E02,
            &[words],
        );
    }

    let survey = look(as_user("tide", "s3cret"), &["item", "stock", "none"]).await;
    assert!(survey.failed.is_none() && survey.members[0].answer.is_ok());
    assert_eq!(addresses(&survey.services[0]), ["10.0.0.1:1"]);
    assert!(survey.names_unread.unwrap().contains("permission denied"));
    let denied = survey.services[1].failed.clone().unwrap();
    let grant = "grant-permission ROLE --prefix=true read kitex/registry-etcd/stock/";
    is(
        &(denied.step, denied.code.unwrap(), denied.text),
        "permission",
        Code::E03,
        &[grant, "tide"],
    );
    assert!(survey.elsewhere.is_empty());

    let all = look(as_user("tide", "s3cret"), &[]).await;
    assert!(all.members[0].answer.is_ok(), "it is etcd that answers");
    let denied = all.failed.unwrap();
    is(
        &(denied.step, denied.code.unwrap(), denied.text),
        "permission",
        Code::E03,
        &["kitex/registry-etcd/"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_advertises_loopback_to_others_is_told() {
    // No packet is sent: it only asks which of this host's addresses would be used.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let host = socket
        .connect("192.0.2.1:9")
        .and_then(|()| socket.local_addr());
    let Some(host) = host.ok().filter(|it| !it.ip().is_loopback()) else {
        eprintln!("skipped: this host has no address but loopback");
        return;
    };
    let etcd = Server::start_everywhere().await;
    let outside = format!("http://{}:{}", host.ip(), etcd.port());
    let survey = look(options(&[outside, etcd.url()]), &["item"]).await;
    assert!(survey.failed.is_none(), "{survey:?}");
    assert_eq!(survey.members[0].advertises_loopback, [etcd.url()]);
    assert!(survey.members[1].advertises_loopback.is_empty());
}
