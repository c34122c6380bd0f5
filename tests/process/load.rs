//! Callers that call without pause, and an instance's part in it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use scripted::{Act, Answer, Call, Client, Framing, Message, Options, body};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::process::{PATIENCE, eventually};

/// An instance's script: it echoes, after the time that the text names first (`20ms …`).
pub fn paced(call: &Call) -> Act {
    let text = body::field(&call.message.body, 1);
    let text = text.ok().flatten().and_then(|field| field.as_text());
    let pause = text.and_then(|text| text.split_once("ms")?.0.parse().ok());
    pause.map_or(Act::Echo, |ms| Act::Delay(Duration::from_millis(ms)))
}

/// An instance that does so, in this process.
pub fn instance() -> Options {
    Options::script(paced)
}

/// How callers behave.
#[derive(Clone)]
pub struct Plan {
    /// How each call travels.
    pub framing: Framing,
    /// Sent by each call, and expected back.
    pub text: &'static str,
    /// A new connection for each call.
    pub fresh: bool,
    /// Between an answer and the next call.
    pub pause: Duration,
}

impl Plan {
    /// Long-lived framed connections, one call after another.
    pub fn new(text: &'static str) -> Self {
        Self {
            framing: Framing::Framed,
            text,
            fresh: false,
            pause: Duration::ZERO,
        }
    }
}

/// What became of one call.
#[derive(Debug)]
pub struct Done {
    /// Whether it was the first on its connection.
    pub is_first: bool,
    /// When it was sent.
    pub began: Instant,
    /// How long its caller waited.
    pub took: Duration,
    /// Its answer, or how its connection ended instead.
    pub result: io::Result<Answer>,
}

/// Callers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: Vec<JoinHandle<Vec<Done>>>,
    text: &'static str,
}

impl Load {
    /// So many callers, each with a connection of its own. A caller whose connection is cut, or refused, ends.
    pub fn start(callers: usize, to: SocketAddr, plan: &Plan) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let one = |_| {
            let (plan, stop, answered) = (plan.clone(), stop.clone(), answered.clone());
            tokio::spawn(async move { call_on(to, &plan, &stop, &answered).await })
        };
        Self {
            callers: (0..callers).map(one).collect(),
            text: plan.text,
            stop,
            answered,
        }
    }

    /// Waits until so many more calls were answered.
    #[track_caller]
    pub fn more(&self, calls: u64) {
        let until = self.answered.load(Relaxed) + calls;
        eventually("more answers", || self.answered.load(Relaxed) >= until);
    }

    /// Lets the calls in flight end, and returns all.
    pub async fn end(self) -> Calls {
        self.stop.store(true, Relaxed);
        let mut all = Vec::new();
        for caller in self.callers {
            let done = timeout(PATIENCE, caller).await;
            all.extend(done.expect("a caller waits for ever").unwrap());
        }
        Calls {
            all,
            text: self.text,
        }
    }
}

/// Ended calls.
pub struct Calls {
    pub all: Vec<Done>,
    text: &'static str,
}

impl Calls {
    /// How many were answered with their own text.
    pub fn echoed(&self) -> usize {
        let echo =
            |done: &&Done| matches!(&done.result, Ok(Answer::Text(text)) if text == self.text);
        self.all.iter().filter(echo).count()
    }

    /// Those answered with an exception, and what it said.
    pub fn exceptions(&self) -> Vec<(&Done, &str)> {
        let all = self.all.iter();
        all.filter_map(|done| match &done.result {
            Ok(Answer::Exception(_, said)) => Some((done, said.as_str())),
            _ => None,
        })
        .collect()
    }

    /// Those whose connection ended before their answer.
    pub fn cut(&self) -> Vec<&Done> {
        self.all
            .iter()
            .filter(|done| done.result.is_err())
            .collect()
    }

    /// The longest that a caller waited.
    pub fn longest(&self) -> Duration {
        self.all
            .iter()
            .map(|done| done.took)
            .max()
            .unwrap_or_default()
    }

    /// Every call must have been answered with its own text.
    #[track_caller]
    pub fn all_echoed(&self) {
        assert!(!self.all.is_empty());
        let odd = self
            .all
            .iter()
            .find(|done| !matches!(&done.result, Ok(Answer::Text(text)) if text == self.text));
        assert!(
            odd.is_none(),
            "of {} calls, one ended so: {odd:?}",
            self.all.len()
        );
    }
}

async fn call_on(
    to: SocketAddr,
    plan: &Plan,
    stop: &AtomicBool,
    answered: &AtomicU64,
) -> Vec<Done> {
    let mut done = Vec::new();
    let mut open = None;
    while !stop.load(Relaxed) {
        let open_one = open.take();
        let is_first = open_one.is_none();
        let mut client = match open_one {
            Some(client) => client,
            None => match Client::connect(to, plan.framing).await {
                Ok(client) => client,
                Err(_) => break,
            },
        };
        let began = Instant::now();
        let answer = timeout(PATIENCE, once(&mut client, plan.text)).await;
        let took = began.elapsed();
        let (result, leave) = match answer.expect("a call without an end") {
            Ok(message) => {
                answered.fetch_add(1, Relaxed);
                let leave = message.header.get_string("crrst").is_some();
                (Answer::of(&message), leave)
            }
            Err(error) => (Err(error), true),
        };
        let cut = result.is_err();
        done.push(Done {
            is_first,
            began,
            took,
            result,
        });
        if cut {
            break;
        }
        if !plan.fresh && !leave {
            open = Some(client);
        }
        if !plan.pause.is_zero() {
            tokio::time::sleep(plan.pause).await;
        }
    }
    done
}

async fn once(client: &mut Client, text: &str) -> io::Result<Message> {
    let call = client.next("Echo", body::text(1, text));
    client.send(&call).await?;
    let answer = client.receive().await?;
    assert_eq!(answer.seqid, call.seqid);
    Ok(answer)
}
