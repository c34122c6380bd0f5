//! Two hosts and an etcd: the test's own namespace is the servers' host, another one, a link away, is the caller's.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use etcd_client::{Client, PutOptions};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::netns::Netns;
use crate::told::Told;

/// The servers' host, where etcd is as well.
pub const SERVER: &str = "10.77.0.1";
/// The caller's host, from which the doctor looks.
pub const CALLER: &str = "10.77.0.2";
/// etcd, as the caller reaches it.
pub const ETCD: &str = "http://10.77.0.1:2379";
/// Where Kitex puts its keys.
pub const PREFIX: &str = "kitex/registry-etcd";
/// Long enough for a lease that is renewed, and for one that is not to lose its half meanwhile.
pub const TTL: i64 = 24;

/// Runs a line of the shell on the servers' host.
pub fn sh(line: &str) -> String {
    let line = format!("PATH=$PATH:/usr/sbin:/sbin; {line}");
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A process that ends with this.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The two hosts.
pub struct Lab {
    caller: Netns,
    folder: TempDir,
    /// Whom the caller's host asks for names, where it was told.
    resolver: Option<String>,
    pub client: Client,
    _etcd: Running,
}

/// Gives the program a resolver of its own, in a mount namespace of its own.
const RESOLVING: &str = "mount --bind $0/resolv.conf /etc/resolv.conf && \
                         mount --bind $0/nsswitch.conf /etc/nsswitch.conf && exec \"$@\"";

impl Lab {
    /// Within a namespace already: links it with another, and starts etcd here.
    pub async fn new() -> Self {
        let caller = Netns::new().unwrap();
        let pid = caller.pid();
        sh(&format!(
            "ip link add toward type veth peer name back netns {pid}; ip addr add {SERVER}/24 dev toward; \
             ip addr add fd77::1/64 dev toward nodad; ip link set toward up"
        ));
        caller.run(&format!(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=1; ip addr add {CALLER}/24 dev back; ip link set back up"
        ));
        let folder = TempDir::new().unwrap();
        let etcd = start_etcd(&folder, "data", 2379, SERVER);
        let client = connect(2379).await;
        Self {
            caller,
            folder,
            resolver: None,
            client,
            _etcd: etcd,
        }
    }

    /// Gives the caller's host IPv6, which it lacks at first.
    pub fn give_ipv6(&self) {
        self.caller.run(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=0; ip addr add fd77::2/64 dev back nodad; \
             ip link set lo down; ip link set lo up",
        );
    }

    /// Lets the caller's host ask this one for names.
    pub fn ask_for_names(&mut self, resolver: &str) {
        let folder = self.path("names");
        std::fs::create_dir_all(&folder).unwrap();
        let asked = format!("nameserver {resolver}\n");
        std::fs::write(format!("{folder}/resolv.conf"), asked).unwrap();
        std::fs::write(format!("{folder}/nsswitch.conf"), "hosts: files dns\n").unwrap();
        self.resolver = Some(folder);
    }

    /// A command of tidegate's that will run on the caller's host.
    fn tidegate(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_tidegate");
        let Some(folder) = &self.resolver else {
            return self.caller.command(binary);
        };
        let mut command = self.caller.command("unshare");
        command.args(["-m", "sh", "-c", RESOLVING, folder, binary]);
        command
    }

    /// Runs a line of the shell on the caller's host.
    pub fn on_caller(&self, line: &str) -> String {
        self.caller.run(line)
    }

    /// A process on the caller's host.
    pub fn pid(&self) -> u32 {
        self.caller.pid()
    }

    /// A command that will run on the caller's host.
    pub fn command_on_caller(&self, program: &str) -> Command {
        self.caller.command(program)
    }

    /// A server on the caller's host that is silent, as a Thrift server is, and listens after so many milliseconds.
    pub fn silent(&self, port: &str, after: u64) -> Running {
        let mut command = self.caller.command("python3");
        let program = format!(
            "import socket, time; time.sleep({after} / 1000); at = socket.create_server(('{CALLER}', {port})); \
             time.sleep(60)"
        );
        command.args(["-c", &program]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// A file for it to read.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A path that nobody uses.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Registers as Kitex does, with a lease that is renewed as long as the lab lives.
    pub async fn register(&mut self, service: &str, address: &str) {
        self.put(service, address, &value("tcp", address, 10)).await;
    }

    /// The same with another value.
    pub async fn put(&mut self, service: &str, address: &str, value: &str) {
        let id = self.client.lease_grant(TTL, None).await.unwrap().id();
        let (mut keeper, mut answers) = self.client.lease_keep_alive(id).await.unwrap();
        tokio::spawn(async move {
            while keeper.keep_alive().await.is_ok() {
                let _ = answers.message().await;
                sleep(Duration::from_secs(TTL as u64) / 6).await;
            }
        });
        let key = format!("{PREFIX}/{service}/{address}");
        let options = PutOptions::new().with_lease(id);
        self.client.put(key, value, Some(options)).await.unwrap();
    }

    /// Registers with a lease that nobody renews; its id.
    pub async fn register_unrenewed(&mut self, service: &str, address: &str) -> i64 {
        let id = self.client.lease_grant(TTL, None).await.unwrap().id();
        let key = format!("{PREFIX}/{service}/{address}");
        let options = PutOptions::new().with_lease(id);
        let value = value("tcp", address, 10);
        self.client.put(key, value, Some(options)).await.unwrap();
        id
    }

    /// Waits until less than half is left of a lease that nobody renews, whichever way etcd rounds its seconds.
    pub async fn wait_for_half(&mut self, lease: i64) {
        loop {
            let left = self.client.lease_time_to_live(lease, None).await.unwrap();
            assert!(left.ttl() > 0, "the lease has ended already");
            if (left.ttl() + 1) * 2 < left.granted_ttl() {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Puts a key without a lease.
    pub async fn put_key(&mut self, key: &str, value: &str) {
        self.client.put(key, value, None).await.unwrap();
    }

    /// Asks the doctor, on the caller's host.
    pub async fn doctor(&self, args: &[&str]) -> Told {
        let all: Vec<&str> = ["--etcd", ETCD].iter().chain(args).copied().collect();
        self.doctor_with(&all).await
    }

    /// The same, told by `args` alone where to look.
    pub async fn doctor_with(&self, args: &[&str]) -> Told {
        let mut command = self.tidegate();
        command.args(["doctor", "--json"]).args(args);
        command.current_dir(self.folder.path());
        Told::of(&output(command).await)
    }

    /// The doctor's words for people, and its exit code.
    pub async fn doctor_says(&self, args: &[&str]) -> (String, i32) {
        let mut command = self.tidegate();
        command.args(["doctor", "--etcd", ETCD]).args(args);
        command.env("LC_ALL", "C.UTF-8");
        let output = output(command).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (said, output.status.code().unwrap())
    }
}

/// Runs it to its end while the servers of this process go on.
pub async fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    let done = tokio::task::spawn_blocking(move || command.output());
    done.await.unwrap().unwrap()
}

/// The value that Kitex writes.
pub fn value(network: &str, address: &str, weight: i32) -> String {
    format!(
        "{{\"network\":\"{network}\",\"address\":\"{address}\",\"weight\":{weight},\"tags\":null}}"
    )
}

/// An etcd on this host, at every address, that advertises one of them.
pub fn start_etcd(folder: &TempDir, name: &str, port: u16, advertised: &str) -> Running {
    let peer = format!("http://127.0.0.1:{}", port + 1);
    let mut command = Command::new("etcd");
    command.arg("--data-dir").arg(folder.path().join(name));
    command.args(["--listen-client-urls", &format!("http://0.0.0.0:{port}")]);
    command.args([
        "--advertise-client-urls",
        &format!("http://{advertised}:{port}"),
    ]);
    command.args([
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
    ]);
    command.args([
        "--initial-cluster",
        &format!("default={peer}"),
        "--log-level",
        "error",
    ]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn();
    Running(child.expect("etcd is needed: apt-get install etcd-server"))
}

/// A client to an etcd on this host, once it answers.
pub async fn connect(port: u16) -> Client {
    let url = format!("http://127.0.0.1:{port}");
    for _ in 0..600 {
        if let Ok(mut client) = Client::connect([&url], None).await
            && client.status().await.is_ok()
        {
            return client;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("etcd does not answer at {url}");
}
