//! The two hosts of the page, and what is wrong there.

use std::any::Any;
use std::process::Stdio;
use std::time::Duration;

use etcd_client::{DeleteOptions, PutOptions};
use scripted::{Act, Options};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::lab::{Lab, PREFIX, Running, output, sh, value};
use crate::servers::{answers, thrift};

/// Kitex's.
const TTL: i64 = 60;
/// A client on the caller's host: calls `GetItem` through tidegate, and prints the exception's words, or `ok`.
const CLIENT: &str = r#"
import socket, struct
at = socket.create_connection(('127.0.0.1', 18890))
head = struct.pack('>II', 0x80010001, 7) + b'GetItem' + struct.pack('>I', 1)
call = head + b'\x0b' + struct.pack('>HI', 1, 2) + b'42' + b'\0'
at.sendall(struct.pack('>I', len(call)) + call)
read = at.makefile('rb')
reply = read.read(struct.unpack('>I', read.read(4))[0])
body = reply[len(head):]
print(body[7:7 + struct.unpack('>I', body[3:7])[0]].decode() if reply[3] == 3 else 'ok')
"#;

/// What Go's HTTP server answers to what is no HTTP.
const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
                      Connection: close\r\n\r\n400 Bad Request";

/// What is so just now.
pub struct World {
    lab: Lab,
    /// Granted at the start and never renewed: half of it is gone in the end.
    old: i64,
    servers: Vec<Box<dyn Any>>,
    running: Option<Running>,
    authenticated: bool,
}

impl World {
    pub async fn new() -> Self {
        let mut lab = Lab::new().await;
        let old = lab.client.lease_grant(TTL, None).await.unwrap().id();
        Self {
            lab,
            old,
            servers: Vec::new(),
            running: None,
            authenticated: false,
        }
    }

    /// Makes this situation, and ends the one before.
    pub async fn make(&mut self, name: &str) {
        self.clear().await;
        match name {
            "loopback" => {
                self.serve("0.0.0.0:8890").await;
                self.register("item", "127.0.0.1:8890").await;
            }
            "container" => self.register("item", "172.17.0.2:8888").await,
            "dropped" => {
                sh("iptables -w -A INPUT -p tcp --dport 8899 -j DROP");
                self.serve("10.77.0.1:8899").await;
                self.register("item", "10.77.0.1:8899").await;
            }
            "far" => {
                // Every first SYN is lost, so that a connect takes a second.
                let lost = "--syn -m statistic --mode nth --every 2 --packet 0 -j DROP";
                sh(&format!("iptables -w -A INPUT -p tcp --dport 8888 {lost}"));
                self.serve("10.77.0.1:8888").await;
                self.register("item", "10.77.0.1:8888").await;
            }
            "refused" => {
                self.serve("127.0.0.1:8888").await;
                self.register("item", "10.77.0.1:8888").await;
            }
            "http" => {
                answers("10.77.0.1:8080", HTTP).await;
                self.register("item", "10.77.0.1:8080").await;
            }
            "idle" => {
                let server = Options::always(Act::Echo).listen("10.77.0.1:8888".parse().unwrap());
                let server = server.close_idle_after(Duration::from_secs(5));
                self.servers.push(Box::new(server.start().await.unwrap()));
                self.register("item", "10.77.0.1:8888").await;
            }
            "hung" => {
                let unaccepted = TcpListener::bind("10.77.0.1:8888").await.unwrap();
                self.servers.push(Box::new(unaccepted));
                self.register("item", "10.77.0.1:8888").await;
            }
            "healthy" => self.healthy().await,
            "prefix" => {
                self.serve("10.77.0.1:8888").await;
                self.put("/item/10.77.0.1:8888", "10.77.0.1:8888").await;
            }
            "left over" => {
                self.let_a_lease_run_down().await;
                let key = format!("{PREFIX}/item/10.77.0.1:8888");
                self.put_under(&key, "10.77.0.1:8888", self.old).await;
            }
            "etcd" => {
                sh(
                    "iptables -w -A INPUT -d 10.77.0.1 -p tcp --dport 2379 -j REJECT --reject-with tcp-reset",
                );
            }
            "password" => {
                self.healthy().await;
                self.ask_for_a_password().await;
            }
            other => panic!("the page has an unknown situation: {other}"),
        }
    }

    /// To less than its half; one that is about to end is no use.
    async fn let_a_lease_run_down(&mut self) {
        let etcd = &mut self.lab.client;
        let left = etcd.lease_time_to_live(self.old, None).await.unwrap();
        if left.ttl() < TTL / 4 {
            self.old = etcd.lease_grant(TTL, None).await.unwrap().id();
        }
        self.lab.wait_for_half(self.old).await;
    }

    async fn healthy(&mut self) {
        self.serve("10.77.0.1:8888").await;
        for service in ["item", "order", "stock"] {
            self.register(service, "10.77.0.1:8888").await;
        }
    }

    async fn clear(&mut self) {
        self.servers.clear();
        self.running = None;
        sh("iptables -w -F INPUT");
        if std::mem::take(&mut self.authenticated) {
            let root = etcd_client::ConnectOptions::new().with_user("root", "secret");
            let at = ["http://127.0.0.1:2379"];
            let mut root = etcd_client::Client::connect(at, Some(root)).await.unwrap();
            root.auth_disable().await.unwrap();
        }
        let all = DeleteOptions::new().with_prefix();
        let etcd = &mut self.lab.client;
        for prefix in [PREFIX, "/"] {
            let gone = etcd.delete(prefix, Some(all.clone())).await.unwrap();
            // Nothing is known of the situation before.
            let now = gone.header().unwrap().revision();
            let _ = etcd.compact(now, None).await;
        }
        // The servers' sockets are closed by the runtime.
        sleep(Duration::from_millis(50)).await;
    }

    async fn ask_for_a_password(&mut self) {
        let etcd = &mut self.lab.client;
        etcd.user_add("root", "secret", None).await.unwrap();
        etcd.user_grant_role("root", "root").await.unwrap();
        etcd.auth_enable().await.unwrap();
        self.authenticated = true;
    }

    async fn serve(&mut self, at: &str) {
        self.servers.push(Box::new(thrift(at).await));
    }

    async fn register(&mut self, service: &str, address: &str) {
        self.put(&format!("{PREFIX}/{service}/{address}"), address)
            .await;
    }

    async fn put(&mut self, key: &str, address: &str) {
        let lease = self.lab.client.lease_grant(TTL, None).await.unwrap().id();
        self.put_under(key, address, lease).await;
    }

    async fn put_under(&mut self, key: &str, address: &str, lease: i64) {
        let options = Some(PutOptions::new().with_lease(lease));
        let value = value("tcp", address, 10);
        self.lab.client.put(key, value, options).await.unwrap();
    }

    /// A file in the folder where commands are run.
    pub fn write(&self, name: &str, text: &str) {
        self.lab.write(name, text);
    }

    /// Runs these on the caller's host; what they print.
    pub async fn run_all(&mut self, lines: &[String]) -> String {
        let mut said = String::new();
        for line in lines {
            let mut command = self.lab.command_on_caller(env!("CARGO_BIN_EXE_tidegate"));
            command.args(line.split_whitespace().skip(1));
            command
                .current_dir(self.lab.path(""))
                .env("LC_ALL", "C.UTF-8");
            if line.starts_with("tidegate run ") {
                self.running = None;
                command
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                self.running = Some(Running(command.spawn().unwrap()));
                self.lab
                    .on_caller("until ss -ltn | grep -q :18890; do sleep 0.05; done");
                continue;
            }
            let output = output(command).await;
            assert_ne!(output.status.code(), Some(2), "{line}: {output:?}");
            said += &String::from_utf8_lossy(&output.stdout);
            said += &String::from_utf8_lossy(&output.stderr);
        }
        said
    }

    /// What a client on the caller's host gets through tidegate.
    pub async fn call(&self) -> String {
        let mut client = self.lab.command_on_caller("python3");
        client.args(["-c", CLIENT]);
        let output = output(client).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
