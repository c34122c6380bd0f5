//! What is found wrong with an endpoint while calls go to it, beside what its registration says of it.
//!
//! It learns where a try or a connect has failed, and nothing where they succeed: that an endpoint answers again is seen
//! by the [upkeep](Watch::upkeep), from the instant of its last answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::idle::{Closed, Closes};
use super::{Facts, Lease, findings, means_another_host};
use crate::finding::Code;
use crate::outcome::human;
use crate::probe::{Connect, Seen};
use crate::registry::{Class, Instance, Rewritten};

mod life;
#[cfg(test)]
mod tests;

pub use life::Life;
use life::{Lives, SLOW};

/// An address is looked at once in so long a time, at most.
const PROBE_EVERY: Duration = Duration::from_secs(30);
/// A finding is told once it has stood for so long: what passes, as a restart does, is not worth a line.
const STANDS: Duration = Duration::from_secs(1);
/// An endpoint that nobody calls any more is called silent for so long.
const SILENT: Duration = Duration::from_secs(300);

/// What the registration of an endpoint says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The class that counts: of what is dialled.
    pub class: Class,
    /// Its findings, the gravest first.
    pub codes: Vec<Code>,
    /// An interface of this host is in the address's network.
    pub on_link: bool,
    /// Whoever registers here shares this host.
    pub alone: bool,
    /// It is registered no more, and kept as last resort.
    pub lost: bool,
    /// The registration.
    pub instance: Option<Arc<Instance>>,
    /// What a rule made of its address.
    pub rewritten: Option<Rewritten>,
}

impl Origin {
    /// What can be done about a finding at `addr`, which is dialled for it.
    #[must_use]
    pub fn remedy(&self, code: Code, addr: &str) -> String {
        match &self.instance {
            Some(instance) => code.remedy_of(instance, self.rewritten.as_ref()),
            None => code.remedy_at(addr, ""),
        }
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            class: Class::Public,
            codes: Vec::new(),
            on_link: false,
            alone: true,
            lost: false,
            instance: None,
            rewritten: None,
        }
    }
}

/// Something that was seen at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub code: Code,
    /// What was seen, in words.
    pub said: Box<str>,
    /// When it was first seen.
    pub since: Instant,
    /// When it was last seen.
    pub last: Instant,
    /// It stands in the log.
    told: bool,
}

/// What the log is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A finding stands.
    Stands(Finding),
    /// One that was told is gone.
    Gone(Code),
}

/// What was seen at one endpoint.
#[derive(Default)]
pub struct Watch {
    /// Whether a connect, or the upkeep, has anything to look at.
    any: AtomicBool,
    /// A connection was made to it, once at least: there is a way to where it is registered.
    worked: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    origin: Arc<Origin>,
    found: Vec<Finding>,
    /// What was told and is gone.
    gone: Vec<Code>,
    /// While connects fail.
    outage: Option<Outage>,
    lives: Lives,
    closes: Closes,
    probed: Option<Instant>,
}

/// Connects fail: as one thing, whatever each of them finds.
struct Outage {
    since: Instant,
    /// What stands in the log of it.
    told: Option<Code>,
}

impl Watch {
    /// What its registration says.
    pub fn register(&self, origin: &Arc<Origin>) {
        self.inner.lock().origin = origin.clone();
    }

    /// What its registration says.
    pub fn origin(&self) -> Arc<Origin> {
        self.inner.lock().origin.clone()
    }

    /// All that is wrong with it by its registration and this connect, the gravest first.
    pub fn judge(&self, connect: &Connect) -> Vec<Code> {
        self.judged(&self.origin(), connect)
    }

    fn judged(&self, origin: &Origin, connect: &Connect) -> Vec<Code> {
        let mut codes = judge(origin, connect);
        if self.worked.load(Relaxed) {
            codes.retain(|code| !is_refuted(*code, origin));
        }
        codes
    }

    /// Whether a finding that its registration is by itself still stands, after what was seen there.
    pub fn holds(&self, code: Code) -> bool {
        let inner = self.inner.lock();
        let is_refuted = self.worked.load(Relaxed) && is_refuted(code, &inner.origin);
        // A refusal comes from a host that is there, though nobody was connected to.
        let is_answered = matches!(code, Code::R04 | Code::R06) && inner.shows(Code::P01);
        !is_refuted && !is_answered
    }

    /// Something was seen there.
    pub fn found(&self, code: Code, said: impl Into<Box<str>>, now: Instant) {
        let mut inner = self.inner.lock();
        if is_protocol(code) {
            inner.drop_where(|it| it.code == Code::P08);
        }
        inner.add(code, said.into(), now);
        self.any.store(true, Relaxed);
    }

    /// A connect failed so: whatever earlier ones found gives way to that.
    pub fn unreachable(&self, connect: &Connect, said: &str, now: Instant) {
        let mut inner = self.inner.lock();
        let mut codes = self.judged(&inner.origin, connect);
        codes.retain(|code| !inner.origin.codes.contains(code));
        // Each connect of an endpoint that is too far away ends so: a longer one has told why.
        if inner.shows(Code::P12) && codes == [Code::P02] {
            codes = vec![Code::P12];
        }
        inner.drop_where(|it| is_of_connects(it.code) && !codes.contains(&it.code));
        for code in codes {
            match code {
                Code::P12 => inner.seen_again(code, now),
                _ => inner.add(code, said.into(), now),
            }
        }
        // It may have been restarted: what it closed says nothing.
        inner.closes.clear();
        self.any.store(true, Relaxed);
    }

    /// Connects time out, and nobody knows yet whether a longer one would do.
    pub fn may_be_far(&self) -> bool {
        self.inner.lock().shows(Code::P02)
    }

    /// A connect would do, if callers waited longer.
    pub fn too_far(&self, said: impl Into<Box<str>>, now: Instant) {
        let mut inner = self.inner.lock();
        inner.drop_where(|it| is_of_connects(it.code));
        inner.add(Code::P12, said.into(), now);
        self.any.store(true, Relaxed);
    }

    /// A connect succeeded.
    #[inline]
    pub fn connected(&self) {
        self.reached();
        if self.any.load(Relaxed) {
            let is_over = |it: &Finding| is_of_connects(it.code) && it.code != Code::P04;
            self.inner.lock().drop_where(is_over);
        }
    }

    /// There is a way to its address: its range is accused of nothing from now on.
    #[inline]
    pub fn reached(&self) {
        if !self.worked.load(Relaxed) {
            self.worked.store(true, Relaxed);
        }
    }

    /// Whether it lives, for a try that was sent at `sent` and has waited until `now`; `answered` is when it last
    /// answered any.
    pub fn life(&self, answered: Option<Instant>, sent: Instant, now: Instant) -> Life {
        self.inner.lock().lives.of(answered, sent, now)
    }

    /// The same, for a try that was overdue.
    pub fn overdue(&self, answered: Option<Instant>, sent: Instant, now: Instant) -> Life {
        let mut inner = self.inner.lock();
        inner.lives.overdue(answered, sent, now);
        let life = inner.lives.of(answered, sent, now);
        // A server of another protocol is silent because it is one.
        let code = life.code();
        let code = code.filter(|code| *code != Code::P08 || inner.protocol().is_none());
        if let Some(code) = code {
            inner.drop_where(|it| matches!(it.code, Code::P08 | Code::P13) && it.code != code);
            inner.add(code, life.said().into(), now);
            self.any.store(true, Relaxed);
        }
        life
    }

    /// Which finding the server of another protocol is that was seen there.
    pub fn protocol(&self) -> Option<Code> {
        match self.any.load(Relaxed) {
            true => self.inner.lock().protocol(),
            false => None,
        }
    }

    /// Idle connections to it were found closed.
    pub fn closed(&self, closed: Closed, now: Instant) {
        let mut inner = self.inner.lock();
        inner.closes.add(closed, now);
        match inner.closes.habit() {
            Some(age) => {
                let said = format!("it closes connections that are idle for {}", human(age));
                inner.add(Code::P09, said.into(), now);
            }
            None => inner.drop_where(|it| it.code == Code::P09),
        }
        self.any.store(true, Relaxed);
    }

    /// The age at which it closes idle connections, where it has that habit.
    pub fn habit(&self) -> Option<Duration> {
        self.inner.lock().closes.habit()
    }

    /// What was seen and still counts.
    pub fn list(&self) -> Vec<Finding> {
        match self.any.load(Relaxed) {
            true => self.inner.lock().found.clone(),
            false => Vec::new(),
        }
    }

    /// Whether it may be looked at now; then it was.
    pub fn take_probe(&self, now: Instant) -> bool {
        let probed = &mut self.inner.lock().probed;
        let may = probed.is_none_or(|at| now.saturating_duration_since(at) >= PROBE_EVERY);
        if may {
            *probed = Some(now);
        }
        may
    }

    /// Drops what is over, now that it last answered at `answered`, and says what is news.
    pub fn upkeep(&self, answered: Option<Instant>, now: Instant) -> Vec<News> {
        if !self.any.load(Relaxed) {
            return Vec::new();
        }
        let mut inner = self.inner.lock();
        inner.closes.forget(now);
        let habit = inner.closes.habit().is_some();
        inner.drop_where(|it| is_over(it, answered, habit, now));
        let mut news: Vec<News> = inner.gone.drain(..).map(News::Gone).collect();
        news.extend(inner.news_of_connects(now));
        for it in &mut inner.found {
            if !is_of_connects(it.code)
                && !it.told
                && now.saturating_duration_since(it.since) >= STANDS
            {
                it.told = true;
                news.push(News::Stands(it.clone()));
            }
        }
        self.any
            .store(!inner.found.is_empty() || !inner.closes.is_empty(), Relaxed);
        news
    }
}

impl Inner {
    fn add(&mut self, code: Code, said: Box<str>, now: Instant) {
        match self.found.iter_mut().find(|it| it.code == code) {
            Some(it) => (it.said, it.last) = (said, now.max(it.last)),
            None => self.found.push(Finding {
                code,
                said,
                since: now,
                last: now,
                told: false,
            }),
        }
    }

    fn shows(&self, code: Code) -> bool {
        self.found.iter().any(|it| it.code == code)
    }

    fn protocol(&self) -> Option<Code> {
        let mut codes = self.found.iter().map(|it| it.code);
        codes.find(|code| is_protocol(*code))
    }

    fn seen_again(&mut self, code: Code, now: Instant) {
        let found = self.found.iter_mut().filter(|it| it.code == code);
        found.for_each(|it| it.last = now.max(it.last));
    }

    /// Of one outage one finding is told, the gravest that stands when the outage is long enough, and that it is over. It
    /// is told once more where a look, which takes longer, has found out that what was silent is merely far away.
    fn news_of_connects(&mut self, now: Instant) -> Option<News> {
        let first = self.found.iter().find(|it| is_of_connects(it.code));
        let Some(first) = first else {
            let told = self.outage.take().and_then(|it| it.told);
            return told.map(News::Gone);
        };
        let outage = self.outage.get_or_insert(Outage {
            since: first.since,
            told: None,
        });
        let stands = now.saturating_duration_since(outage.since) >= STANDS;
        let is_news = match outage.told {
            None => true,
            Some(told) => told == Code::P02 && first.code == Code::P12,
        };
        if !stands || !is_news {
            return None;
        }
        outage.told = Some(first.code);
        Some(News::Stands(first.clone()))
    }

    fn drop_where(&mut self, is_over: impl Fn(&Finding) -> bool) {
        let gone = self.found.extract_if(.., |it| is_over(it));
        let told = gone.filter(|it| it.told).map(|it| it.code);
        self.gone.extend(told);
    }
}

fn judge(origin: &Origin, connect: &Connect) -> Vec<Code> {
    let seen = Seen {
        connect: connect.clone(),
        spoke: None,
        call: None,
        idle: None,
    };
    findings(&Facts {
        class: origin.class,
        registered: &origin.codes,
        seen: Some(&seen),
        lease: Lease::Unknown,
        on_link: origin.on_link,
        alone: origin.alone,
        // A connect that took too long was given up: one that was made is in time.
        connect_timeout: Duration::MAX,
    })
}

/// What a connect finds, and another one takes back.
fn is_of_connects(code: Code) -> bool {
    use Code::{P01, P02, P03, P04, P12, R04, R05, R19};
    matches!(code, P01 | P02 | P03 | P04 | P12 | R04 | R05 | R19)
}

/// What speaks another protocol than the calls.
fn is_protocol(code: Code) -> bool {
    matches!(code, Code::P05 | Code::P06 | Code::P07 | Code::P11)
}

/// Whether a connection there has shown that a finding of the registration keeps nobody here from calling it.
fn is_refuted(code: Code, origin: &Origin) -> bool {
    is_no_way(code) || origin.alone && means_another_host(code)
}

/// What says that there is no way to where it is registered: a guess, until somebody was connected to there.
#[must_use]
pub fn is_no_way(code: Code) -> bool {
    matches!(code, Code::R04 | Code::R05 | Code::R06 | Code::R18)
}

/// Whether a finding is over: the endpoint has answered since, or nobody has called it for long.
fn is_over(it: &Finding, answered: Option<Instant>, habit: bool, now: Instant) -> bool {
    let has_answered = answered.is_some_and(|at| at > it.last);
    match it.code {
        Code::P09 => !habit,
        Code::P13 => now > it.last + SLOW,
        Code::P08 => has_answered || now > it.last + SILENT,
        _ => has_answered,
    }
}
