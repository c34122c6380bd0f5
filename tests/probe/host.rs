//! What the host does to a connect: its firewall, its routes, its lack of IPv6 or of open files. Each is seen by a second
//! run of this program, in a namespace or with few open files.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use tidegate::probe::{Plan, probe};

use crate::netns::Netns;

/// Names the addresses that the second run looks at.
const LOOK_AT: &str = "TIDEGATE_TEST_PROBE";
/// Makes it open all the files that it may first.
const EXHAUST: &str = "TIDEGATE_TEST_EXHAUST";

/// Not a test of its own: what the second runs do.
#[tokio::test]
async fn look() {
    let Ok(addrs) = std::env::var(LOOK_AT) else {
        return;
    };
    let mut files = Vec::new();
    if std::env::var_os(EXHAUST).is_some() {
        while let Ok(file) = std::fs::File::open("/dev/null") {
            files.push(file);
        }
    }
    let plan = Plan {
        connect: Duration::from_millis(300),
        ..Plan::default()
    };
    let mut said = String::new();
    for addr in addrs.split(' ') {
        let addr: SocketAddr = addr.parse().unwrap();
        let seen = probe(&addr.into(), &plan).await;
        said += &format!("{addr} is {:?}\n", seen.connect);
    }
    std::io::Write::write_all(&mut std::io::stdout(), said.as_bytes()).unwrap();
}

/// What the second run says of these addresses.
fn looked(mut command: Command, addrs: &str) -> String {
    let args = ["--exact", "host::look", "--nocapture"];
    let ran: Output = command.args(args).env(LOOK_AT, addrs).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}");
    said
}

fn this_program() -> String {
    let path = std::env::current_exe().unwrap();
    path.into_os_string().into_string().unwrap()
}

#[track_caller]
fn says(said: &str, line: &str) {
    assert!(said.contains(line), "{line:?} is not in {said}");
}

#[test]
fn firewalls_and_routes_have_their_own_words() {
    let Some(host) = Netns::or_skip("firewalls_and_routes_have_their_own_words") else {
        return;
    };
    for (port, how) in [
        (81, "DROP"),
        (82, "REJECT --reject-with icmp-admin-prohibited"),
        (83, "REJECT --reject-with icmp-net-unreachable"),
        (84, "REJECT --reject-with tcp-reset"),
    ] {
        let rule = format!("iptables -A INPUT -p tcp --dport {port} -j {how}");
        host.run(&rule);
    }
    host.run("ip route add prohibit 10.1.0.0/16 && ip route add unreachable 10.2.0.0/16");
    let addrs = "127.0.0.1:80 127.0.0.1:81 127.0.0.1:82 127.0.0.1:83 127.0.0.1:84 10.0.0.1:80 10.1.0.1:80 10.2.0.1:80 [fd00::1]:80";
    let said = looked(host.command(&this_program()), addrs);
    says(&said, "127.0.0.1:80 is Refused(");
    says(&said, "127.0.0.1:81 is TimedOut(300ms)");
    says(
        &said,
        "127.0.0.1:82 is Unreachable(\"No route to host (os error 113)\")",
    );
    says(
        &said,
        "127.0.0.1:83 is Unreachable(\"Network is unreachable (os error 101)\")",
    );
    says(&said, "127.0.0.1:84 is Refused(");
    says(
        &said,
        "10.0.0.1:80 is Unreachable(\"Network is unreachable (os error 101)\")",
    );
    says(
        &said,
        "10.1.0.1:80 is Unreachable(\"Permission denied (os error 13)\")",
    );
    says(
        &said,
        "10.2.0.1:80 is Unreachable(\"No route to host (os error 113)\")",
    );
    says(&said, "[fd00::1]:80 is Unreachable(");
}

#[test]
fn a_host_without_ipv6_has_no_way_and_lacks_no_port() {
    let Some(host) = Netns::or_skip("a_host_without_ipv6_has_no_way_and_lacks_no_port") else {
        return;
    };
    host.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1");
    let said = looked(host.command(&this_program()), "[::1]:80 [2001:db8::1]:80");
    says(&said, "[::1]:80 is Unreachable(");
    says(&said, "[2001:db8::1]:80 is Unreachable(");
}

#[test]
fn a_host_out_of_open_files_accuses_nobody() {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\"", &this_program()]);
    let said = looked(with_exhaustion(shell), "127.0.0.1:80");
    says(
        &said,
        "127.0.0.1:80 is Ours(\"Too many open files (os error 24)\")",
    );
}

fn with_exhaustion(mut command: Command) -> Command {
    command.env(EXHAUST, "1");
    command
}
