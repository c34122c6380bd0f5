//! Clients that dial an address where nothing known is registered.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use scripted::{Answer, Framing, Header};

use crate::host::{Family, Host, MARK, TOOLS, call, eventually, iptables, redirect, sh};
use crate::netns::inside;

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|e| panic!("{program}: {e}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn listens(at: SocketAddr) {
    eventually("it listens", || std::net::TcpStream::connect(at).is_ok()).await;
}

#[test]
fn http_and_redis_at_addresses_that_nobody_registered_still_work() {
    inside(
        "strangers::http_and_redis_at_addresses_that_nobody_registered_still_work",
        || async {
            for family in [Family::V4, Family::V6] {
                let ip = family.address(5);
                let web = SocketAddr::new(ip, 8080);
                let redis = SocketAddr::new(ip, 6379);
                let bind = ip.to_string();
                let _web =
                    Running::start("python3", &["-m", "http.server", "8080", "--bind", &bind]);
                let _redis = Running::start(
                    "redis-server",
                    &[
                        "--port",
                        "6379",
                        "--bind",
                        &bind,
                        "--save",
                        "",
                        "--protected-mode",
                        "no",
                    ],
                );
                listens(web).await;
                listens(redis).await;
                let host = Host::start(&[], "").await;
                for tool in TOOLS {
                    redirect(tool, "6379,8080", MARK);
                    let before = host.redirects("unregistered");
                    let fetch =
                        format!("curl -sS -m 10 -o /dev/null -w '%{{http_code}}' http://{web}/");
                    let code = tokio::task::spawn_blocking(move || sh(&fetch))
                        .await
                        .unwrap();
                    assert_eq!(code, "200", "{family:?} {tool}");
                    let ask = format!(
                        "redis-cli -h {bind} SET tide gate && redis-cli -h {bind} GET tide"
                    );
                    let said = tokio::task::spawn_blocking(move || sh(&ask)).await.unwrap();
                    assert_eq!(said, "OK\ngate\n", "{family:?} {tool}");
                    assert_eq!(host.redirects("unregistered"), before + 3);
                    iptables(&format!("--remove {tool}"));
                }
                host.app.drain().await;
            }
        },
    );
}

#[test]
fn a_call_to_nobody_is_told_so_in_its_own_protocol() {
    inside(
        "strangers::a_call_to_nobody_is_told_so_in_its_own_protocol",
        || async {
            let nobody = Family::V4.instance(6);
            let _host = Host::start(&[], "").await;
            redirect("", "8888", MARK);
            for framing in Framing::ALL {
                let answer = call(nobody, framing, Header::default()).await;
                let Answer::Exception(6, said) = answer else {
                    panic!("{answer:?}")
                };
                assert!(
                    said.contains(&format!("cannot connect to {nobody}"))
                        && said.contains("no service known here is registered there"),
                    "{said}"
                );
            }
        },
    );
}

#[test]
fn what_a_listener_may_not_know_is_a_stranger() {
    inside(
        "strangers::what_a_listener_may_not_know_is_a_stranger",
        || async {
            let (item, stock) = (Family::V4.instance(1), Family::V4.instance(2));
            let servers = [
                crate::host::instance(item).await,
                crate::host::instance(stock).await,
            ];
            let services = "services = [\"shop.*\"]";
            let host = Host::start(&[("shop.item", item)], services).await;
            host.register(&[("shop.item", item), ("stock", stock)]);
            redirect("", "8888", MARK);
            for to in [item, stock] {
                let answer = call(to, Framing::Framed, Header::default()).await;
                assert_eq!(answer, crate::host::echo());
            }
            assert_eq!(servers[1].calls(), 1);
            assert_eq!(
                (host.redirects("service"), host.redirects("unregistered")),
                (1, 1)
            );
        },
    );
}
