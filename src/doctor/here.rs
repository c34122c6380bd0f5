//! Addresses of an instance's host that others can dial, where they can be derived: to be filled into what is pasted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::names_no_host;
use super::places::Place;
use super::report::{Entry, ServiceReport};
use crate::finding::Code;
use crate::registry::{Address, DialAddr, Host, classify, parse};

/// How long a look at a port of this host may take.
const PATIENCE: Duration = Duration::from_millis(200);
/// Ports that are looked at, of one service.
const PORTS: usize = 32;

/// Fills in [`Entry::host`] for the entries that are accused.
pub async fn find_hosts(service: &mut ServiceReport, place: &Place, host: &Host) {
    let here = place.at.and_then(towards);
    let mut looked_at = 0;
    for entry in service.entries.iter_mut().filter(|it| it.is_accused()) {
        entry.host = of_key(entry, host);
        if entry.host.is_some() || !entry.codes.iter().any(|it| names_no_host(*it)) {
            continue;
        }
        let Some(here) = here else { continue };
        looked_at += 1;
        if looked_at <= PORTS && listens_here(entry).await {
            entry.host = Some(here);
        }
    }
}

/// The key's address, where it is another than the value's and means the same host to everybody.
fn of_key(entry: &Entry, host: &Host) -> Option<IpAddr> {
    let in_value = entry.shown.code.iter().chain(&entry.shown.more);
    in_value.copied().find(|it| *it == Code::R08)?;
    let (_, address) = entry.instance().key.rsplit_once('/')?;
    let address = parse(address).ok()?;
    let class = classify(&address, host);
    match address {
        Address::Socket(socket) if class.dialable() && !class.suspicious() => Some(socket.ip()),
        _ => None,
    }
}

/// Whether something listens on this host at the registered port.
async fn listens_here(entry: &Entry) -> bool {
    if entry.connect().is_some() {
        return entry
            .shown
            .dial
            .as_ref()
            .and_then(DialAddr::tcp)
            .is_some_and(|it| it.ip().is_loopback());
    }
    let Ok(Address::Socket(socket)) = parse(&entry.instance().address) else {
        return false;
    };
    if entry.seen.is_some() || socket.port() == 0 {
        return false;
    }
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, socket.port()));
    matches!(timeout(PATIENCE, TcpStream::connect(here)).await, Ok(Ok(_)))
}

/// This host's own address on the route there, if it means the same host to others. No packet is sent.
fn towards(there: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match there {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(there).ok()?;
    let own = socket.local_addr().ok()?.ip().to_canonical();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}
