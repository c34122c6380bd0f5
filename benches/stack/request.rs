//! The request that is sent again and again, and the service that it is sent to.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tidegate::buffer::{Buf, Held};
use tidegate::call::{Aim, Status, Target};
use tidegate::cluster::{Cluster, Dial};
use tidegate::config::Policy;
use tidegate::endpoint::Tags;
use tidegate::frame::{Decoder, Limits, Progress, Side};
use tidegate::metrics::CallCounters;
use tidegate::rate::Rates;
use tidegate::rpc::Request;
use tidegate::upstream::connect::connect;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// With one endpoint there would be nothing to pick.
const ENDPOINTS: usize = 3;

/// A service of some endpoints, with one pooled connection to each.
pub(crate) async fn target(now: Instant) -> Target {
    let service = Arc::new(Policy::default());
    let cluster = Cluster::new("bench", service.clone(), Handle::current(), false);
    let mut dials = Vec::new();
    let mut conns = Vec::new();
    for _ in 0..ENDPOINTS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, weight, revision) = (listener.local_addr().unwrap(), 1, 1);
        conns.push(connect(&addr.into(), Duration::from_secs(1)).await.unwrap());
        dials.push(Dial {
            addr: addr.into(),
            weight,
            revision,
            tags: Tags::default(),
            here: true,
            origin: Arc::default(),
        });
        // Listens to the end of the process, and need not accept: no byte is ever sent.
        std::mem::forget(listener);
    }
    // A slot of its own, and with it a breaker.
    cluster.methods.adopt(b"echo");
    cluster.apply(dials, tidegate::cluster::Knowledge::Read(None));
    for (member, conn) in cluster.set().all.iter().zip(conns) {
        member.endpoint.pool.put(conn, now, service.max_idle);
    }
    Arc::new(Aim {
        chosen: None,
        method: cluster.methods.find(b"echo"),
        policy: service.call.clone(),
        rates: Rates::default(),
        counters: Arc::new(CallCounters::new("bench", "bench", "echo")),
        service,
        cluster,
    })
}

/// The first call of a capture.
pub(crate) fn captured(name: &str, target: Target, now: Instant) -> Arc<Request> {
    let root = env!("CARGO_MANIFEST_DIR");
    let bytes = std::fs::read(format!("{root}/tests/golden/{name}.req.bin")).unwrap();
    let limits = Limits::default();
    let Ok(Progress::Whole { head, len }) = Decoder::new(limits, Side::Calls).decode(&bytes) else {
        panic!("{name}")
    };
    Arc::new(Request {
        target,
        head,
        frame: Buf::from(&bytes[..len]),
        upload: None,
        whole_reply: false,
        arrived: now,
        source: None,
        status: Status::default(),
        held: Held::default(),
        limits: (1 << 20, 1 << 24),
    })
}
