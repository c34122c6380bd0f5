#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use super::*;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Both ends of a connection, the first of them non-blocking as tidegate's are.
fn pair() -> (TcpStream, TcpStream) {
    let listener = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours, theirs)
}

/// Looks until the answer is no longer "quiet": loopback delivers soon, but not at once.
fn peek_until_told(stream: &TcpStream) -> Idle {
    let told = (0..500)
        .map(|_| wait())
        .map(|()| peek_idle(stream))
        .find(|&idle| idle != Idle::Quiet);
    told.unwrap_or(Idle::Quiet)
}

/// A millisecond, spent in a read that nobody answers.
fn wait() {
    let (waiter, _silent) = pair();
    waiter.set_nonblocking(false).unwrap();
    waiter
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    assert!((&waiter).read(&mut [0]).is_err());
}

#[test]
fn a_bound_listener_accepts_and_never_blocks() {
    let listener = bind(LOOPBACK).unwrap();
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let peer = (0..500).find_map(|_| {
        wait();
        listener.accept().ok()
    });
    assert_eq!(peer.unwrap().1, client.local_addr().unwrap());
}

#[test]
fn an_address_in_use_is_refused_as_such() {
    let first = bind(LOOPBACK).unwrap();
    let error = bind(first.local_addr().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn the_unspecified_ipv6_address_takes_ipv4_callers() {
    let Ok(listener) = bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0)) else {
        assert!(bind(LOOPBACK).is_ok(), "a host without IPv6 still has IPv4");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
}

#[test]
fn a_tuned_stream_has_no_delay_and_keepalive() {
    let (ours, _theirs) = pair();
    tune_stream(&ours, Side::Upstream).unwrap();
    let socket = SockRef::from(&ours);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    {
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
    }
}

#[test]
fn only_upstreams_limit_unacknowledged_bytes() {
    let (ours, _theirs) = pair();
    tune_stream(&ours, Side::Client).unwrap();
    #[cfg(target_os = "linux")]
    assert_eq!(SockRef::from(&ours).tcp_user_timeout().unwrap(), None);
}

#[test]
fn an_idle_connection_is_quiet_until_the_peer_writes() {
    let (mut ours, mut theirs) = pair();
    assert_eq!(peek_idle(&ours), Idle::Quiet);
    theirs.write_all(b"x").unwrap();
    assert_eq!(peek_until_told(&ours), Idle::Data);
    // The look took nothing.
    let mut byte = [0];
    assert_eq!(ours.read(&mut byte).unwrap(), 1);
    assert_eq!(peek_idle(&ours), Idle::Quiet);
}

#[test]
fn an_idle_connection_that_the_peer_closed_is_closed() {
    let (ours, theirs) = pair();
    drop(theirs);
    assert_eq!(peek_until_told(&ours), Idle::Closed);
}

#[test]
fn an_idle_connection_that_the_peer_reset_is_closed() {
    let (ours, theirs) = pair();
    SockRef::from(&theirs)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(theirs);
    assert_eq!(peek_until_told(&ours), Idle::Closed);
}

#[test]
fn errors_of_our_own_are_told_from_the_peers() {
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    assert!(!is_emfile(&refused) && !no_local_port(&refused));
    let emfile = io::Error::from_raw_os_error(system::OUT_OF_DESCRIPTORS[0]);
    assert!(is_emfile(&emfile) && !no_local_port(&emfile));
    let no_port = io::Error::from_raw_os_error(system::OUT_OF_PORTS[0]);
    assert!(no_local_port(&no_port) && !is_emfile(&no_port));
}

#[cfg(unix)]
mod on_unix {
    use super::*;

    #[test]
    fn a_unix_socket_can_be_peeked_too() {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        // Blocking on purpose: the look must not wait even so.
        assert_eq!(peek_idle(&ours), Idle::Quiet);
        theirs.write_all(b"x").unwrap();
        assert_eq!(peek_idle(&ours), Idle::Data);
        drop((ours, theirs));
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(theirs);
        assert_eq!(peek_idle(&ours), Idle::Closed);
    }

    #[test]
    fn the_loopback_interface_is_found_with_its_network() {
        let found = interfaces();
        let lo = found
            .iter()
            .find(|i| i.ip == IpAddr::V4(Ipv4Addr::LOCALHOST))
            .unwrap();
        assert_eq!(lo.prefix_len, 8);
        assert!(lo.name.starts_with("lo"), "{lo:?}");
    }

    #[test]
    fn users_and_groups_are_found_by_name() {
        assert_eq!(user_id("root").unwrap(), Some(0));
        assert_eq!(user_id("no-such-user").unwrap(), None);
        // The first group has a name of its own on each system.
        assert!(
            ["root", "wheel"]
                .iter()
                .any(|it| group_id(it).unwrap() == Some(0))
        );
    }

    #[test]
    fn the_descriptor_limit_is_raised_as_far_as_it_goes() {
        let limit = raise_fd_limit().unwrap().unwrap();
        assert!(limit >= 256);
        assert_eq!(raise_fd_limit().unwrap(), Some(limit));
    }

    #[tokio::test]
    async fn signals_become_events() {
        let mut signals = Signals::install().unwrap();
        for (signal, event) in [
            (libc::SIGHUP, Event::Reload),
            (libc::SIGUSR1, Event::ReopenLogs),
            (libc::SIGTERM, Event::Stop),
            (libc::SIGINT, Event::Stop),
        ] {
            raise(signal);
            assert_eq!(signals.next().await, event);
        }
    }

    #[allow(unsafe_code)]
    fn raise(signal: libc::c_int) {
        // SAFETY: the signal has a handler of tokio's by now; no memory is involved.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
    }
}
