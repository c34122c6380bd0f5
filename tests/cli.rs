//! The real binary: what it prints where, and its exit codes.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

/// The binary, run in a folder of its own.
struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, args: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(args.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// Runs it and asserts its exit code; stdout and stderr.
    fn exits(&self, args: &str, code: i32) -> (String, String) {
        let output = self.run(args);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args}\n{stdout}\n{stderr}"
        );
        (stdout, stderr)
    }
}

fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name);
    path.display().to_string()
}

const BROKEN: &str = "[runtime]\nworkers = 'many'\nholt = 1\n";

/// Answers one HTTP request with `answer`; the thread gives the request's head.
fn one_request<S: Read + Write>(mut stream: S, answer: &str) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(head).unwrap()
}

/// An admin address where somebody gives one answer.
fn admin(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = thread::spawn(move || one_request(listener.accept().unwrap().0, answer));
    (address, thread)
}

#[test]
fn check_prints_what_takes_effect_and_that_checks_the_same() {
    let bench = Bench::new();
    let (printed, told) = bench.exits(&format!("check -c {}", example("tidegate.toml")), 0);
    // The one thing to say is what the breakers mean.
    assert!(
        told.lines().all(|it| it.starts_with("breaker of ")),
        "{told}"
    );
    assert!(printed.contains("connect_timeout = \"1.2s\""), "{printed}");
    bench.file("printed.toml", &printed);
    let (again, _) = bench.exits("check -c printed.toml", 0);
    assert_eq!(again, printed);
}

#[test]
fn check_merges_files_left_to_right() {
    let bench = Bench::new();
    let (base, over) = (example("base.toml"), example("dev.toml"));
    let (printed, _) = bench.exits(&format!("check -c {base} -c {over}"), 0);
    assert!(printed.contains("suspicious = \"allow\""), "{printed}");
}

#[test]
fn check_prints_the_rewrite_rules_and_what_they_make_of_endpoints() {
    let bench = Bench::new();
    let text = "[[listener]]\nname = 'l'\nlisten = '127.0.0.1:18890'\nservice = 's'\n\
                [[service]]\nname = 's'\nendpoints = ['10.0.0.7:8888', '192.0.2.1:8888', 'h:1']\n";
    bench.file("base.toml", text);
    let rules = "# The office.\n[[rewrite]]\nname = 'office'\ncidr = '10.0.0.0/8'\n\
                 host = '203.0.113.7'\nport = 30080\n\
                 [[rewrite]]\naddress = '192.0.2.1:8888'\nhost = 'gw.example'\n\
                 [[rewrite]]\ncidr = '10.1.0.0/16'\nport = 1\n";
    bench.file("dev.toml", rules);
    let (printed, told) = bench.exits("check -c base.toml -c dev.toml", 0);
    let lines = [
        "endpoint of s: 10.0.0.7:8888 → 203.0.113.7:30080 (rewrite \"office\", dev.toml:2)",
        "endpoint of s: 192.0.2.1:8888 → gw.example:8888 (rewrite dev.toml:7)",
    ];
    // What `h` stands for decides over it, and nothing is resolved here.
    let said: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("endpoint"))
        .collect();
    assert_eq!(said, lines);
    assert!(
        told.starts_with(
            "warning: dev.toml:10:1: the rule never matches: the one \"office\" at dev.toml:2"
        ),
        "{told}"
    );
    assert!(printed.contains("cidr = \"10.0.0.0/8\""), "{printed}");
    bench.file("printed.toml", &printed);
    let (again, _) = bench.exits("check -c printed.toml", 0);
    assert_eq!(again, printed);
}

#[test]
fn every_example_of_an_environment_checks() {
    let bench = Bench::new();
    for name in ["dev.toml", "test.toml", "prod.toml"] {
        let (base, over) = (example("base.toml"), example(name));
        let (_, told) = bench.exits(&format!("check -c {base} -c {over}"), 0);
        assert!(!told.contains("warning"), "{told}");
    }
}

#[test]
fn check_says_everything_that_is_wrong_and_exits_1() {
    let bench = Bench::new();
    bench.file("broken.toml", BROKEN);
    let (printed, told) = bench.exits("check -c broken.toml", 1);
    assert_eq!(printed, "");
    assert!(
        told.contains("broken.toml:2:11: expected a whole number"),
        "{told}"
    );
    assert!(told.contains("broken.toml:3:1: "), "{told}");
    assert!(told.contains("did you mean `hold`?"), "{told}");
    bench.exits("check -c missing.toml", 1);
}

#[test]
fn warnings_are_told_and_fail_nothing() {
    let bench = Bench::new();
    let text = fs::read_to_string(example("minimal.toml")).unwrap();
    let odd = format!("{text}[defaults]\nread_deadline = '3s'\ndeadline = '1s'\n");
    bench.file("tidegate.toml", &odd);
    let (printed, told) = bench.exits("check", 0);
    assert!(told.starts_with("warning: tidegate.toml:"), "{told}");
    assert!(!printed.contains("warning"), "{printed}");
}

#[test]
fn check_says_what_the_breakers_mean_and_at_which_rate() {
    let bench = Bench::new();
    let text = fs::read_to_string(example("minimal.toml")).unwrap();
    let service = "[[service]]\nname = 'shop.item'\n[service.breaker]\npreset = 'kitex'\n";
    bench.file("tidegate.toml", &format!("{text}{service}"));
    let (printed, told) = bench.exits("check", 0);
    let (defaults, item) = told.trim_end().split_once('\n').unwrap();
    assert_eq!(
        defaults,
        "breaker of [defaults]: by rate it opens from 10 calls/s per method on (20 calls in 2s, half of \
         them failed); by 10 failures in a row at any rate"
    );
    assert!(
        item.ends_with("; below 20 calls/s it cannot open"),
        "{item}"
    );
    let (again, told) = bench.exits("check --rate 5", 0);
    let item = "at 5 calls/s the breaker of shop.item (kitex) cannot trip: 200 calls in 10s need 20 calls/s";
    assert!(told.lines().any(|line| line == item), "{told}");
    assert_eq!(again, printed);
    let (_, told) = bench.exits("check --rate none", 2);
    assert!(told.contains("a number above 0, such as 5"), "{told}");
}

#[test]
fn flags_alone_are_a_config() {
    let line = "check --etcd http://127.0.0.1:2379 --service shop.item --listen 127.0.0.1:18890";
    let (printed, _) = Bench::new().exits(line, 0);
    assert!(printed.contains("service = \"shop.item\""), "{printed}");
    let wrong = line.replace("127.0.0.1:18890", "localhost:18890");
    let (_, told) = Bench::new().exits(&wrong, 1);
    assert!(told.starts_with("command line:"), "{told}");
}

#[test]
fn usage_and_configs_that_cannot_be_loaded_exit_2() {
    let bench = Bench::new();
    bench.file("broken.toml", BROKEN);
    for line in [
        "",
        "fly",
        "run --wat",
        "run --service s",
        "run -c broken.toml",
        "run -c none.toml",
        "reload -c broken.toml",
        "reload --admin x",
    ] {
        let (printed, told) = bench.exits(line, 2);
        assert!(printed.is_empty() && !told.is_empty(), "{line}");
    }
    let (_, told) = bench.exits("run", 2);
    assert!(told.contains("-c FILE, or --etcd URL"), "{told}");
    bench.exits("--help", 0);
    let (printed, _) = bench.exits("--version", 0);
    assert_eq!(
        printed.trim(),
        concat!("tidegate ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_reload_asks_the_running_one_and_prints_its_answer() {
    let bench = Bench::new();
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n1 added\n";
    let (address, request) = admin(ok);
    let (printed, told) = bench.exits(&format!("reload --admin {address}"), 0);
    assert_eq!((printed.as_str(), told.as_str()), ("1 added\n", ""));
    let request = request.join().unwrap();
    assert!(
        request.starts_with("POST /reload HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains(&format!("host: {address}\r\n")),
        "{request}"
    );
}

#[test]
fn a_refusal_is_told_and_exits_1() {
    let bench = Bench::new();
    let (address, _) = admin("HTTP/1.1 422 No\r\ncontent-length: 6\r\n\r\nbroken");
    let (printed, told) = bench.exits(&format!("reload --admin {address}"), 1);
    assert_eq!((printed.as_str(), told.as_str()), ("", "broken\n"));
    let (address, _) = admin("HTTP/1.1 409 No\r\ncontent-length: 0\r\n\r\n");
    let (_, told) = bench.exits(&format!("drain --admin {address}"), 1);
    assert!(told.contains("refused: 409"), "{told}");
}

#[test]
fn nobody_there_or_somebody_else_exits_3() {
    let bench = Bench::new();
    let free = scripted::free();
    let (_, told) = bench.exits(&format!("drain --admin {free}"), 3);
    assert!(
        told.contains(&format!("nobody listens at {free}")),
        "{told}"
    );
    for answer in ["", "SSH-2.0-x\r\n"] {
        let (address, _) = admin(answer);
        let (_, told) = bench.exits(&format!("drain --admin {address}"), 3);
        assert!(
            told.contains("is it tidegate that listens there?"),
            "{told}"
        );
    }
}

#[test]
fn the_admin_address_comes_from_the_config() {
    let bench = Bench::new();
    let (address, request) = admin("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let text = fs::read_to_string(example("minimal.toml")).unwrap();
    bench.file(
        "tidegate.toml",
        &format!("{text}[admin]\nlisten = '{address}'\n"),
    );
    bench.exits("drain", 0);
    assert!(request.join().unwrap().starts_with("POST /drain "));
    bench.file("off.toml", &format!("{text}[admin]\nlisten = 'off'\n"));
    let (_, told) = bench.exits("drain -c off.toml", 2);
    assert!(told.contains("switches [admin] off"), "{told}");
}

#[test]
fn the_redirects_rules_are_printed_and_what_makes_none_exits_2() {
    let bench = Bench::new();
    for (flags, why) in [
        ("--ports 8888", "--uid, --gid or --mark"),
        ("--uid 1", "give --ports"),
        ("--uid 1 --ports 2379", "nothing is left to redirect"),
        (
            "--uid no-such-user --ports 8888",
            "there is no user `no-such-user`",
        ),
        (
            "--gid no-such-group --ports 8888",
            "there is no group `no-such-group`",
        ),
        ("--uid 1 --ports 8888,x", "`x` is no port"),
        ("--uid 1 --ports 8888 -c missing.toml", "missing.toml"),
    ] {
        let (printed, told) = bench.exits(&format!("iptables {flags}"), 2);
        assert!(printed.is_empty() && told.contains(why), "{flags}: {told}");
    }
    let (printed, told) = bench.exits("iptables --uid root --ports 2380,8888 --print --apply", 0);
    assert!(printed.contains("--uid-owner 0 -j RETURN\n"), "{printed}");
    assert!(printed.contains("--dports 8888 -j REDIRECT"), "{printed}");
    assert!(told.contains("etcd is there: port 2380"), "{told}");
}

#[test]
fn the_redirect_spares_the_ports_that_a_config_names() {
    let bench = Bench::new();
    let config = "[[registry]]\nname = 'r'\nkind = 'etcd'\nendpoints = ['http://e:9002', 'http://[::1]:9003/']\n\
                  [[listener]]\nname = 'l'\nlisten = '127.0.0.1:9005'\nservice = 's'\n\
                  [admin]\nlisten = '127.0.0.1:9006'\n[metrics]\nlisten = '0.0.0.0:9007'\n";
    bench.file("t.toml", config);
    let flags = "iptables --nft --mark 42 --ports 9000-9010 --loopback -c t.toml";
    let (printed, _) = bench.exits(flags, 0);
    let loopback = "ip daddr 127.0.0.0/8 tcp dport { 9005-9007 } return";
    assert!(printed.contains(loopback), "{printed}");
    assert!(
        printed.contains("tcp dport { 9000-9001, 9004-9010 } "),
        "{printed}"
    );
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_asked_like_an_address() {
    use std::os::unix::net::UnixListener;

    let bench = Bench::new();
    let path = bench.0.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let request = thread::spawn(move || one_request(listener.accept().unwrap().0, answer));
    let (printed, _) = bench.exits(&format!("reload --admin unix:{}", path.display()), 0);
    assert_eq!(printed, "ok\n");
    assert!(request.join().unwrap().contains("host: localhost\r\n"));
    fs::remove_file(&path).unwrap();
    bench.exits(&format!("reload --admin unix:{}", path.display()), 3);
}

#[test]
fn explain_says_cause_proof_and_remedies_in_the_language_asked_for() {
    let bench = Bench::new();
    let (said, _) = bench.exits("explain r02 P09 --lang en", 0);
    let parts = [
        "R02  a loopback address: every host that reads it finds itself\n\nProof\n",
        "\nWhat helps\n  1. Let the server listen on an address",
        "         server.WithServiceAddr(&net.TCPAddr{",
        "P09  it closes connections that are idle",
        "         resend_unacknowledged = true",
        "are to be filled in; tidegate doctor does that where it knows them.",
    ];
    for part in parts {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let (said, _) = bench.exits("explain R02 --lang zh", 0);
    assert!(said.starts_with("R02  回环地址：每台读到它的主机找到的都是自己\n"));
    let (all, _) = bench.exits("explain --lang en", 0);
    let codes = all
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    assert_eq!(codes.count(), tidegate::finding::Code::ALL.len(), "{all}");
}

#[test]
fn explain_speaks_the_locales_language() {
    let says = |set: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        for name in ["LC_ALL", "LC_MESSAGES", "LANG"] {
            command.env_remove(name);
        }
        let output = command
            .envs(set.iter().copied())
            .args(["explain", "E06"])
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    assert!(says(&[]).starts_with("E06  etcd is slow"));
    assert!(says(&[("LANG", "zh_CN.UTF-8")]).starts_with("E06  etcd 很慢"));
    assert!(
        says(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C.UTF-8")]).starts_with("E06  etcd is slow")
    );
}

#[test]
fn explain_refuses_a_code_that_is_none_and_names_the_nearest() {
    let bench = Bench::new();
    let (printed, told) = bench.exits("explain R02 R99 --lang en", 2);
    assert!(printed.is_empty());
    assert!(
        told.contains("there is no finding \"R99\", the nearest: R09, R19"),
        "{told}"
    );
}

#[test]
fn usage_errors_are_told_in_the_language_asked_for() {
    let bench = Bench::new();
    for (line, said) in [
        (
            "explain R99 --lang zh",
            "没有 \"R99\" 这个代码，最接近的是：R09, R19",
        ),
        ("doctor item --idle 6s --lang zh", "6s 不是服务"),
        ("resolve item --with bogus --lang zh", "应为 KEY=VALUE"),
        ("resolve item --with enw=a --lang zh", "是不是想写 env"),
        ("explain R99 --lang en", "there is no finding \"R99\""),
        ("resolve item --with bogus --lang en", "expected KEY=VALUE"),
    ] {
        let (_, told) = bench.exits(line, 2);
        assert!(told.contains(said), "{line}: {told}");
    }
}

#[test]
fn explain_has_a_form_for_programs() {
    let bench = Bench::new();
    let (printed, _) = bench.exits("explain R01 --json --lang en", 0);
    let said: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let finding = &said["findings"][0];
    assert_eq!(finding["code"], "R01");
    assert_eq!(finding["note"], false);
    let paste = "export KITEX_IP_TO_REGISTRY=HOST_IP\nexport KITEX_PORT_TO_REGISTRY=PORT";
    assert_eq!(finding["remedies"][0]["paste"], paste);
    let (all, _) = bench.exits("explain --json", 0);
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(
        all["findings"].as_array().unwrap().len(),
        tidegate::finding::Code::ALL.len()
    );
}
