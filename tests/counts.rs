//! What a call costs, as counts: allocations and bytes held. Counts, not times.
//!
//! A test binary of its own, since its allocator and the account of held bytes are the process's: one test at a time.
#![allow(clippy::unwrap_used)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use scripted::{Act, Answer, Framing, Header, Server, body};
use support::proxy::{Proxy, Setup, eventually, metric, soon};
use tokio::sync::{Mutex, MutexGuard};

/// Counts what the threads that carry calls allocate.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static WORKER: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Whether this is a thread that carries calls. Asking for its name may allocate: not a second time, then.
fn is_worker() -> bool {
    WORKER
        .try_with(|worker| match worker.get() {
            Some(is) => is,
            None => {
                worker.set(Some(false));
                let is = std::thread::current().name() == Some("tidegate-worker");
                worker.set(Some(is));
                is
            }
        })
        .unwrap_or(false)
}

fn count(allocations: u64, bytes: i64) {
    if is_worker() {
        ALLOCATIONS.fetch_add(allocations, Relaxed);
        let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
        PEAK.fetch_max(live, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came; the counting beside it touches no memory of theirs.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: as for the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: as for the caller.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as for the caller.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// One test at a time; nothing is held when it begins.
async fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::const_new(());
    let one = ONE.lock().await;
    eventually("nothing is held", || tidegate::buffer::used() == 0).await;
    one
}

#[tokio::test]
async fn a_call_costs_one_allocation() {
    let _alone = alone().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("allocations", &[server.address()]).start();
    for framing in Framing::ALL {
        for len in [10, 256, 4_000, 15_000] {
            let header = match framing.has_header() {
                true => Header::default()
                    .int(12, "10000")
                    .string("isn", "EchoService"),
                false => Header::default(),
            };
            let mut caller = proxy.caller_with(framing, header).await;
            let text = "a".repeat(len);
            for _ in 0..100 {
                caller.echo(&text).await;
            }
            let before = ALLOCATIONS.load(Relaxed);
            for _ in 0..500 {
                caller.echo(&text).await;
            }
            let per_call = (ALLOCATIONS.load(Relaxed) - before) as f64 / 500.0;
            assert!(
                per_call <= 1.05,
                "{framing:?}, {len} bytes: {per_call} allocations a call"
            );
        }
    }
}

#[tokio::test]
async fn a_call_through_a_lane_to_a_preferred_instance_by_its_key_costs_no_more() {
    let _alone = alone().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let beside = Server::start(Act::Echo).await.unwrap();
    let elsewhere = Server::start(Act::Echo).await.unwrap();
    let (at, second, other) = (server.address(), beside.address(), elsewhere.address());
    let service = format!(
        "[[service]]\nname = \"lane\"\nendpoints = [\"{other}\", \
         {{ address = \"{at}\", tags = {{ env = \"alice\", idc = \"a\", zone = \"z\" }} }}, \
         {{ address = \"{second}\", tags = {{ env = \"alice\", idc = \"a\" }} }}]\n\
         balance = \"consistent_hash\"\nhash_key = [\"raw_ring_hash_key\", \"source\"]\n\
         prefer = [\"zone=z\"]\n\
         [[service.lane]]\nwhen = {{ env = \"bob\", source = \"127.*\" }}\nuse = {{ env = \"bob\" }}\n\
         [[service.lane]]\nwhen = {{ env = \"*\", source = \"127.*\" }}\n\
         use = {{ env = \"{{env}}\", idc = \"{{RPC_PERSIST_IDC}}\" }}\nfallback = false\n"
    );
    let proxy = Setup::new("lane", &[]).more(&service).start();
    let header = Header::default()
        .int(10, "alice")
        .string("RPC_PERSIST_IDC", "a");
    let mut caller = proxy.caller_with(Framing::TtHeader, header).await;
    for _ in 0..100 {
        caller.echo("x").await;
    }
    let before = ALLOCATIONS.load(Relaxed);
    for _ in 0..500 {
        caller.echo("x").await;
    }
    let per_call = (ALLOCATIONS.load(Relaxed) - before) as f64 / 500.0;
    assert!(per_call <= 1.05, "{per_call} allocations a call");
    assert_eq!(server.calls(), 600);
}

/// The most bytes that were held at once, of which the account says so, while this ran.
async fn most_held(what: impl Future<Output = ()>) -> usize {
    let done = AtomicBool::new(false);
    let watch = async {
        let mut most = 0;
        while !done.load(Relaxed) {
            most = most.max(tidegate::buffer::used());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        most
    };
    let run = async {
        what.await;
        done.store(true, Relaxed);
    };
    soon(async { tokio::join!(watch, run) }).await.0
}

#[tokio::test]
async fn large_calls_and_replies_stream_through_bounded_memory() {
    const MIB: usize = 1 << 20;
    let _alone = alone().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = Setup::new("streams", &[server.address()]).start();
    for framing in Framing::ALL {
        let mut caller = proxy.caller(framing).await;
        caller.echo("warm").await;
        let (text, start) = ("s".repeat(15 * MIB), LIVE.load(Relaxed));
        PEAK.store(start, Relaxed);
        let held = most_held(caller.echo(&text)).await;
        let peak = PEAK.load(Relaxed) - start;
        assert!(held <= 3 * MIB, "{framing:?}: {held} bytes held");
        assert!(
            peak <= 4 * MIB as i64,
            "{framing:?}: {peak} bytes allocated at once"
        );
        eventually("all given back", || tidegate::buffer::used() == 0).await;
    }
}

#[tokio::test]
async fn replies_of_mux_callers_that_are_still_coming_are_in_the_account() {
    let _alone = alone().await;
    // Each reply is held whole; it comes to 3 MiB and stops in its midst.
    let server = Server::start(Act::HalfSilence).await.unwrap();
    let proxy = Setup::new("mux-held", &[server.address()])
        .policy("read_deadline = \"1s\"")
        .start();
    let header = Header::default().out_of_order();
    let mut caller = proxy.caller_with(Framing::TtHeader, header).await;
    let call = caller.0.next("Echo", body::text(1, &"m".repeat(1_000_000)));
    let held = most_held(async {
        caller.0.send(&call).await.unwrap();
        assert!(caller.next().await.unwrap().is_some());
    })
    .await;
    assert!(
        held >= 1_400_000,
        "the call and half of its reply, not {held} bytes"
    );
    eventually("all given back", || tidegate::buffer::used() == 0).await;
}

fn small(name: &'static str, server: &Server) -> Proxy {
    Setup::new(name, &[server.address()])
        .runtime("max_frame = \"1MiB\"\nhold = \"1MiB\"\nmax_buffered = \"1MiB\"")
        .start()
}

#[tokio::test]
async fn beyond_max_buffered_the_newest_frame_is_answered_overloaded() {
    let _alone = alone().await;
    let server = Server::start(Act::Echo).await.unwrap();
    let proxy = small("overfull", &server);
    let mut first = proxy.caller(Framing::Framed).await;
    let call = first.0.next("Echo", body::text(1, &"1".repeat(900_000)));
    let bytes = call.encode();
    first.0.send_bytes(&bytes[..700_000]).await.unwrap();
    eventually("held", || tidegate::buffer::used() >= 600_000).await;

    let mut second = proxy.caller(Framing::TtHeaderFramed).await;
    let large = second.0.next("Echo", body::text(1, &"2".repeat(500_000)));
    let _ = second.0.send(&large).await;
    let answer = second.next().await.unwrap().unwrap();
    let Answer::Exception(6, said) = Answer::of(&answer).unwrap() else {
        panic!("{answer:?}")
    };
    assert!(
        said.starts_with("tidegate: overloaded") && said.contains("max_buffered"),
        "{said}"
    );
    second.ends().await;
    assert_eq!(proxy.unrouted("overloaded"), 1);
    let refused = [("service", "overfull"), ("limit", "buffered")];
    assert_eq!(metric("tidegate_refused_total", &refused), 1);

    // Small calls, and the one that came first, go on.
    proxy.still_serves().await;
    first.0.send_bytes(&bytes[700_000..]).await.unwrap();
    drop(second);
    let answer = first.next().await.unwrap().unwrap();
    assert_eq!(answer.seqid, call.seqid);
    eventually("all given back", || tidegate::buffer::used() == 0).await;
}

#[tokio::test]
async fn a_reply_for_which_there_is_no_room_is_answered_overloaded() {
    let _alone = alone().await;
    let server = Server::start(Act::Big(900_000)).await.unwrap();
    let proxy = small("no-room", &server);
    let mut first = proxy.caller(Framing::Framed).await;
    let half = first
        .0
        .next("Echo", body::text(1, &"1".repeat(700_000)))
        .encode();
    first.0.send_bytes(&half[..600_000]).await.unwrap();
    eventually("held", || tidegate::buffer::used() >= 500_000).await;
    let mut second = proxy.caller(Framing::Buffered).await;
    let said = second.fails("x").await;
    assert!(
        said.starts_with("tidegate: overloaded") && said.contains("max_buffered"),
        "{said}"
    );
    proxy.counted("overloaded", 1).await;
    drop(first);
    eventually("all given back", || tidegate::buffer::used() == 0).await;
}
