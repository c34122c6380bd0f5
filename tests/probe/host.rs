//! What the host does to a connect: its firewall, its routes, its lack of IPv6 or of open files.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tidegate::probe::{Connect, Plan, probe};

use crate::netns::inside;

/// Runs a line of the shell that must succeed.
fn run(line: &str) {
    let ran = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(ran.status.success(), "{line}: {ran:?}");
}

async fn connect(addr: &str) -> Connect {
    let plan = Plan {
        connect: Duration::from_millis(300),
        ..Plan::default()
    };
    let addr: SocketAddr = addr.parse().unwrap();
    probe(&addr.into(), &plan).await.connect
}

#[test]
fn firewalls_and_routes_have_their_own_words() {
    inside(
        "host::firewalls_and_routes_have_their_own_words",
        async || {
            for (port, how) in [
                (81, "DROP"),
                (82, "REJECT --reject-with icmp-admin-prohibited"),
                (83, "REJECT --reject-with icmp-net-unreachable"),
                (84, "REJECT --reject-with tcp-reset"),
            ] {
                run(&format!("iptables -A INPUT -p tcp --dport {port} -j {how}"));
            }
            run("ip route add prohibit 10.1.0.0/16 && ip route add unreachable 10.2.0.0/16");
            for refused in ["127.0.0.1:80", "127.0.0.1:84"] {
                let seen = connect(refused).await;
                assert!(matches!(seen, Connect::Refused(_)), "{refused}: {seen:?}");
            }
            let limit = Duration::from_millis(300);
            assert_eq!(connect("127.0.0.1:81").await, Connect::TimedOut(limit));
            for (addr, words) in [
                ("127.0.0.1:82", "No route to host (os error 113)"),
                ("127.0.0.1:83", "Network is unreachable (os error 101)"),
                ("10.0.0.1:80", "Network is unreachable (os error 101)"),
                ("10.1.0.1:80", "Permission denied (os error 13)"),
                ("10.2.0.1:80", "No route to host (os error 113)"),
            ] {
                let expected = Connect::Unreachable(words.into());
                assert_eq!(connect(addr).await, expected, "{addr}");
            }
        },
    );
}

#[test]
fn a_host_without_ipv6_has_no_way_and_lacks_no_port() {
    inside(
        "host::a_host_without_ipv6_has_no_way_and_lacks_no_port",
        async || {
            run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1");
            for addr in ["[::1]:80", "[2001:db8::1]:80"] {
                let words = "Cannot assign requested address (os error 99)";
                let expected = Connect::Unreachable(words.into());
                assert_eq!(connect(addr).await, expected, "{addr}");
            }
        },
    );
}

#[test]
fn a_host_out_of_open_files_accuses_nobody() {
    // The namespace is only for the process of its own.
    inside(
        "host::a_host_out_of_open_files_accuses_nobody",
        async || {
            run(&format!(
                "prlimit --pid {} --nofile=64:64",
                std::process::id()
            ));
            let mut files = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                files.push(file);
            }
            let expected = Connect::Ours("Too many open files (os error 24)".into());
            assert_eq!(connect("127.0.0.1:80").await, expected);
        },
    );
}
