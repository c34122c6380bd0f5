//! What is found wrong with a service's endpoints: told to callers, to the log, and in `tidegate_findings`.
//!
//! What a registration is by itself is known from the start, so that the very first failing caller reads it. The rest is
//! learned from the connects and tries that fail, and from one look at the address (`look`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Cluster, Knowledge};
use crate::diagnosis::{Closed, IDLE, Life, News, answers_there, code_of, phrase, proves};
use crate::endpoint::{Endpoint, Member};
use crate::finding::Code;
use crate::health::Missed;
use crate::outcome::{Charge, Failed, Outcome, Phase, human};
use crate::probe::{Connect, Spoke};
use crate::upstream::connect::ConnectError;

mod look;
#[cfg(test)]
mod tests;
mod words;

pub use words::down;
use words::{lead, lead_of, seen};

/// It takes connections.
const OPEN: Connect = Connect::Open(Duration::ZERO);

/// How many of a service's registered addresses that are not dialled show each finding.
pub type Registered = HashMap<Code, usize>;

impl Cluster {
    /// How many registered addresses that are not dialled show each finding.
    pub fn set_registered_findings(&self, registered: Registered) {
        *self.registered.lock() = registered;
        self.count_findings();
    }

    /// Whether a finding keeps anything that is registered from being used, or may.
    pub fn has_registered_findings(&self) -> bool {
        !self.registered.lock().is_empty()
    }

    /// A connect failed; `first`: until then the endpoint was not down.
    pub(super) fn note_connect(&self, endpoint: &Arc<Endpoint>, error: &ConnectError, first: bool) {
        let (addr, detail) = (&endpoint.addr, &error.detail);
        let connect = match error.is_reset {
            true => Some(Connect::Reset(Duration::ZERO)),
            false => seen(addr, error.outcome, detail),
        };
        if let Some(connect) = connect {
            endpoint.watch.unreachable(&connect, detail, Instant::now());
        }
        // There may have been no place for the first look.
        if first || endpoint.watch.may_be_far() {
            self.look(endpoint);
        }
    }

    /// A health check of this endpoint ended so.
    pub(super) fn note_check(&self, endpoint: &Arc<Endpoint>, result: &Result<(), Missed>) {
        match result {
            Ok(()) => endpoint.watch.connected(),
            Err(missed) => {
                if let Some(connect) = seen(&endpoint.addr, missed.outcome, &missed.detail) {
                    let watch = &endpoint.watch;
                    watch.unreachable(&connect, &missed.detail, Instant::now());
                    if watch.may_be_far() {
                        self.look(endpoint);
                    }
                }
            }
        }
    }

    /// A try at this endpoint failed that was sent at `sent`: what that says of the endpoint, and what the endpoint's
    /// findings say of the try.
    #[cold]
    pub fn diagnose(&self, endpoint: &Arc<Endpoint>, failed: Failed, sent: Instant) -> Failed {
        match failed.outcome {
            Outcome::ReadDeadline
            | Outcome::Deadline
            | Outcome::DeadlineOverdue
            | Outcome::ClientGoneOverdue
                if matches!(failed.phase, Phase::Write | Phase::FirstByte) =>
            {
                self.waited(endpoint, failed, sent)
            }
            Outcome::BadReply | Outcome::ClosedEarly | Outcome::Reset => {
                self.look(endpoint);
                failed.led_by(lead(endpoint, &OPEN))
            }
            _ => failed,
        }
    }

    /// A call has waited for its answer in vain: it is slow, or the endpoint is silent.
    fn waited(&self, endpoint: &Arc<Endpoint>, failed: Failed, sent: Instant) -> Failed {
        let is_overdue = failed.outcome.row().endpoint == Charge::Timeout;
        let life = match (failed.phase, is_overdue) {
            (Phase::FirstByte, true) => self.overdue(endpoint, sent, failed.at),
            _ => endpoint
                .watch
                .life(endpoint.load.last_answer(), sent, failed.at),
        };
        let is_told = failed.phase == Phase::FirstByte && is_overdue;
        match (life, endpoint.watch.protocol()) {
            (Life::Silent(_), Some(code)) => self.is_another_protocols(endpoint, failed, code),
            (Life::Unheard(_), Some(code)) if is_told => {
                self.is_another_protocols(endpoint, failed, code)
            }
            (Life::Silent(_), None) => failed
                .verdict(life.to_string())
                .ask_doctor_to_call()
                .led_by(lead(endpoint, &OPEN)),
            (Life::Answers { .. }, _) if failed.phase == Phase::FirstByte => {
                failed.verdict(life.to_string())
            }
            (Life::Unheard(_), None) if is_told => failed.verdict(life.to_string()),
            // An impatient caller proves nothing, nor does a call that was not even written.
            _ => failed,
        }
    }

    /// A call has waited in vain because what is there was found to speak another protocol.
    fn is_another_protocols(&self, endpoint: &Endpoint, failed: Failed, code: Code) -> Failed {
        failed
            .verdict(format!("it {} ({code})", phrase(code)))
            .ask_doctor(true)
            .led_by(lead(endpoint, &OPEN))
    }

    /// A try that was sent at `sent` is overdue at `now`, its caller there or gone: what that says of the endpoint.
    #[cold]
    pub fn overdue(&self, endpoint: &Arc<Endpoint>, sent: Instant, now: Instant) -> Life {
        let life = endpoint
            .watch
            .overdue(endpoint.load.last_answer(), sent, now);
        if matches!(life, Life::Silent(_)) {
            self.look(endpoint);
        }
        life
    }

    /// What answers there is no Thrift; in words.
    #[cold]
    pub fn speaks(&self, endpoint: &Endpoint, spoke: &Spoke) -> String {
        let found = &endpoint.watch;
        found.found(code_of(spoke), proves(spoke), Instant::now());
        answers_there(spoke)
    }

    /// Idle connections to the endpoint were found closed by it.
    #[cold]
    pub fn found_closed(&self, endpoint: &Endpoint, closed: Closed) {
        endpoint.watch.closed(closed, Instant::now());
    }

    /// The endpoint closed a connection, which had been idle for so long, under a call; in words, where that may be why.
    #[cold]
    pub fn closed_in_use(&self, endpoint: &Endpoint, idle: Duration) -> Option<String> {
        self.found_closed(endpoint, Closed::one(idle));
        let why = match endpoint.watch.habit() {
            Some(_) => "it closes connections that are idle",
            None => "it closes connections that are idle, or was restarted",
        };
        let said = || {
            format!(
                "it closed a connection that had been idle for {} (P09: {why})",
                human(idle)
            )
        };
        (idle >= IDLE).then(said)
    }

    /// Drops the findings that are over, says in the log what is news, and counts. On the control thread.
    pub(super) fn upkeep_findings(&self, members: &[Member], now: Instant) {
        for Member { endpoint, .. } in members {
            for news in endpoint.watch.upkeep(endpoint.load.last_answer(), now) {
                self.say_finding(endpoint, news);
            }
        }
        self.count_findings();
    }

    fn say_finding(&self, endpoint: &Endpoint, news: News) {
        let (service, addr) = (&self.name, &endpoint.name);
        let finding = match news {
            News::Stands(finding) => finding,
            News::Gone(code) => {
                tracing::info!(%service, endpoint.addr = %addr, %code, "no more: it {}", phrase(code));
                return;
            }
        };
        let (code, said) = (finding.code, finding.said);
        let origin = endpoint.watch.origin();
        if let Some(lead) = lead_of(endpoint, code) {
            let (what, remedy) = (phrase(lead), origin.remedy(lead, addr));
            tracing::warn!(
                %service, endpoint.addr = %addr, code = %lead,
                "it {what}, and {} ({code}): {said}; {remedy}; see tidegate doctor {service}", phrase(code)
            );
            return;
        }
        let (remedy, call) = (
            origin.remedy(code, addr),
            if code == Code::P08 { " --call" } else { "" },
        );
        tracing::warn!(
            %service, endpoint.addr = %addr, %code,
            "it {}: {said}; {remedy}; see tidegate doctor {service}{call}", phrase(code)
        );
    }

    /// How many addresses show each finding now, by their registration or by what was seen there; that nothing is
    /// registered counts as one. A registration's notes are no findings: nobody has to change anything.
    fn count_findings(&self) {
        let mut counts = self.registered.lock().clone();
        if matches!(&*self.known.borrow(), Knowledge::Nothing) {
            counts.insert(Code::R13, 1);
        }
        for Member { endpoint, .. } in &self.set.load().all {
            let origin = endpoint.watch.origin();
            if origin.lost {
                continue;
            }
            let registered = origin.codes.iter().copied();
            let registered = registered.filter(|it| !it.is_note() && endpoint.watch.holds(*it));
            let seen = endpoint.watch.list().into_iter().map(|it| it.code);
            for code in registered.chain(seen.filter(|it| !origin.codes.contains(it))) {
                *counts.entry(code).or_default() += 1;
            }
        }
        let mut counted = self.counted.lock();
        if counted.as_ref() == Some(&counts) {
            return;
        }
        for code in Code::ALL.iter().filter(|code| is_of_a_service(**code)) {
            let n = counts.get(code).copied().unwrap_or(0);
            self.metrics.findings(code.label(), n);
        }
        *counted = Some(counts);
    }
}

/// Whether an endpoint or a registration can show it: what is wrong with etcd is no service's.
fn is_of_a_service(code: Code) -> bool {
    !code.label().starts_with('E')
}
