//! A proxy under test: its config by parts, callers whose every wait is bounded, its metrics.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use scripted::{Answer, Client, Framing, Header, Message};
use tidegate::app::App;
use tidegate::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// No step of a test may take longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A config with one service and one listener of the same name: the name is the test's own, since all tests of a
/// process share its metrics.
#[derive(Clone)]
pub struct Setup {
    name: &'static str,
    endpoints: Vec<SocketAddr>,
    listen: SocketAddr,
    fixed: bool,
    /// Lines of `[[service]]` and of tables below it.
    pub policy: String,
    /// Lines of `[[listener]]`.
    pub listener: String,
    /// Lines of `[runtime]`.
    pub runtime: String,
    /// Whole tables.
    pub more: String,
}

impl Setup {
    /// A service at these endpoints.
    pub fn new(name: &'static str, endpoints: &[SocketAddr]) -> Self {
        let (policy, listener, more) = <(String, String, String)>::default();
        Self {
            name,
            endpoints: endpoints.to_vec(),
            listen: super::free(),
            fixed: true,
            policy,
            listener,
            runtime: "drain_delay = \"0s\"".into(),
            more,
        }
    }

    /// With these lines in `[[service]]`.
    #[must_use]
    pub fn policy(mut self, lines: &str) -> Self {
        writeln!(self.policy, "{lines}").unwrap();
        self
    }

    /// With these lines in `[[listener]]`.
    #[must_use]
    pub fn listener(mut self, lines: &str) -> Self {
        writeln!(self.listener, "{lines}").unwrap();
        self
    }

    /// With these lines in `[runtime]`.
    #[must_use]
    pub fn runtime(mut self, lines: &str) -> Self {
        write!(self.runtime, "\n{lines}").unwrap();
        self
    }

    /// With these tables.
    #[must_use]
    pub fn more(mut self, tables: &str) -> Self {
        writeln!(self.more, "{tables}").unwrap();
        self
    }

    /// Each call names its own service.
    #[must_use]
    pub fn unnamed(mut self) -> Self {
        self.fixed = false;
        self
    }

    /// The config's text.
    pub fn text(&self) -> String {
        let list: Vec<String> = self.endpoints.iter().map(|e| format!("\"{e}\"")).collect();
        let name = self.name;
        let mut text = format!(
            "[admin]\nlisten = \"off\"\n[runtime]\n{}\n",
            self.runtime.trim()
        );
        writeln!(
            text,
            "[[listener]]\nname = \"{name}\"\nlisten = \"{}\"",
            self.listen
        )
        .unwrap();
        if self.fixed {
            writeln!(text, "service = \"{name}\"").unwrap();
        }
        write!(text, "{}", self.listener).unwrap();
        if !list.is_empty() {
            writeln!(
                text,
                "[[service]]\nname = \"{name}\"\nendpoints = [{}]\n{}",
                list.join(", "),
                self.policy
            )
            .unwrap();
        }
        text + &self.more
    }

    /// The config.
    pub fn config(&self) -> Config {
        Config::from_str("test.toml", &self.text()).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Runs it.
    pub fn start(&self) -> Proxy {
        let app = App::start(self.config()).unwrap_or_else(|e| panic!("{e}"));
        Proxy {
            app,
            addr: self.listen,
            name: self.name,
        }
    }
}

/// A proxy that runs until this is dropped.
pub struct Proxy {
    /// What the binary drives.
    pub app: Arc<App>,
    /// Its listener's address.
    pub addr: SocketAddr,
    /// The service's and the listener's name.
    pub name: &'static str,
}

impl Proxy {
    /// A new caller.
    pub async fn caller(&self, framing: Framing) -> Caller {
        Caller::connect(self.addr, framing).await
    }

    /// One that sends this header.
    pub async fn caller_with(&self, framing: Framing, header: Header) -> Caller {
        let caller = self.caller(framing).await;
        Caller(caller.0.with_header(header))
    }

    /// A connection on which a test writes bytes of its own.
    pub async fn raw(&self) -> Raw {
        let stream = soon(TcpStream::connect(self.addr)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Raw(stream)
    }

    /// How many calls of the service ended so.
    pub fn outcome(&self, outcome: &str) -> u64 {
        let labels = [("service", self.name), ("outcome", outcome)];
        metric("tidegate_calls_total", &labels)
    }

    /// So many calls of the service have ended so, no more and no fewer. (A call is counted once its answer is written.)
    pub async fn counted(&self, outcome: &str, calls: u64) {
        eventually(&format!("{calls} {outcome}"), || {
            self.outcome(outcome) >= calls
        })
        .await;
        assert_eq!(self.outcome(outcome), calls, "{outcome}");
    }

    /// How many calls of the listener ended so before they had a service.
    pub fn unrouted(&self, outcome: &str) -> u64 {
        let labels = [
            ("listener", self.name),
            ("service", "none"),
            ("outcome", outcome),
        ];
        metric("tidegate_calls_total", &labels)
    }

    /// How many calls of the service ended, in any way.
    pub fn ended(&self) -> u64 {
        metric("tidegate_calls_total", &[("service", self.name)])
    }

    /// Waits until so many calls of the service wait for an endpoint.
    pub async fn waiting(&self, calls: u64) {
        let said = format!("in flight, {calls} of ");
        let wait = || {
            let why = self.app.why(Some(self.name), None).unwrap();
            why.contains(&said)
        };
        eventually(&format!("{calls} waiting"), wait).await;
    }

    /// How many tries of the service ended so.
    pub fn tries(&self, outcome: &str) -> u64 {
        let labels = [("service", self.name), ("outcome", outcome)];
        metric("tidegate_tries_total", &labels)
    }

    /// How many client connections of the listener ended for this reason.
    pub fn closed(&self, reason: &str) -> u64 {
        let labels = [("listener", self.name), ("reason", reason)];
        metric("tidegate_client_closed_total", &labels)
    }

    /// A metric of the service by one more label.
    pub fn of(&self, name: &str, label: &str, value: &str) -> u64 {
        metric(name, &[("service", self.name), (label, value)])
    }

    /// What `/services` says of the service's endpoint at `addr`.
    pub fn endpoint(&self, addr: SocketAddr) -> serde_json::Value {
        let services = self.app.services();
        let all = services["services"].as_array().unwrap().iter();
        let mut endpoints = all
            .filter(|s| s["name"] == self.name)
            .flat_map(|s| s["endpoints"].as_array().unwrap());
        let addr = addr.to_string();
        endpoints.find(|e| e["dial"] == addr).unwrap().clone()
    }

    /// Connections pooled to the endpoint.
    pub fn pooled(&self, addr: SocketAddr) -> u64 {
        self.endpoint(addr)["idle_connections"].as_u64().unwrap()
    }

    /// Whether a call on a new connection is answered: whatever happened elsewhere did no harm.
    pub async fn still_serves(&self) {
        let mut caller = self.caller(Framing::Framed).await;
        let answer = caller.call("Echo", "still here").await.unwrap();
        assert_eq!(answer, Answer::Text("still here".into()));
    }
}

/// A scripted client none of whose waits is endless.
pub struct Caller(pub Client);

impl Caller {
    /// Connects.
    pub async fn connect(addr: SocketAddr, framing: Framing) -> Self {
        Self(soon(Client::connect(addr, framing)).await.unwrap())
    }

    /// See [`Client::call`].
    pub async fn call(&mut self, method: &str, text: &str) -> io::Result<Answer> {
        soon(self.0.call(method, text)).await
    }

    /// A call that must be answered with its own text.
    pub async fn echo(&mut self, text: &str) {
        let answer = self.call("Echo", text).await.unwrap();
        assert_eq!(answer, Answer::Text(text.into()));
    }

    /// A call that must end in an exception of type 6; its text.
    pub async fn fails(&mut self, text: &str) -> String {
        match self.call("Echo", text).await.unwrap() {
            Answer::Exception(6, said) => said,
            other => panic!("answered: {other:?}"),
        }
    }

    /// Sends a call and does not wait for its answer.
    pub async fn send(&mut self, method: &str, text: &str) -> Message {
        let call = self.0.next(method, scripted::body::text(1, text));
        soon(self.0.send(&call)).await.unwrap();
        call
    }

    /// The next message, or `None` at the end of the connection.
    pub async fn next(&mut self) -> io::Result<Option<Message>> {
        soon(self.0.receive_or_end()).await
    }

    /// The connection must end now, with nothing more on it.
    pub async fn ends(&mut self) {
        let next = self.next().await;
        let ended = match &next {
            Ok(next) => next.is_none(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        };
        assert!(ended, "not the end: {next:?}");
    }
}

/// A connection on which a test writes bytes of its own.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Writes all of it.
    pub async fn write(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.unwrap();
    }

    /// Writes as much of it as the peer takes before it closes.
    pub async fn try_write(&mut self, bytes: &[u8]) {
        let _ = soon(self.0.write_all(bytes)).await;
    }

    /// Reads exactly so many bytes.
    pub async fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        soon(self.0.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// Reads to the end of the connection, a reset included.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = soon(self.0.read_to_end(&mut bytes)).await;
        bytes
    }
}

/// The result of something that must not take long.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it takes too long")
}

/// Waits until it is so.
#[track_caller]
pub fn eventually(what: &str, is: impl Fn() -> bool) -> impl Future<Output = ()> {
    let what = what.to_owned();
    let at = std::panic::Location::caller();
    async move {
        let waiting = async {
            while !is() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let done = timeout(PATIENCE, waiting).await;
        assert!(done.is_ok(), "never true: {what} ({at})");
    }
}

/// The sum of a metric's series that have these labels.
pub fn metric(name: &str, labels: &[(&str, &str)]) -> u64 {
    let text = tidegate::metrics::render();
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?.strip_prefix('{')?;
            let (set, value) = rest.rsplit_once("} ")?;
            let has = |(key, value): &(&str, &str)| {
                set.split(',')
                    .any(|pair| pair == format!("{key}=\"{value}\""))
            };
            labels
                .iter()
                .all(has)
                .then(|| value.parse::<f64>().unwrap() as u64)
        })
        .sum()
}

/// Milliseconds.
pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
