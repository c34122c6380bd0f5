//! Instances that are processes of their own, so that they can be killed: this test binary, started again.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use crate::load::instance;
use crate::process::{eventually, send_signal};

const LISTEN: &str = "TIDEGATE_TEST_INSTANCE";

/// A running instance; killed when this is dropped.
pub struct Instance {
    child: Child,
    pub address: SocketAddr,
}

impl Instance {
    /// Starts one there, and waits until it listens.
    pub fn start(address: SocketAddr) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "instance::a_process_of_its_own_where_told_so"]);
        command.env(LISTEN, address.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().unwrap();
        eventually("the instance listens", || {
            TcpStream::connect(address).is_ok()
        });
        Self { child, address }
    }

    /// SIGKILL; returns when all its connections are closed.
    pub fn kill(&mut self) {
        send_signal(self.child.id(), "KILL");
        self.child.wait().unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No test: what [`Instance::start`] runs. It ends with whoever started it.
#[test]
fn a_process_of_its_own_where_told_so() {
    let Ok(listen) = std::env::var(LISTEN) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(instance().listen(listen.parse().unwrap()).start());
    let server = server.unwrap();
    std::thread::spawn(|| {
        // Nothing is ever written there: it ends when the other end is gone.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    runtime.block_on(std::future::pending::<()>());
    drop(server);
}
