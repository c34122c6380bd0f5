//! What the tests of whole calls share.
#![allow(unreachable_pub)]
#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate::app::App;
use tidegate::config::Config;

/// A running proxy in this process, from a config's text; its first listener's address.
pub fn start(config: &str) -> (Arc<App>, SocketAddr) {
    let config = Config::from_str("test.toml", config).unwrap_or_else(|e| panic!("{e}"));
    let app = App::start(config).unwrap_or_else(|e| panic!("{e}"));
    let addr = app.listeners()[0].1;
    (app, addr)
}

/// A loopback port that nobody listens on.
pub fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
}

/// A config with one service `item` at these endpoints, and `policy` in its table.
pub fn item(endpoints: &[SocketAddr], policy: &str) -> String {
    let list: Vec<String> = endpoints.iter().map(|e| format!("\"{e}\"")).collect();
    format!(
        "[admin]\nlisten = \"off\"\n[[listener]]\nname = \"item\"\nlisten = \"{}\"\nservice = \"item\"\n\
         [[service]]\nname = \"item\"\nendpoints = [{}]\n{policy}\n",
        free(),
        list.join(", ")
    )
}
