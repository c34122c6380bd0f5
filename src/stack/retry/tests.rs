#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::*;
use crate::call::{Aim, Attribute, Attributes, Course, Rider, Status, Target};
use crate::cluster::{Cluster, Dial};
use crate::config::{self, CallPolicy};
use crate::metrics::CallCounters;
use crate::outcome::{End, Phase};
use crate::rate::Rates;

/// A call of which all is said here.
#[derive(Clone)]
struct Told {
    facts: Arc<Facts>,
    course: Course,
}

struct Facts {
    target: Target,
    status: Status,
    arrived: Instant,
    expects_reply: bool,
    is_retry: bool,
    repeatable: bool,
}

impl Call for Told {
    type Reply = Said;
    type Shared = Arc<Facts>;

    fn shared(&self) -> &Arc<Facts> {
        &self.facts
    }
    fn course(&self) -> &Course {
        &self.course
    }
    fn course_mut(&mut self) -> &mut Course {
        &mut self.course
    }
}

impl Attributes for Arc<Facts> {
    fn attribute(&self, _: &crate::config::Key) -> Option<Attribute<'_>> {
        None
    }
}

impl Shared for Arc<Facts> {
    fn target(&self) -> &Target {
        &self.target
    }
    fn status(&self) -> &Status {
        &self.status
    }
    fn arrived(&self) -> Instant {
        self.arrived
    }
    fn stated(&self) -> Option<Duration> {
        None
    }
    fn expects_reply(&self) -> bool {
        self.expects_reply
    }
    fn is_retry(&self) -> bool {
        self.is_retry
    }
    fn repeatable(&self) -> bool {
        self.repeatable
    }
}

#[derive(Debug)]
struct Said {
    end: End,
    open: bool,
}

impl Answer for Said {
    fn end(&self) -> End {
        self.end
    }
    fn open(&self) -> bool {
        self.open
    }
    fn ride(&mut self, _: Rider) {}
}

/// A call to a service of so many endpoints with this policy.
fn call(name: &str, endpoints: u16, policy: CallPolicy) -> Told {
    let service = Arc::new(config::Policy {
        call: policy,
        ..config::Policy::default()
    });
    let cluster = Cluster::new(name, service.clone(), Handle::current(), false);
    let dial = |port| Dial {
        addr: std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
        weight: 1,
        revision: 1,
        tags: Default::default(),
        here: false,
        origin: Default::default(),
    };
    cluster.apply(
        (1..=endpoints).map(dial).collect(),
        crate::cluster::Knowledge::Read(None),
    );
    let target = Arc::new(Aim {
        chosen: None,
        method: cluster.methods.find(b"Get"),
        policy: service.call.clone(),
        rates: Rates::default(),
        counters: Arc::new(CallCounters::new(name, name, "Get")),
        service,
        cluster,
    });
    let now = Instant::now();
    Told {
        course: Course::new(now),
        facts: Arc::new(Facts {
            target,
            status: Status::default(),
            arrived: now,
            expects_reply: true,
            is_retry: false,
            repeatable: true,
        }),
    }
}

fn named(labels: &[&str]) -> CallPolicy {
    CallPolicy {
        retry_on: labels.iter().fold(Outcomes::NONE, |all, l| all.with(l)),
        ..CallPolicy::default()
    }
}

fn idempotent() -> CallPolicy {
    CallPolicy {
        idempotent: true,
        ..CallPolicy::default()
    }
}

fn failed(outcome: Outcome, reach: Reach) -> Result<Said, Failed> {
    let failed = Failed::new(outcome, Instant::now()).during(Phase::FirstByte, reach);
    Err(failed.to(1, &Arc::from("127.0.0.1:1")))
}

fn said(outcome: Outcome) -> Result<Said, Failed> {
    let at = Instant::now();
    let end = End { outcome, at };
    Ok(Said { end, open: false })
}

/// Whether the call is sent again after this.
fn goes_on(call: &mut Told, mut result: Result<Said, Failed>) -> bool {
    TryElsewhere.retry(call, &mut result).is_some()
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_follows_from_outcome_reach_and_policy() {
    use Outcome::*;
    use Reach::*;
    let (plain, same) = (CallPolicy::default, idempotent);
    let resend = || CallPolicy {
        resend_unacknowledged: true,
        ..CallPolicy::default()
    };
    for (policy, outcome, reach, again) in [
        (plain(), ConnectRefused, Unwritten, true),
        (plain(), Reset, Unwritten, true),
        (plain(), Reset, Written, false),
        (plain(), ClosedEarly, Written, false),
        (plain(), StaleConnection, Unwritten, true),
        (plain(), StaleConnection, Unacknowledged, false),
        (resend(), StaleConnection, Unacknowledged, true),
        (resend(), StaleArrived, Written, false),
        (same(), Reset, Written, true),
        (same(), StaleArrived, Written, true),
        (same(), ReadDeadline, Written, true),
        (same(), ReadDeadline, Replied, false),
        (same(), ReplyCut, Replied, false),
        (same(), BadReply, Replied, false),
        (same(), Deadline, Written, false),
        (same(), Overloaded, Unwritten, false),
        (named(&["reset"]), Reset, Written, true),
        (named(&["reset"]), ClosedEarly, Written, false),
        (named(&["closed_early"]), ClosedEarly, Written, true),
        (named(&["stale_connection"]), StaleArrived, Written, true),
        (named(&["read_deadline"]), ReadDeadline, Replied, true),
        (named(&["reply_cut"]), ReplyCut, Replied, true),
        (named(&["bad_reply"]), BadReply, Replied, true),
        (named(&["deadline"]), Deadline, Written, false),
    ] {
        let mut call = call("rows", 2, policy);
        let went = goes_on(&mut call, failed(outcome, reach));
        assert_eq!(went, again, "{outcome:?}, {reach:?}");
        assert_eq!(
            call.course.resent,
            again && reach > Unwritten,
            "{outcome:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_asked_for_again_where_the_policy_names_its_outcome() {
    use Outcome::*;
    for (label, outcome, again) in [
        ("exception", Exception, true),
        ("exception", DeclaredException, false),
        ("exception", Ok, false),
        ("business_error", DeclaredException, true),
        ("business_error", BizStatus, true),
        ("business_error", Exception, false),
    ] {
        let mut call = call("replies", 2, named(&[label]));
        call.facts.status.touches(7);
        assert_eq!(goes_on(&mut call, said(outcome)), again, "{outcome:?}");
        assert_eq!(call.course.tried.contains(7), again, "not there again");
        assert_eq!(call.course.resent, again, "it is marked");
    }
    let mut call = call("replies", 2, idempotent());
    assert!(!goes_on(&mut call, said(Exception)));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_on_its_way_to_the_caller_is_not_asked_for_again() {
    let mut call = call("open", 2, named(&["exception"]));
    let mut result = said(Outcome::Exception);
    result.as_mut().unwrap().open = true;
    assert!(!goes_on(&mut call, result));
}

#[tokio::test(start_paused = true)]
async fn neither_a_oneway_call_nor_a_retry_nor_half_a_frame_is_sent_twice() {
    let policy = || CallPolicy {
        idempotent: true,
        ..named(&["exception", "reset"])
    };
    let bad: [fn() -> Result<Said, Failed>; 2] = [
        || failed(Outcome::Reset, Reach::Written),
        || said(Outcome::Exception),
    ];
    for result in bad {
        let with = |set: fn(&mut Facts)| {
            let mut call = call("never", 2, policy());
            set(Arc::get_mut(&mut call.facts).unwrap());
            goes_on(&mut call, result())
        };
        assert!(with(|_| {}));
        assert!(!with(|facts| facts.expects_reply = false));
        assert!(!with(|facts| facts.is_retry = true));
        assert!(!with(|facts| facts.repeatable = false));
        assert!(!with(|facts| facts.status.abandon()));
    }
    let mut oneway = call("never", 2, policy());
    Arc::get_mut(&mut oneway.facts).unwrap().expects_reply = false;
    assert!(goes_on(
        &mut oneway,
        failed(Outcome::Reset, Reach::Unwritten)
    ));
}

#[tokio::test(start_paused = true)]
async fn tries_bounds_all_of_them_and_the_failure_says_which_one_it_was() {
    for (tries, policy) in [(1, idempotent()), (3, idempotent()), (6, named(&["reset"]))] {
        let mut call = call("bounds", 8, CallPolicy { tries, ..policy });
        for this in 1..=tries {
            call.facts.status.begin(Duration::ZERO);
            let mut result = failed(Outcome::Reset, Reach::Written);
            let again = TryElsewhere.retry(&mut call, &mut result).is_some();
            assert_eq!(again, this < tries);
            if !again {
                assert_eq!(result.unwrap_err().tries, (tries, tries));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_run_once_only_is_try_1_of_1() {
    let mut once = call("once", 2, CallPolicy::default());
    let mut retry = call("once", 2, idempotent());
    Arc::get_mut(&mut retry.facts).unwrap().is_retry = true;
    for call in [&mut once, &mut retry] {
        call.facts.status.begin(Duration::ZERO);
        let mut result = failed(Outcome::Reset, Reach::Written);
        assert!(TryElsewhere.retry(call, &mut result).is_none());
        assert_eq!(result.unwrap_err().tries, (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn no_try_begins_after_the_calls_deadline() {
    let mut call = call("late", 2, named(&["exception", "reset"]));
    call.course.until = Some(Instant::now());
    assert!(!goes_on(&mut call, failed(Outcome::Reset, Reach::Written)));
    assert!(!goes_on(&mut call, said(Outcome::Exception)));
}

/// The longest of many pauses drawn before each further try, with so many endpoints.
async fn longest_pauses(endpoints: u16, tries: u32) -> Vec<Duration> {
    let policy = CallPolicy {
        tries,
        retry_backoff: Duration::from_millis(10),
        ..idempotent()
    };
    let mut longest = vec![Duration::ZERO; tries as usize - 1];
    for _ in 0..300 {
        let mut call = call("pauses", endpoints, policy.clone());
        let ids = endpoint_ids(&call);
        for (nth, longest) in longest.iter_mut().enumerate() {
            let mut result = failed(Outcome::Reset, Reach::Written);
            result = result.map_err(|failed| {
                let failed =
                    Failed::new(failed.outcome, failed.at).during(Phase::FirstByte, Reach::Written);
                failed.to(ids[nth % ids.len()], &Arc::from("it"))
            });
            let began = Instant::now();
            TryElsewhere.retry(&mut call, &mut result).unwrap().await;
            *longest = began.elapsed().max(*longest);
            assert!(call.course.now >= began, "the try begins after the pause");
        }
    }
    longest
}

fn reset_by(endpoint: u32) -> Result<Said, Failed> {
    let failed = Failed::new(Outcome::Reset, Instant::now());
    let failed = failed.during(Phase::FirstByte, Reach::Written);
    Err(failed.to(endpoint, &Arc::from("it")))
}

fn endpoint_ids(call: &Told) -> Vec<u32> {
    let set = call.facts.target.cluster.set();
    set.all.iter().map(|m| m.endpoint.id).collect()
}

/// Within a tenth below, or, by the timer's millisecond, above.
fn about(pause: Duration, ms: u64) {
    let range = Duration::from_millis(ms * 9 / 10)..=Duration::from_millis(ms + 1);
    assert!(range.contains(&pause), "{pause:?}, not up to {ms} ms");
}

#[tokio::test(start_paused = true)]
async fn the_first_further_try_is_made_at_once_elsewhere_and_pauses_before_others_double() {
    let longest = longest_pauses(3, 6).await;
    assert_eq!(longest[0], Duration::ZERO);
    for (pause, ms) in longest[1..].iter().zip([10, 20, 40, 80]) {
        about(*pause, ms);
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_a_pause_before_each_further_try_at_a_lone_endpoint_ten_times_the_first_at_most() {
    let longest = longest_pauses(1, 8).await;
    for (pause, ms) in longest.iter().zip([10, 20, 40, 80, 100, 100, 100]) {
        about(*pause, ms);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_replaced_without_a_pause() {
    let policy = CallPolicy {
        resend_unacknowledged: true,
        ..CallPolicy::default()
    };
    for reach in [Reach::Unwritten, Reach::Unacknowledged] {
        let mut call = call("replaced", 1, policy.clone());
        let began = Instant::now();
        let mut result = failed(Outcome::StaleConnection, reach);
        TryElsewhere.retry(&mut call, &mut result).unwrap().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_would_pass_the_calls_deadline_is_not_made_and_nothing_is_sent() {
    let policy = CallPolicy {
        retry_backoff: Duration::from_secs(3600),
        ..idempotent()
    };
    let mut call = call("no-time", 1, policy);
    call.course.until = Some(Instant::now() + Duration::from_millis(100));
    let lone = endpoint_ids(&call)[0];
    assert!(!goes_on(&mut call, reset_by(lone)));
    assert_eq!(call.course.tried.count, 0, "its course is as it was");
}

/// A budget of `left` resends, for ever.
fn with_budget(call: &mut Told, min_per_second: u32) {
    let facts = Arc::get_mut(&mut call.facts).unwrap();
    let aim = Arc::get_mut(&mut facts.target).unwrap();
    let mut service = (*aim.service).clone();
    (
        service.retry_budget.percent,
        service.retry_budget.min_per_second,
    ) = (0, min_per_second);
    aim.service = Arc::new(service);
}

#[tokio::test(start_paused = true)]
async fn without_budget_the_failure_is_the_answer_and_says_so() {
    let mut call = call("spent", 2, idempotent());
    with_budget(&mut call, 0);
    call.facts.status.begin(Duration::ZERO);
    let failure = Failed::new(Outcome::Reset, Instant::now())
        .during(Phase::FirstByte, Reach::Written)
        .because("Connection reset by peer");
    let mut result: Result<Said, Failed> = Err(failure);
    assert!(TryElsewhere.retry(&mut call, &mut result).is_none());
    assert_eq!(
        result.unwrap_err().explain("spent", "Get"),
        "tidegate: spent closed the connection without an answer: Connection reset by peer; no retry budget left: 0 % \
         of the calls of the last 10s, and 0 a second, were sent again, try 1 of 3, phase first_byte; called Get"
    );
    let metrics = crate::metrics::render();
    let count = "tidegate_retries_total{service=\"spent\",cause=\"reset\",result=\"no_budget\"} 1";
    assert!(metrics.contains(count));
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_for_calls_that_an_endpoint_may_have_run_and_for_no_others() {
    let policy = || CallPolicy {
        resend_unacknowledged: true,
        idempotent: true,
        ..named(&["exception"])
    };
    type Ends = fn() -> Result<Said, Failed>;
    let bad: [(Ends, bool); 6] = [
        (|| failed(Outcome::ConnectRefused, Reach::Unwritten), true),
        (|| failed(Outcome::Reset, Reach::Unwritten), true),
        (
            || failed(Outcome::StaleConnection, Reach::Unacknowledged),
            true,
        ),
        (|| failed(Outcome::StaleArrived, Reach::Written), false),
        (|| failed(Outcome::ReadDeadline, Reach::Written), false),
        (|| said(Outcome::Exception), false),
    ];
    for (nth, (result, free)) in bad.into_iter().enumerate() {
        let mut call = call("paid", 2, policy());
        with_budget(&mut call, 0);
        assert_eq!(goes_on(&mut call, result()), free, "{nth}");
        let mut call = self::call("paid", 2, policy());
        with_budget(&mut call, 1);
        assert!(goes_on(&mut call, result()), "{nth}");
        let left = call
            .facts
            .target
            .cluster
            .budget
            .tokens(Instant::now(), call.facts.target.service.retry_budget);
        assert_eq!(left, if free { 10 } else { 9 }, "{nth}");
    }
}
