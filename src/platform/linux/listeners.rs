//! Who listens on an address: the kernel's socket table names an inode, and the process that has
//! it open is found under `/proc`. Other users' processes show nothing to an ordinary user.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

pub(in super::super) fn who_listens(addr: SocketAddr) -> Option<String> {
    let listener = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| find_listener(&table, addr))?;
    Some(match process_with(listener.inode) {
        Some((pid, name)) => format!("{name} (pid {pid})"),
        None => format!("a process of user id {}", listener.uid),
    })
}

pub(in super::super) fn connections_at(port: u16) -> usize {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let tables = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok());
    tables.map(|table| count_open(&table, port)).sum()
}

/// The rows with this local port whose connection is established, or half closed and still somebody's: the kernel alone
/// waits for the other end of one whose process is gone.
pub(super) fn count_open(table: &str, port: u16) -> usize {
    let open = |row: &&str| {
        let mut fields = row.split_ascii_whitespace().skip(1);
        let local = fields.next().and_then(parse_local);
        let state = fields.nth(1);
        local.is_some_and(|it| it.port() == port)
            && match state {
                Some("01" | "08") => true,
                Some("04" | "05") => fields.nth(5).is_some_and(|inode| inode != "0"),
                _ => false,
            }
    };
    table.lines().skip(1).filter(open).count()
}

/// A row of the kernel's table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) uid: u32,
    pub(super) inode: u64,
}

/// The first listening row that stands in the way of `addr`: the same port, and the same address
/// or a wildcard on either side.
pub(super) fn find_listener(table: &str, addr: SocketAddr) -> Option<Listener> {
    table.lines().skip(1).find_map(|row| {
        let fields: Vec<&str> = row.split_ascii_whitespace().collect();
        let local = parse_local(fields.get(1)?)?;
        let listens = *fields.get(3)? == "0A";
        let same =
            local.ip() == addr.ip() || local.ip().is_unspecified() || addr.ip().is_unspecified();
        if !listens || local.port() != addr.port() || !same {
            return None;
        }
        Some(Listener {
            uid: fields.get(7)?.parse().ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    })
}

/// `0100007F:46A2`: the address as the kernel's 32-bit words in host order, the port as a number.
pub(super) fn parse_local(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words =
        || (0..ip.len() / 8).map(|i| u32::from_str_radix(ip.get(i * 8..i * 8 + 8)?, 16).ok());
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(words().next()??.to_ne_bytes()).into(),
        32 => {
            let mut bytes = [0; 16];
            for (slot, word) in bytes.chunks_exact_mut(4).zip(words()) {
                slot.copy_from_slice(&word?.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The process that has the socket open, and its name.
fn process_with(inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        if !has_open(&entry.path().join("fd"), &wanted) {
            return None;
        }
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        Some((pid, name.trim().to_owned()))
    })
}

fn has_open(fds: &Path, wanted: &str) -> bool {
    let Ok(entries) = fs::read_dir(fds) else {
        return false;
    };
    entries
        .flatten()
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == wanted))
}
