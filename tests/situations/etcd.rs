//! What can be wrong with etcd itself, or with the way to it.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions, Permission};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::lab::{Lab, PREFIX, connect, sh, start_etcd, value};
use crate::netns::inside;
use crate::servers::thrift;

#[test]
fn the_step_that_failed_on_the_way_to_etcd_is_named() {
    inside(
        "etcd::the_step_that_failed_on_the_way_to_etcd_is_named",
        || async {
            let lab = Lab::new().await;
            sh("iptables -w -A INPUT -p tcp --dport 2401 -j DROP");
            let silent = TcpListener::bind("10.77.0.1:2402").await.unwrap();
            for (url, code, step) in [
                ("http://no-such-host.invalid:2379", "E01", "name"),
                ("http://203.0.113.9:2379", "E01", "route"),
                ("http://10.77.0.1:2400", "E01", "port"),
                ("http://10.77.0.1:2401", "E01", "port"),
                ("http://10.77.0.1:2402", "E01", "answer"),
                ("https://10.77.0.1:2379", "E07", "tls"),
            ] {
                let told = lab.doctor_with(&["--etcd", url, "item"]).await;
                let member = &told.json["registries"][0]["members"][0];
                assert_eq!(
                    (&member["code"], &member["step"]),
                    (&code.into(), &step.into()),
                    "{url}: {member}"
                );
                assert_eq!(told.exit, 3, "{url}");
            }
            drop(silent);
        },
    );
}

#[test]
fn a_wrong_password_and_a_range_that_is_forbidden_are_told_apart() {
    inside(
        "etcd::a_wrong_password_and_a_range_that_is_forbidden_are_told_apart",
        || async {
            let mut lab = Lab::new().await;
            let mut root = lab.client.clone();
            for user in ["root", "reader"] {
                root.user_add(user, "secret", None).await.unwrap();
            }
            root.role_add("few").await.unwrap();
            let few = Permission::read("elsewhere/").with_prefix();
            root.role_grant_permission("few", few).await.unwrap();
            root.user_grant_role("root", "root").await.unwrap();
            root.user_grant_role("reader", "few").await.unwrap();
            lab.register("item", "10.77.0.1:8888").await;
            root.auth_enable().await.unwrap();
            let config = |user: &str, password: &str| {
                format!(
                    "[[registry]]\nname = \"main\"\nkind = \"etcd\"\nendpoints = [\"http://10.77.0.1:2379\"]\n\
                 user = \"{user}\"\npassword = \"{password}\"\n"
                )
            };
            for (user, password, code) in [("reader", "wrong", "E02"), ("reader", "secret", "E03")]
            {
                let file = lab.write("auth.toml", &config(user, password));
                let told = lab.doctor_with(&["-c", &file, "item"]).await;
                let codes = match code {
                    "E03" => told.codes("item"),
                    _ => told.registry_codes(),
                };
                assert_eq!(codes, [code], "{user}: {:#}", told.json);
                assert_eq!(told.exit, 3);
            }
            let told = lab.doctor(&["item"]).await;
            assert_eq!((told.registry_codes(), told.exit), (vec!["E02".into()], 3));
            let options = ConnectOptions::new().with_user("root", "secret");
            let mut root = Client::connect(["http://127.0.0.1:2379"], Some(options))
                .await
                .unwrap();
            root.auth_disable().await.unwrap();
        },
    );
}

#[test]
fn an_advertised_loopback_address_is_found() {
    inside("etcd::an_advertised_loopback_address_is_found", || async {
        let mut lab = Lab::new().await;
        let folder = TempDir::new().unwrap();
        let _etcd = start_etcd(&folder, "other", 2479, "127.0.0.1");
        let mut other = connect(2479).await;
        let _server = thrift("10.77.0.1:8888").await;
        let key = format!("{PREFIX}/item/10.77.0.1:8888");
        other
            .put(key, value("tcp", "10.77.0.1:8888", 10), None)
            .await
            .unwrap();
        lab.register("item", "10.77.0.1:8888").await;
        let told = lab.doctor_with(&["--etcd", "http://10.77.0.1:2479"]).await;
        assert_eq!((told.registry_codes(), told.exit), (vec!["E04".into()], 1));
        let told = lab.doctor(&[]).await;
        assert_eq!((told.registry_codes(), told.exit), (vec![], 0));
    });
}

#[test]
fn a_slow_etcd_is_found_and_still_read() {
    inside("etcd::a_slow_etcd_is_found_and_still_read", || async {
        let mut lab = Lab::new().await;
        let _server = thrift("10.77.0.1:8888").await;
        lab.register("item", "10.77.0.1:8888").await;
        slow_relay("10.77.0.1:2500", Duration::from_millis(150)).await;
        let told = lab
            .doctor_with(&["--etcd", "http://10.77.0.1:2500", "item"])
            .await;
        assert_eq!(
            (told.registry_codes(), told.exit),
            (vec!["E06".into()], 1),
            "{:#}",
            told.json
        );
        assert_eq!(told.verdict("item"), "reachable");
        assert_eq!(told.codes("item"), Vec::<String>::new());
    });
}

/// Passes on to etcd what it gets, so much later, both ways.
async fn slow_relay(at: &str, delay: Duration) {
    let listener = TcpListener::bind(at).await.unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let etcd = TcpStream::connect("127.0.0.1:2379").await?;
                let (mut here, mut there) =
                    (Delayed::new(client, delay), Delayed::new(etcd, delay));
                copy_bidirectional(&mut here, &mut there).await.map(|_| ())
            });
        }
    });
}

pin_project_lite::pin_project! {
    /// A stream that is read a while after something came in.
    struct Delayed {
        #[pin]
        stream: TcpStream,
        delay: Duration,
        waiting: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
    }
}

impl Delayed {
    fn new(stream: TcpStream, delay: Duration) -> Self {
        Self {
            stream,
            delay,
            waiting: None,
        }
    }
}

impl tokio::io::AsyncRead for Delayed {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let this = self.project();
        std::task::ready!(this.stream.poll_read_ready(cx))?;
        let delay = *this.delay;
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(delay)));
        std::task::ready!(Future::poll(waiting.as_mut(), cx));
        let read = this.stream.poll_read(cx, buf);
        if read.is_ready() {
            *this.waiting = None;
        }
        read
    }
}

impl tokio::io::AsyncWrite for Delayed {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.project().stream.poll_write(cx, bytes)
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}
