//! Starts real etcd processes on free loopback ports, and ends them with the test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity, PutOptions, TlsOptions};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take before a test is given up: far longer than it needs.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Certificates of one authority: for the server (127.0.0.1 and `etcd.test`) and for a client.
pub struct Tls {
    folder: TempDir,
    pub client_required: bool,
}

impl Tls {
    pub fn new(client_required: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tls = Tls {
            folder,
            client_required,
        };
        tls.make();
        tls
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self) {
        let new_key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ];
        self.openssl(
            &[
                &[
                    "req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca",
                ][..],
                &new_key,
            ]
            .concat(),
        );
        let names = "subjectAltName=IP:127.0.0.1,DNS:etcd.test";
        for (name, usage) in [
            ("server", "serverAuth,clientAuth"),
            ("client", "clientAuth"),
        ] {
            let (key, out) = (format!("{name}.key"), format!("{name}.pem"));
            let (subject, usage) = (format!("/CN={name}"), format!("extendedKeyUsage={usage}"));
            let signed = [
                "req", "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", &key, "-out", &out,
                "-subj", &subject,
            ];
            let extensions = [
                "-addext",
                names,
                "-addext",
                &usage,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ];
            self.openssl(&[&signed[..], &new_key, &extensions].concat());
        }
    }

    fn openssl(&self, args: &[&str]) {
        let out = Command::new("openssl")
            .args(args)
            .current_dir(self.folder.path())
            .output();
        let out = out.expect("openssl is needed: apt-get install openssl");
        assert!(
            out.status.success(),
            "openssl {args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

/// One member, killed when this is dropped.
pub struct Etcd {
    child: Option<Child>,
    data: TempDir,
    port: u16,
    peer: u16,
    args: Vec<String>,
    pub tls: Option<Tls>,
    /// Whom [`Etcd::client`] signs in as.
    pub user: Option<(String, String)>,
}

impl Etcd {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    pub async fn start_with(tls: Option<Tls>) -> Self {
        let mut etcd = Self::idle(tls);
        etcd.restart().await;
        etcd
    }

    /// Listens on all addresses of this host, and advertises loopback.
    pub async fn start_everywhere() -> Self {
        let mut etcd = Self::idle(None);
        etcd.args = vec![
            format!("--listen-client-urls=http://0.0.0.0:{}", etcd.port),
            format!("--initial-cluster=default={}", etcd.peer_url()),
        ];
        etcd.restart().await;
        etcd
    }

    /// Has its ports and an empty data directory, and does not run.
    pub fn idle(tls: Option<Tls>) -> Self {
        let data = tempfile::tempdir().unwrap();
        Etcd {
            child: None,
            data,
            port: free_port(),
            peer: free_port(),
            args: Vec::new(),
            tls,
            user: None,
        }
    }

    /// Three members of one cluster, running.
    pub async fn cluster() -> [Self; 3] {
        let mut members = [Self::idle(None), Self::idle(None), Self::idle(None)];
        let named = members.iter().enumerate();
        let all: Vec<_> = named
            .map(|(at, member)| format!("m{at}={}", member.peer_url()))
            .collect();
        for (at, member) in members.iter_mut().enumerate() {
            member.args = vec![
                format!("--name=m{at}"),
                format!("--initial-cluster={}", all.join(",")),
            ];
            member.spawn();
        }
        for member in &members {
            member.ready().await;
        }
        members
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    fn peer_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.peer)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Kills it if it runs, and starts it on the same data and ports.
    pub async fn restart(&mut self) {
        self.kill();
        self.spawn();
        self.ready().await;
    }

    /// Starts without waiting.
    pub fn spawn(&mut self) {
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(self.data.path().join("data"));
        command.args([
            "--listen-client-urls",
            &self.url(),
            "--advertise-client-urls",
            &self.url(),
        ]);
        command.args([
            "--listen-peer-urls",
            &self.peer_url(),
            "--initial-advertise-peer-urls",
            &self.peer_url(),
        ]);
        command.args([
            "--log-level",
            "error",
            "--heartbeat-interval",
            "100",
            "--election-timeout",
            "1000",
        ]);
        if self.args.is_empty() {
            command.args(["--initial-cluster", &format!("default={}", self.peer_url())]);
        }
        command.args(&self.args);
        if let Some(tls) = &self.tls {
            command
                .arg("--cert-file")
                .arg(tls.path("server.pem"))
                .arg("--key-file")
                .arg(tls.path("server.key"));
            if tls.client_required {
                command
                    .arg("--client-cert-auth")
                    .arg("--trusted-ca-file")
                    .arg(tls.path("ca.pem"));
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(
            command
                .spawn()
                .expect("etcd is needed: apt-get install etcd-server etcd-client"),
        );
    }

    /// Deletes the data of a member that was killed.
    pub fn wipe(&self) {
        assert!(self.child.is_none(), "kill it first");
        std::fs::remove_dir_all(self.data.path().join("data")).unwrap();
    }

    /// Stops (`STOP`) or continues (`CONT`) the process without ending it.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    async fn ready(&self) {
        let answers = async {
            while !self.answers().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, answers)
            .await
            .expect("etcd does not start");
    }

    /// Any answer will do, also a refusal.
    async fn answers(&self) -> bool {
        let Ok(mut client) = self.try_client(None).await else {
            return false;
        };
        match client.get("ready?", None).await {
            Ok(_) => true,
            Err(Error::GRpcStatus(status)) => status.message().contains("user name is empty"),
            Err(_) => false,
        }
    }

    async fn try_client(&self, user: Option<&(String, String)>) -> Result<Client, Error> {
        let mut options = ConnectOptions::new().with_timeout(Duration::from_secs(5));
        if let Some((user, password)) = user {
            options = options.with_user(user, password);
        }
        if let Some(tls) = &self.tls {
            let pem = |name: &str| std::fs::read(tls.path(name)).unwrap();
            let identity = Identity::from_pem(pem("client.pem"), pem("client.key"));
            let ca = Certificate::from_pem(pem("ca.pem"));
            options = options.with_tls(TlsOptions::new().ca_certificate(ca).identity(identity));
        }
        Client::connect([self.url()], Some(options)).await
    }

    pub async fn client(&self) -> Client {
        self.try_client(self.user.as_ref()).await.unwrap()
    }

    /// Registers as Kitex does, without a lease.
    pub async fn register(&self, prefix: &str, service: &str, address: &str) {
        self.put(&format!("{prefix}/{service}/{address}"), &value(address))
            .await;
    }

    pub async fn put(&self, key: &str, value: &str) {
        retried(async || self.try_put(key, value, None).await).await;
    }

    async fn try_put(
        &self,
        key: &str,
        value: &str,
        options: Option<PutOptions>,
    ) -> Result<(), Error> {
        let mut client = self.try_client(self.user.as_ref()).await?;
        client.put(key, value, options).await.map(drop)
    }

    /// Registers with a lease of so many seconds that nobody renews.
    pub async fn register_for(&self, prefix: &str, service: &str, address: &str, seconds: i64) {
        let key = format!("{prefix}/{service}/{address}");
        let register = async || {
            let mut client = self.try_client(self.user.as_ref()).await?;
            let lease = client.lease_grant(seconds, None).await?.id();
            let options = PutOptions::new().with_lease(lease);
            self.try_put(&key, &value(address), Some(options)).await
        };
        retried(register).await;
    }

    pub async fn delete(&self, key: &str) {
        let delete = async || {
            let mut client = self.try_client(self.user.as_ref()).await?;
            client.delete(key, None).await.map(drop)
        };
        retried(delete).await;
    }

    /// Makes root and a user who may read `range`, and enables authentication.
    pub async fn enable_auth(&mut self, user: &str, password: &str, range: &str) {
        let mut client = self.client().await;
        client.user_add("root", "root", None).await.unwrap();
        client.user_grant_role("root", "root").await.unwrap();
        client.role_add("reader").await.unwrap();
        self.grant(range).await;
        client.user_add(user, password, None).await.unwrap();
        client.user_grant_role(user, "reader").await.unwrap();
        client.auth_enable().await.unwrap();
        self.user = Some(("root".to_owned(), "root".to_owned()));
    }

    /// Lets the reader role read a range.
    pub async fn grant(&self, range: &str) {
        let permission = etcd_client::Permission::read(range).with_prefix();
        self.client()
            .await
            .role_grant_permission("reader", permission)
            .await
            .unwrap();
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Does it again until it is done: just after a start, a cluster may be choosing its leader once more.
async fn retried(what: impl AsyncFn() -> Result<(), Error>) {
    let begun = Instant::now();
    while let Err(error) = what().await {
        assert!(begun.elapsed() < PATIENCE, "etcd does not do it: {error}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What Kitex writes for an address.
pub fn value(address: &str) -> String {
    format!(r#"{{"network":"tcp","address":"{address}","weight":10,"tags":null}}"#)
}

/// A loopback port that nobody listens on now.
pub fn free_port() -> u16 {
    scripted::free().port()
}

/// Waits until `done`, and says how long it took; fails with `what` after [`PATIENCE`].
pub async fn eventually(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        sleep(Duration::from_millis(10)).await;
    }
    begun.elapsed()
}
