//! How far one gets with one endpoint of etcd: name, route, port, TLS, password, answer.
//!
//! The client library says "transport error" for most of it, so that the first steps are taken by hand.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etcd_client::{Client, GetOptions, Member};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use super::speaks::{Speaks, speaks};
use super::{Asked, step};
use crate::registry::Code;
use crate::registry::etcd::dial::dial;
use crate::registry::etcd::fault::{Fault, Kind};
use crate::registry::etcd::host_and_port;
use crate::registry::etcd::options::EtcdOptions;
use crate::registry::etcd::read::end_of;
use crate::registry::survey::{MemberFault, MemberSeen};

/// Addresses of a name that are tried.
const MAX_ADDRS: usize = 4;

/// Asks it for a key of `range`, twice; with a client where it answers. `at` is its place in the config.
pub(super) async fn ask(
    options: &EtcdOptions,
    at: usize,
    endpoint: &str,
    range: &str,
    until: Instant,
) -> Asked {
    let mut seen = MemberSeen {
        endpoint: endpoint.to_owned(),
        answer: Ok(Duration::ZERO),
        advertises_loopback: Vec::new(),
    };
    let answer = timeout_at(until, answer(options, endpoint, range)).await;
    let client = match answer.unwrap_or_else(|_| Err(too_slow())) {
        Ok((addr, client, took)) => {
            seen.answer = Ok(took);
            if !addr.ip().to_canonical().is_loopback() {
                seen.advertises_loopback = advertised(options, &client).await;
            }
            Some(client)
        }
        Err(fault) => {
            seen.answer = Err(fault);
            None
        }
    };
    (at, seen, client)
}

fn too_slow() -> MemberFault {
    MemberFault {
        code: Some(Code::E01),
        step: "answer",
        text: "it answers too slowly to be read: is etcd overloaded, or the network?".to_owned(),
    }
}

async fn answer(
    options: &EtcdOptions,
    endpoint: &str,
    range: &str,
) -> Result<(SocketAddr, Client, Duration), MemberFault> {
    let addrs = resolve(options, endpoint).await?;
    let addr = connect(options, endpoint, &addrs).await?;
    match read(options, endpoint, range).await {
        Ok((client, took)) => Ok((addr, client, took)),
        Err(fault) => Err(explain(options, endpoint, addr, fault, range).await),
    }
}

/// Signs in and reads twice: the shorter time counts, since the first read may make the connection.
async fn read(
    options: &EtcdOptions,
    endpoint: &str,
    range: &str,
) -> Result<(Client, Duration), Fault> {
    let limit = options.request_timeout;
    // The client's own limit must not be the first: it does not say what it waited for.
    let patient = EtcdOptions {
        request_timeout: limit + Duration::from_secs(1),
        ..options.clone()
    };
    let client = match timeout(limit, dial(&patient, endpoint)).await {
        Ok(client) => client?,
        Err(_) => return Err(Fault::timeout("signing in", limit)),
    };
    let first = time_read(&client, range, limit).await?;
    let second = time_read(&client, range, limit).await?;
    Ok((client, first.min(second)))
}

/// A refusal to show the range is an answer: whoever reads it says so.
async fn time_read(client: &Client, range: &str, limit: Duration) -> Result<Duration, Fault> {
    let begun = Instant::now();
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
    let limit = options.request_timeout;
    let said = match timeout(limit, lookup_host((&*host, port))).await {
        Ok(Ok(addrs)) => return Ok(addrs.take(MAX_ADDRS).collect()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {limit:?}"),
    };
    Err(no_address(&host, &said))
}

fn no_address(host: &str, said: &str) -> MemberFault {
    MemberFault {
        code: Some(Code::E01),
        step: "name",
        text: format!(
            "the host name {host:?} does not resolve here ({said}): check its spelling, this host's DNS and its hosts \
             file"
        ),
    }
}

/// The first of them to be connected to; else what the last one said.
async fn connect(
    options: &EtcdOptions,
    endpoint: &str,
    addrs: &[SocketAddr],
) -> Result<SocketAddr, MemberFault> {
    let limit = options.connect_timeout;
    let each = addrs.iter().map(|addr| async move {
        match timeout(limit, TcpStream::connect(addr)).await {
            Ok(Ok(_)) => Ok(*addr),
            Ok(Err(error)) => Err(refusal(*addr, &error, limit)),
            Err(_) => Err(refusal(*addr, &io::ErrorKind::TimedOut.into(), limit)),
        }
    });
    let mut each: FuturesUnordered<_> = each.collect();
    let mut refused = None;
    while let Some(connected) = each.next().await {
        match connected {
            Ok(addr) => return Ok(addr),
            Err(fault) => refused = Some(fault),
        }
    }
    Err(refused.unwrap_or_else(|| no_address(endpoint, "it has no address")))
}

fn refusal(addr: SocketAddr, error: &io::Error, limit: Duration) -> MemberFault {
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
                "{addr} does not answer the connect within {limit:?}: a firewall or a security group drops it, or nobody \
                 has the address; check the rules for that port"
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
        code: Some(Code::E01),
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
    let told = step(options, &fault, range);
    if !matches!(told.step, "answer" | "tls") {
        return told;
    }
    let wants_tls = endpoint.starts_with("https://");
    let (code, step, text) = match speaks(addr).await {
        Speaks::Tls if !wants_tls => (
            Code::E07,
            "tls",
            format!(
                "a TLS server answers at {addr}: write https://, and ca, cert, key as it needs them"
            ),
        ),
        Speaks::Etcd if wants_tls => (
            Code::E07,
            "tls",
            format!(
                "etcd answers at {addr} without TLS: write http://, without ca, cert, key and domain"
            ),
        ),
        Speaks::Other(line) => (
            Code::E01,
            "answer",
            format!("something else than etcd answers at {addr}: it says `{line}`; check the port"),
        ),
        _ => return told,
    };
    MemberFault {
        code: Some(code),
        step,
        text,
    }
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
