//! What the stack costs per call: `cargo bench --bench stack`. Time and allocations; nothing is asserted here.
//!
//! `stacked` sends a call down the whole stack. Its leaf stands where the exchange stands, gives the connection back
//! to its pool and answers at once. `by_hand` is the baseline: the same leaf, called with a place and a pooled
//! connection that were taken without asking anybody. What lies between the two is what the layers cost.
//!
//! The constant says at which poll the leaf answers. At the second it is as in life, where the reply comes later: the
//! attempt looks at its clocks in between.
//!
//! Each call is polled to its end in one task of a runtime of one thread, as a client connection's task does; reading
//! the clock, making the request and recording its end are the session's, and are not in these figures.
#![allow(missing_docs, clippy::unwrap_used)]

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use tidegate::buffer::{Buf, Held};
use tidegate::call::{Course, Try};
use tidegate::outcome::{End, Failed, Outcome};
use tidegate::recorder::{Recorder, Timeline};
use tidegate::rpc::{Reply, RpcCall};
use tidegate::stack::{alarm::Alarm, stack};
use tokio::runtime;
use tokio::time::Instant;
use tower::{Service, service_fn};

mod request;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

/// One that states no deadline, and one that does.
const CALLS: [&str; 2] = ["framed-call", "ttheader-timeout"];
const POLLS: [u32; 2] = [1, 2];

fn main() {
    divan::main();
}

#[divan::bench(consts = POLLS, args = CALLS, min_time = 1, sample_size = 500)]
fn by_hand<const POLLS: u32>(bencher: Bencher<'_, '_>, name: &str) {
    let mut leaf = service_fn(leaf::<POLLS>);
    measure(bencher, name, |call| leaf.call(taken_by_hand(call)));
}

#[divan::bench(consts = POLLS, args = CALLS, min_time = 1, sample_size = 500)]
fn stacked<const POLLS: u32>(bencher: Bencher<'_, '_>, name: &str) {
    let mut stack = stack(service_fn(leaf::<POLLS>), Alarm::default());
    measure(bencher, name, |call| stack.call(call));
}

/// What the flight recorder takes of an ordinary call, by itself: marks for it, and whether it is slow, asked twice.
#[divan::bench(min_time = 1, sample_size = 5000)]
fn marks(bencher: Bencher<'_, '_>) {
    let recorder = Recorder::default();
    bencher.bench_local(|| {
        let (timeline, since) = (Timeline::default(), black_box(Duration::ZERO));
        timeline.received(since);
        timeline.begin(since);
        timeline.answered(Outcome::Ok, since);
        assert!(!recorder.is_slow(black_box(since)) && !recorder.is_slow(since));
        timeline
    });
}

/// Answers at this poll, and gives the connection back.
async fn leaf<const POLLS: u32>(tried: Try<RpcCall>) -> Result<Reply, Failed> {
    let mut left = POLLS;
    poll_fn(|_| {
        left -= 1;
        if left == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    let (target, at) = (&tried.call.request.target, tried.call.course.now);
    tried
        .endpoint
        .pool
        .put(tried.conn, at, target.service.max_idle);
    Ok(Reply {
        head: None,
        frame: Buf::default(),
        body: None,
        end: End {
            outcome: Outcome::Ok,
            at,
        },
        held: Held::default(),
    })
}

/// The least that brings a call to an endpoint: a place, and a pooled connection.
fn taken_by_hand(call: RpcCall) -> Try<RpcCall> {
    let target = &call.request.target;
    let endpoint = target.cluster.set().all[0].endpoint.clone();
    let place = endpoint.place(0).unwrap();
    let taken = endpoint
        .pool
        .take(call.course.now, target.service.idle_timeout);
    Try {
        call,
        endpoint,
        place,
        conn: taken.conn.unwrap(),
    }
}

/// Measures calls of one request, each from its start to its answer.
fn measure<F>(bencher: Bencher<'_, '_>, name: &str, mut start: impl FnMut(RpcCall) -> F)
where
    F: Future<Output = Result<Reply, Failed>>,
{
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let now = Instant::now();
        let request = request::captured(name, request::target(now).await, now);
        let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
        let mut cx = Context::from_waker(&waker);
        bencher.bench_local(|| {
            let (request, course) = (request.clone(), Course::new(now));
            let call = start(black_box(RpcCall { request, course }));
            assert!(finish(&mut cx, call).is_ok());
        });
    });
}

/// Polls a call to its end, without leaving the task.
fn finish<T>(cx: &mut Context<'_>, call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    loop {
        if let Poll::Ready(result) = call.as_mut().poll(cx) {
            return result;
        }
    }
}
