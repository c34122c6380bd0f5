//! How far one gets with one endpoint of etcd: name, route, port, TLS, password, answer.
//!
//! The client library says "transport error" for most of it, so that the first steps are taken by hand.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etcd_client::{Client, GetOptions, Member};
use hyper::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::step;
use crate::registry::Code;
use crate::registry::etcd::dial::dial;
use crate::registry::etcd::fault::{Fault, Kind};
use crate::registry::etcd::options::EtcdOptions;
use crate::registry::etcd::read::end_of;
use crate::registry::survey::{MemberFault, MemberSeen};

/// Addresses of a name that are tried.
const MAX_ADDRS: usize = 4;
/// What may be said by something that is no etcd.
const MAX_SAID: usize = 512;
const SAYS_WITHIN: Duration = Duration::from_secs(1);

/// Asks it for a key of `range`, twice; with a client where it answers.
pub(super) async fn ask(
    options: &EtcdOptions,
    endpoint: &str,
    range: &str,
) -> (MemberSeen, Option<Client>) {
    let mut seen = MemberSeen {
        endpoint: endpoint.to_owned(),
        answer: Ok(Duration::ZERO),
        advertises_loopback: Vec::new(),
    };
    match answer(options, endpoint, range).await {
        Ok((addr, client, took)) => {
            seen.answer = Ok(took);
            if !addr.ip().to_canonical().is_loopback() {
                seen.advertises_loopback = advertised(options, &client).await;
            }
            (seen, Some(client))
        }
        Err(fault) => {
            seen.answer = Err(fault);
            (seen, None)
        }
    }
}

async fn answer(
    options: &EtcdOptions,
    endpoint: &str,
    range: &str,
) -> Result<(SocketAddr, Client, Duration), MemberFault> {
    let addrs = resolve(options, endpoint).await?;
    let addr = connect(options, &addrs).await?;
    let read = async {
        let client = dial(options, endpoint).await?;
        let first = time_read(options, &client, range).await?;
        let second = time_read(options, &client, range).await?;
        Ok((client, first.min(second)))
    };
    match read.await {
        Ok((client, took)) => Ok((addr, client, took)),
        Err(fault) => Err(explain(options, endpoint, addr, fault, range).await),
    }
}

/// A refusal to show the range is an answer: whoever reads it says so.
async fn time_read(options: &EtcdOptions, client: &Client, range: &str) -> Result<Duration, Fault> {
    let begun = Instant::now();
    let limit = options.request_timeout;
    let one = GetOptions::new()
        .with_range(end_of(range))
        .with_limit(1)
        .with_keys_only();
    let mut kv = client.kv_client();
    let fault = match timeout(limit, kv.get(range, Some(one))).await {
        Ok(Ok(_)) => return Ok(begun.elapsed()),
        Ok(Err(error)) => Fault::from(error),
        Err(_) => Fault::timeout("a read", limit),
    };
    match fault.kind {
        Kind::Denied => Ok(begun.elapsed()),
        _ => Err(fault),
    }
}

async fn resolve(options: &EtcdOptions, endpoint: &str) -> Result<Vec<SocketAddr>, MemberFault> {
    let (host, port) = host_and_port(endpoint);
    let fault = |said: String| MemberFault {
        code: Code::E01,
        step: "name",
        text: format!(
            "the host name {host:?} does not resolve here ({said}): check its spelling, this host's DNS and its hosts file"
        ),
    };
    match timeout(options.connect_timeout, lookup_host((&*host, port))).await {
        Ok(Ok(addrs)) => {
            let addrs: Vec<_> = addrs.take(MAX_ADDRS).collect();
            match addrs.is_empty() {
                true => Err(fault("no address".to_owned())),
                false => Ok(addrs),
            }
        }
        Ok(Err(error)) => Err(fault(error.to_string())),
        Err(_) => Err(fault(format!(
            "no answer within {:?}",
            options.connect_timeout
        ))),
    }
}

/// The first of them that can be connected to; else what the first one said.
async fn connect(options: &EtcdOptions, addrs: &[SocketAddr]) -> Result<SocketAddr, MemberFault> {
    let mut first = None;
    for addr in addrs {
        let error = match timeout(options.connect_timeout, TcpStream::connect(addr)).await {
            Ok(Ok(_)) => return Ok(*addr),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        first = first.or_else(|| Some(refusal(*addr, &error, options)));
    }
    Err(first.unwrap_or_else(|| MemberFault {
        code: Code::E01,
        step: "name",
        text: "its name has no address".to_owned(),
    }))
}

fn refusal(addr: SocketAddr, error: &io::Error, options: &EtcdOptions) -> MemberFault {
    let (step, text) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            "port",
            format!(
                "{addr} refuses the connection: the host is there, and nobody listens on that port; check the port, \
                 that etcd runs, and that it listens on this address (--listen-client-urls)"
            ),
        ),
        io::ErrorKind::TimedOut => (
            "port",
            format!(
                "{addr} does not answer the connect within {:?}: a firewall or a security group drops it, or nobody has \
                 the address; check the rules for that port",
                options.connect_timeout
            ),
        ),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            ("port", format!("{addr} resets the connection: {error}"))
        }
        _ => (
            "route",
            format!(
                "there is no way to {addr}: {error}; check the address, the VPN and the routes of this host"
            ),
        ),
    };
    MemberFault {
        code: Code::E01,
        step,
        text,
    }
}

/// A port that can be connected to and gives no read: what is it?
async fn explain(
    options: &EtcdOptions,
    endpoint: &str,
    addr: SocketAddr,
    fault: Fault,
    range: &str,
) -> MemberFault {
    let fault = fault.hinted(endpoint, options.cert.is_some());
    let mut told = step(options, &fault, range);
    if endpoint.starts_with("http://") && told.step == "answer" {
        match says(addr).await.as_deref() {
            Some(said) if said.contains("to an HTTPS server") || said.starts_with('\u{15}') => {
                told.code = Code::E07;
                told.step = "tls";
                told.text = format!(
                    "a TLS server answers at {addr}: write https:// (and ca, cert, key as etcd needs them)"
                );
            }
            Some(said) if !said.contains("etcdserver") => {
                let line: String = said
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .chars()
                    .take(80)
                    .collect();
                told.text = format!(
                    "something else than etcd answers at {addr}: it says {line:?}; check the port"
                );
            }
            _ => {}
        }
    }
    told
}

/// What it says to a plain question.
async fn says(addr: SocketAddr) -> Option<String> {
    let ask = async {
        let mut stream = TcpStream::connect(addr).await.ok()?;
        stream
            .write_all(b"GET /version HTTP/1.0\r\n\r\n")
            .await
            .ok()?;
        let mut said = Vec::new();
        stream
            .take(MAX_SAID as u64)
            .read_to_end(&mut said)
            .await
            .ok();
        Some(String::from_utf8_lossy(&said).into_owned())
    };
    let said = timeout(SAYS_WITHIN, ask).await.ok()??;
    (!said.is_empty()).then_some(said)
}

/// The cluster's client URLs that mean another host to everyone. Not told to every user, and no matter then.
async fn advertised(options: &EtcdOptions, client: &Client) -> Vec<String> {
    let mut cluster = client.cluster_client();
    let Ok(Ok(answer)) = timeout(options.request_timeout, cluster.member_list()).await else {
        return Vec::new();
    };
    let urls = answer.members().iter().flat_map(Member::client_urls);
    urls.filter(|url| is_loopback(url)).cloned().collect()
}

fn is_loopback(url: &str) -> bool {
    let (host, _) = host_and_port(url);
    let ip: Result<IpAddr, _> = host.parse();
    ip.map_or(host == "localhost", |ip| ip.to_canonical().is_loopback())
}

/// An IPv6 address without its brackets.
fn host_and_port(url: &str) -> (String, u16) {
    let uri: Uri = url.parse().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let usual = if url.starts_with("https://") { 443 } else { 80 };
    (host.to_owned(), uri.port_u16().unwrap_or(usual))
}
