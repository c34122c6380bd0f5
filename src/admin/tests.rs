#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::config::ListenAddr;

mod breaker;
mod calls;
mod guard;
mod paths;
mod slow;
#[cfg(unix)]
mod unix;

/// A process in a state that the test sets, which remembers what it was told.
struct Scripted {
    services: fn() -> Value,
    readiness: Readiness,
    reload: Result<String, String>,
    /// A reload waits for this where it is set.
    gate: Option<Arc<Notify>>,
    told: Mutex<Vec<String>>,
    level: Mutex<String>,
    /// How many services `/calls` shows, each with a MiB where they are several, and how many were made.
    services_with_calls: usize,
    made: Arc<AtomicUsize>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            services: || json!({ "services": [{ "name": "shop.item" }] }),
            readiness: Readiness::Ready,
            reload: Ok("service shop.item changed".into()),
            gate: None,
            told: Mutex::default(),
            level: Mutex::new("info".into()),
            services_with_calls: 1,
            made: Arc::default(),
        }
    }
}

impl Control for Scripted {
    fn services(&self) -> Value {
        (self.services)()
    }

    fn config(&self) -> String {
        "[runtime]\nworkers = 1\n".into()
    }

    fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    fn reload(&self) -> Pending<'_, Result<String, String>> {
        Box::pin(async {
            self.told.lock().push("reload".into());
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            self.told.lock().push("reloaded".into());
            self.reload.clone()
        })
    }

    fn drain(&self) -> Result<String, String> {
        let mut told = self.told.lock();
        if told.contains(&"drain".to_owned()) {
            return Err("draining already".into());
        }
        told.push("drain".into());
        Ok("draining".into())
    }

    fn why(&self, service: Option<&str>, endpoint: Option<&str>) -> Result<String, String> {
        match service {
            None => Ok("all is well".into()),
            Some("shop.item") => Ok(format!("shop.item {endpoint:?}")),
            Some(other) => Err(format!("no service {other}")),
        }
    }

    fn calls(&self, wanted: &recorder::Wanted) -> Result<Services, String> {
        let many = match wanted.service.as_deref() {
            None => self.services_with_calls,
            Some("shop.item") => 1,
            Some(other) => return Err(format!("no service {other}")),
        };
        let (asked, made) = (format!("{wanted:?}"), self.made.clone());
        Ok(Box::new((0..many).map(move |_| {
            made.fetch_add(1, Relaxed);
            json!({ "asked": asked, "calls": "x".repeat(if many > 1 { 1 << 20 } else { 0 }) })
        })))
    }

    fn breaker(&self, order: &BreakerOrder) -> Result<String, String> {
        if order.service != "shop.item" {
            return Err(format!("no service {}", order.service));
        }
        self.told.lock().push("breaker".into());
        Ok(format!("{:?} {:?}", order.method, order.wanted))
    }

    fn log_level(&self) -> String {
        self.level.lock().clone()
    }

    fn set_log_level(&self, directives: &str) -> Result<(), String> {
        if directives == "loud" {
            return Err("\"loud\" is no log directive".into());
        }
        *self.level.lock() = directives.to_owned();
        Ok(())
    }
}

/// A server on a port of its own, and how to end it.
struct Running {
    addr: SocketAddr,
    control: Arc<Scripted>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

fn start(routes: Routes, control: Scripted) -> Running {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::bind(&ListenAddr::Tcp(any_port)).unwrap();
    let addr = server.local_addr().parse().unwrap();
    let control = Arc::new(control);
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(server.serve(control.clone(), routes, async {
        let _ = stopped.await;
    }));
    Running {
        addr,
        control,
        stop,
        served,
    }
}

impl Running {
    /// One request on a connection of its own, with the server's own address as its host.
    async fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let host = format!("Host: {}\r\n{headers}", self.addr);
        self.ask_raw(&request(line, &host, body)).await
    }

    async fn ask_raw(&self, request: &str) -> String {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        exchange(stream, request).await
    }

    fn told(&self) -> Vec<String> {
        self.control.told.lock().clone()
    }
}

fn request(line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Sends all of it, and reads to the end.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// The header's value; names come in lower case.
fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split_once("\r\n\r\n").unwrap().0;
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(found, value)| (found == name).then_some(value))
}
