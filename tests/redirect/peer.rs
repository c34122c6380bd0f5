//! A process of the namespace's own: this test binary once more, told by the environment what to be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::netns::Netns;

const ROLE: &str = "TIDEGATE_TEST_PEER";
/// Stands before what it says, since the harness prints as well.
const SAYS: &str = "peer: ";
const PATIENCE: Duration = Duration::from_secs(20);

/// No test: what a process that [`Peer::start`] started does.
#[test]
fn peer() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let words: Vec<_> = role.split(' ').collect();
    match words.as_slice() {
        ["listen", ports @ ..] => listen(ports),
        ["dial", at, mark] => dial(at.parse().unwrap(), mark.parse().unwrap()),
        _ => panic!("{role}"),
    }
}

/// Tells each caller at which port it arrived and where it wanted to go, then echoes.
fn listen(ports: &[&str]) {
    for port in ports {
        let listener = TcpListener::bind(format!("[::]:{port}")).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || serve(stream.unwrap()));
            }
        });
    }
    say("ready");
    // Until the test ends.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn serve(mut stream: TcpStream) {
    let arrived = stream.local_addr().unwrap().port();
    let original = tidegate::platform::original_dst(&stream);
    let wanted = original.map_or_else(|| "?".into(), |it| it.to_string());
    let _ = writeln!(stream, "at {arrived} for {wanted}");
    let mut reader = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut reader, &mut stream);
}

/// Says what it is told at once, and what becomes of each line that it is given.
fn dial(at: SocketAddr, mark: u32) {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None).unwrap();
    if mark > 0 {
        socket.set_mark(mark).unwrap();
    }
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    if let Err(error) = socket.connect_timeout(&at.into(), PATIENCE) {
        return say(&error.to_string());
    }
    let mut stream = TcpStream::from(socket);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut answer = move || {
        let mut line = String::new();
        let read = reader.read_line(&mut line);
        read.map_or_else(|error| error.to_string(), |_| line.trim().to_owned())
    };
    say(&answer());
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match writeln!(stream, "{line}") {
            Ok(()) => say(&answer()),
            Err(error) => say(&error.to_string()),
        }
    }
}

fn say(text: &str) {
    println!("\n{SAYS}{text}");
}

/// Such a process. It is killed when this is dropped.
pub struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Peer {
    /// Listens on these ports, on every address.
    pub fn listen(netns: &Netns, ports: &str) -> Self {
        let mut peer = Self::start(netns, &format!("listen {ports}"));
        assert_eq!(peer.says(), "ready");
        peer
    }

    /// Dials, with a mark unless it is 0.
    pub fn dial(netns: &Netns, at: &str, mark: u32) -> Self {
        Self::start(netns, &format!("dial {at} {mark}"))
    }

    fn start(netns: &Netns, role: &str) -> Self {
        let binary = std::env::current_exe().unwrap();
        let mut child = netns
            .command(binary.to_str().unwrap())
            .args(["--exact", "peer::peer", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            stdout,
        }
    }

    /// The next thing it says; nothing after its end.
    pub fn says(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            if self.stdout.read_line(&mut line).unwrap() == 0 {
                return String::new();
            }
            if let Some(said) = line.strip_prefix(SAYS) {
                return said.trim().to_owned();
            }
        }
    }

    /// Sends a line over its connection; what comes back.
    pub fn echo(&mut self, line: &str) -> String {
        writeln!(self.stdin.as_ref().unwrap(), "{line}").unwrap();
        self.says()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
