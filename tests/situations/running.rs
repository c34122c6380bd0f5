//! What a tidegate that runs finds by the calls that go through it, as its metrics and `/services` tell.

use std::process::Stdio;
use std::time::Duration;

use scripted::header::key::TO_SERVICE;
use scripted::{Answer, Client, Framing, Header};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::lab::{CALLER, Lab, Running, output, sh, value};
use crate::netns::inside;
use crate::servers::thrift;

/// Nothing may take longer to be found.
const PATIENCE: Duration = Duration::from_secs(100);

#[test]
fn a_healthy_instance_in_an_odd_range_is_accused_of_nothing_once_it_was_called() {
    let name =
        "running::a_healthy_instance_in_an_odd_range_is_accused_of_nothing_once_it_was_called";
    inside(name, || async {
        let mut lab = Lab::new().await;
        let mut servers = Vec::new();
        for (service, ip, weight) in [("pod", "10.244.1.5", 10), ("tailscale", "100.64.0.9", 0)] {
            sh(&format!("ip addr add {ip}/32 dev lo"));
            lab.on_caller(&format!("ip route add {ip}/32 via 10.77.0.1"));
            let address = format!("{ip}:8888");
            servers.push(thrift(&address).await);
            lab.put(service, &address, &value("tcp", &address, weight))
                .await;
        }
        // Another entry with the same address.
        lab.register("pod", "[::ffff:10.244.1.5]:8888").await;
        // One that is not dialled beside the other.
        lab.register("pod", "127.0.0.1:8890").await;
        let resolved = resolve(&lab, "pod").await;
        assert!(
            resolved.contains("R04") && !resolved.contains("! "),
            "{resolved}"
        );

        let _running = start(&lab, "").await;
        let found = until(&lab, |found| found.len() == 3).await;
        assert_eq!(found, ["pod R02 1", "pod R04 1", "tailscale R06 1"]);
        for service in ["pod", "tailscale"] {
            let answer = call(service).await;
            assert!(matches!(answer, Answer::Text(_)), "{answer:?}");
        }
        until(&lab, |found| *found == ["pod R02 1"]).await;
        let mut shown = listed(&lab).await;
        shown.sort();
        // Notes are worth knowing.
        let notes = ["10.244.1.5:8888 R11", "100.64.0.9:8888 R10"];
        assert_eq!(shown[..2], notes, "{shown:?}");
        assert!(shown[2].starts_with("127.0.0.1:8890 R02"), "{shown:?}");
        assert_eq!(shown.len(), 3, "{shown:?}");
    });
}

#[test]
fn all_that_are_far_are_told_from_silent_ones_though_few_are_looked_at_at_once() {
    let name =
        "running::all_that_are_far_are_told_from_silent_ones_though_few_are_looked_at_at_once";
    inside(name, || async {
        let mut lab = Lab::new().await;
        // Of each connect the first packet is lost, so that it takes a second.
        sh(
            "iptables -w -A INPUT -p tcp --dport 8811:8816 --syn -m hashlimit --hashlimit-name far \
            --hashlimit-mode srcip,srcport,dstip,dstport --hashlimit-upto 1/hour --hashlimit-burst 1 -j DROP",
        );
        sh("iptables -w -A INPUT -p tcp --dport 8817 -j DROP");
        let mut servers = Vec::new();
        for port in 8811..=8817 {
            let address = format!("10.77.0.1:{port}");
            servers.push(thrift(&address).await);
            lab.register("far", &address).await;
        }
        let policy = "[defaults]\nconnect_timeout = \"50ms\"\n";
        let _running = start(&lab, policy).await;
        // One attempt is a few dials; the background goes on with those that failed.
        let began = Instant::now();
        let told = ["far P02 1", "far P12 6"];
        while findings(&lab).await != told {
            assert!(began.elapsed() < PATIENCE, "{:?}", findings(&lab).await);
            call("far").await;
            sleep(Duration::from_millis(500)).await;
        }
        let log = std::fs::read_to_string(lab.path("log")).unwrap();
        let with = |code: &str| log.lines().filter(|it| it.contains(code)).count();
        assert_eq!(with("code=P12"), 6, "{log}");
        eprintln!("six far ones known after {:.1?}", began.elapsed());
    });
}

const CONFIG: &str = "[[registry]]\nname = \"main\"\nkind = \"etcd\"\nendpoints = [\"http://10.77.0.1:2379\"]\n\
     [[listener]]\nname = \"all\"\nlisten = \"10.77.0.2:18888\"\n";

/// tidegate on the caller's host, once it listens; its log is a file.
async fn start(lab: &Lab, more: &str) -> Running {
    let services = ["pod", "tailscale", "far"]
        .map(|it| format!("[[service]]\nname = \"{it}\"\nregistry = \"main\"\n"));
    let config = lab.write(
        "running.toml",
        &format!("{CONFIG}{more}{}", services.concat()),
    );
    let log = std::fs::File::create(lab.path("log")).unwrap();
    let mut command = lab.command_on_caller(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["run", "-c", &config]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let running = Running(command.spawn().unwrap());
    for _ in 0..600 {
        let at = format!("{CALLER}:18888");
        if tokio::net::TcpStream::connect(at).await.is_ok() {
            return running;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("{}", std::fs::read_to_string(lab.path("log")).unwrap());
}

async fn call(service: &str) -> Answer {
    let at = format!("{CALLER}:18888").parse().unwrap();
    let header = Header::default().int(TO_SERVICE, service);
    let mut client = Client::connect(at, Framing::TtHeaderFramed)
        .await
        .unwrap()
        .with_header(header);
    client.call("GetItem", "one").await.unwrap()
}

/// What is shown at a URL of the caller's host.
async fn get(lab: &Lab, url: &str) -> String {
    let mut command = lab.command_on_caller("curl");
    command.args(["-sS", "--max-time", "10", url]);
    String::from_utf8(output(command).await.stdout).unwrap()
}

/// `item R04 1` for each series of `tidegate_findings` that is not 0.
async fn findings(lab: &Lab) -> Vec<String> {
    let text = get(lab, "http://127.0.0.1:9901/metrics").await;
    let lines = text
        .lines()
        .filter(|it| it.starts_with("tidegate_findings{"));
    let part = |line: &str, label: &str| {
        let (_, rest) = line.split_once(&format!("{label}=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let found = lines
        .map(|it| (it, it.rsplit_once(' ').unwrap().1))
        .filter(|it| it.1 != "0");
    // Each lab registers only some of the services that are followed.
    let mut found: Vec<String> = found
        .filter(|it| part(it.0, "code") != "R13")
        .map(|(it, n)| format!("{} {} {n}", part(it, "service"), part(it, "code")))
        .collect();
    found.sort();
    found
}

async fn until(lab: &Lab, is_it: impl Fn(&Vec<String>) -> bool) -> Vec<String> {
    let began = Instant::now();
    loop {
        let found = findings(lab).await;
        if is_it(&found) {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{found:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// `127.0.0.1:8890 R02` for each finding in `/services`.
async fn listed(lab: &Lab) -> Vec<String> {
    let services: Value =
        serde_json::from_str(&get(lab, "http://127.0.0.1:9901/services").await).unwrap();
    let list = |of: &Value| of.as_array().unwrap().clone();
    let endpoints = list(&services["services"])
        .into_iter()
        .flat_map(|it| list(&it["endpoints"]));
    let findings = endpoints.flat_map(|it| {
        let address = it["registered"].as_str().unwrap().to_owned();
        list(&it["findings"])
            .into_iter()
            .map(move |it| format!("{address} {}", it["code"].as_str().unwrap()))
    });
    findings.collect()
}

async fn resolve(lab: &Lab, service: &str) -> String {
    let mut command = lab.command_on_caller(env!("CARGO_BIN_EXE_tidegate"));
    command.args(["resolve", service, "--etcd", crate::lab::ETCD]);
    String::from_utf8(output(command).await.stdout).unwrap()
}
