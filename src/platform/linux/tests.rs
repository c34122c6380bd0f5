#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use super::listeners::{find_listener, parse_local};
use super::process::{Stat, boot_time};
use crate::platform;

#[test]
fn acknowledged_bytes_advance_once_the_peers_host_has_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    let before = platform::tcp_stats(&ours).unwrap();
    ours.write_all(&[0; 1000]).unwrap();
    // Its host has them once they can be read.
    std::io::Read::read_exact(&mut &theirs, &mut [0; 1000]).unwrap();
    let acked = (0..1000).any(|_| {
        std::thread::yield_now();
        platform::tcp_stats(&ours).unwrap().bytes_acked == before.bytes_acked + 1000
    });
    assert!(acked);
    let after = platform::tcp_stats(&ours).unwrap();
    assert_eq!(
        after.bytes_sent - after.bytes_retransmitted,
        before.bytes_sent + 1000
    );
}

#[test]
fn a_unix_socket_has_no_tcp_stats() {
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(platform::tcp_stats(&ours), None);
}

#[test]
fn a_connection_that_was_not_redirected_has_no_original_destination_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _ours = TcpStream::connect(address).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    // With connection tracking loaded the kernel names the listener itself.
    assert!(platform::original_dst(&theirs).is_none_or(|original| original == address));
}

#[test]
fn the_listener_in_the_way_is_named_with_its_pid() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let who = platform::who_listens(listener.local_addr().unwrap()).unwrap();
    assert!(
        who.contains(&format!("(pid {})", std::process::id())),
        "{who}"
    );
}

#[test]
fn nobody_is_named_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(platform::who_listens(free), None);
}

#[test]
fn a_wildcard_listener_stands_in_the_way_of_every_address() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 00000000:46A2 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0\n\
        1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 7 1 0\n";
    let found = find_listener(table, "10.0.0.1:18082".parse().unwrap()).unwrap();
    assert_eq!((found.uid, found.inode), (1000, 4242));
    let connected = find_listener(table, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(connected, None, "a connection is no listener");
}

#[test]
#[cfg(target_endian = "little")]
fn the_kernels_words_are_read_as_addresses() {
    let parse = |text| parse_local(text).map(|addr| addr.to_string());
    assert_eq!(parse("0100007F:46A2").as_deref(), Some("127.0.0.1:18082"));
    assert_eq!(
        parse("B80D0120000000000000000001000000:0050").as_deref(),
        Some("[2001:db8::1]:80"),
    );
    assert_eq!(
        parse("0000000000000000FFFF00000100007F:0050").as_deref(),
        Some("127.0.0.1:80")
    );
    assert_eq!(
        parse("B80D012000000000000000000100000:0050"),
        None,
        "one digit short"
    );
    assert_eq!(parse("0100007G:0050"), None);
}

#[test]
fn a_program_name_with_parentheses_does_not_shift_the_fields() {
    let text = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 3 0 900 4096 25 18446744073709551615 1 1";
    let stat = Stat::parse(text).unwrap();
    let expected = Stat {
        cpu_ticks: 12,
        threads: 3,
        start_ticks: 900,
        virtual_bytes: 4096,
        resident_pages: 25,
    };
    assert_eq!(stat, expected);
    assert_eq!(Stat::parse("42 (a) S 1"), None);
}

#[test]
fn the_boot_time_is_found_among_other_lines() {
    assert_eq!(
        boot_time("cpu 1 2 3\nbtime 1700000000\nprocesses 5\n"),
        Some(1_700_000_000)
    );
    assert_eq!(boot_time("cpu 1 2 3\n"), None);
}

#[test]
fn the_process_is_described_by_plausible_figures() {
    let stats = platform::process_stats().unwrap();
    assert!(stats.resident_bytes > 0 && stats.resident_bytes < stats.virtual_bytes);
    assert!(stats.open_fds >= 3 && stats.open_fds <= stats.max_fds);
    assert!(stats.threads >= 1);
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs_f64();
    // The boot time is whole seconds, and clocks are set: a minute of slack.
    assert!(stats.start_time_seconds > 1e9 && stats.start_time_seconds < now + 60.0);
}

#[test]
fn open_connections_at_a_port_are_counted_and_listeners_are_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    assert_eq!(platform::connections_at(at.port()), 0);
    let client = TcpStream::connect(at).unwrap();
    let (server, _) = listener.accept().unwrap();
    assert_eq!(platform::connections_at(at.port()), 1);
    drop((client, server));
    assert_eq!(platform::connections_at(at.port()), 0);
}

#[test]
fn a_connection_counts_while_a_process_has_it() {
    let row = |state: &str, inode: &str| {
        format!(
            "   0: 0100007F:3A99 0100007F:D431 {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1\n"
        )
    };
    let table = |state: &str, inode: &str| format!("  sl  local_address\n{}", row(state, inode));
    let cases = [
        ("01", "71", 1),
        ("08", "71", 1),
        ("05", "71", 1),
        ("05", "0", 0),
        ("04", "0", 0),
        ("06", "0", 0),
        ("0A", "71", 0),
    ];
    for (state, inode, open) in cases {
        let counted = super::listeners::count_open(&table(state, inode), 15001);
        assert_eq!(counted, open, "state {state}, inode {inode}");
    }
    assert_eq!(super::listeners::count_open(&table("01", "71"), 15002), 0);
}
