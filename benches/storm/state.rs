//! What a proxy says of its endpoints and breakers, each by its own stats.

use crate::proxies::{Kind, Proxy};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The state at one moment.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Which of the endpoints, in the config's order, get no calls: ejected or down.
    pub out: Vec<bool>,
    /// Ejections so far, where the proxy counts them. More than one may fall between two looks.
    pub ejections: Option<u64>,
    /// The methods whose breakers are open or half-open.
    pub open: Vec<String>,
}

/// Asks for it.
pub async fn look(proxy: &Proxy) -> io::Result<State> {
    match proxy.kind {
        Kind::Tidegate => Ok(tidegate(
            &proxy.endpoints,
            &get(proxy.admin, "/metrics").await?,
        )),
        Kind::Haproxy => {
            let table = ask(proxy.admin, "show stat\n").await?;
            haproxy(proxy.endpoints.len(), &table)
        }
        Kind::Envoy => {
            let hosts = get(proxy.admin, "/clusters").await?;
            let counted = get(proxy.admin, "/stats?filter=ejections_enforced_total").await?;
            Ok(envoy(&proxy.endpoints, &hosts, &counted))
        }
    }
}

fn tidegate(endpoints: &[SocketAddr], metrics: &str) -> State {
    let mut state = State {
        out: vec![false; endpoints.len()],
        ..State::default()
    };
    for series in metrics.lines().filter_map(Series::parse) {
        if series.value == 0.0 {
            continue;
        }
        let is = series.label("state");
        match series.name {
            "tidegate_endpoint_state" if matches!(is, "down" | "ejected") => {
                let at = series.label("endpoint");
                let nth = endpoints.iter().position(|e| e.to_string() == at);
                if let Some(out) = nth.and_then(|nth| state.out.get_mut(nth)) {
                    *out = true;
                }
            }
            "tidegate_ejections_total" if series.label("enforced") == "yes" => {
                *state.ejections.get_or_insert(0) += series.value as u64;
            }
            "tidegate_breaker_state" if matches!(is, "open" | "half_open" | "forced_open") => {
                state.open.push(series.label("method").to_owned());
            }
            _ => {}
        }
    }
    state
}

/// One line of Prometheus' text format whose label values hold no comma, quote or brace.
struct Series<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

impl<'a> Series<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{')?;
        let (labels, value) = (labels.strip_suffix('}')?, value.parse().ok()?);
        Some(Self {
            name,
            labels,
            value,
        })
    }

    fn label(&self, name: &str) -> &'a str {
        let mut pairs = self
            .labels
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value.trim_matches('"'))
    }
}

/// Its CSV: `chkdown` counts how often a server went down.
fn haproxy(endpoints: usize, table: &str) -> io::Result<State> {
    let missing = || io::Error::other("no such column in HAProxy's statistics");
    let mut lines = table.lines();
    let head = lines.next().unwrap_or_default().trim_start_matches("# ");
    let column = |name: &str| head.split(',').position(|c| c == name).ok_or_else(missing);
    let (server, status) = (column("svname")?, column("status")?);
    let mut out = vec![false; endpoints];
    for line in lines {
        let fields: Vec<_> = line.split(',').collect();
        let nth = fields
            .get(server)
            .and_then(|name| name.strip_prefix('s')?.parse::<usize>().ok());
        let out = nth.and_then(|nth| out.get_mut(nth));
        if let (Some(out), Some(status)) = (out, fields.get(status)) {
            *out = status.starts_with("DOWN");
        }
    }
    Ok(State {
        out,
        ..State::default()
    })
}

fn envoy(endpoints: &[SocketAddr], hosts: &str, counted: &str) -> State {
    let out = |at: &SocketAddr| {
        let flags = format!("::{at}::health_flags::");
        hosts
            .lines()
            .any(|line| line.contains(&flags) && line.contains("/failed_"))
    };
    let total = counted.lines().find_map(|line| line.rsplit_once(": "));
    State {
        out: endpoints.iter().map(out).collect(),
        ejections: total.and_then(|(_, n)| n.trim().parse().ok()),
        open: Vec::new(),
    }
}

async fn get(at: SocketAddr, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    let answer = ask(at, &request).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
        _ => Err(io::Error::other(answer)),
    }
}

/// Says something and reads until the other end closes.
async fn ask(at: SocketAddr, what: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(at).await?;
    stream.write_all(what.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
