//! What was seen at an address, as JSON.

use serde::Serialize;

use crate::probe::{Called, Connect, Idle, Seen, Spoke};

#[derive(Serialize)]
pub(super) struct SeenJson<'a> {
    connect: &'static str,
    seconds: Option<f64>,
    said: Option<&'a str>,
    spoke: Option<SpokeJson<'a>>,
    call: Option<CallJson<'a>>,
    idle: Option<IdleJson>,
}

#[derive(Serialize)]
struct SpokeJson<'a> {
    protocol: &'static str,
    said: Option<&'a str>,
}

#[derive(Serialize)]
struct CallJson<'a> {
    result: &'static str,
    seconds: Option<f64>,
    said: Option<&'a str>,
}

#[derive(Serialize)]
struct IdleJson {
    result: &'static str,
    seconds: f64,
}

impl<'a> SeenJson<'a> {
    pub(super) fn new(seen: &'a Seen) -> Self {
        let (connect, seconds, said) = match &seen.connect {
            Connect::Open(took) => ("open", Some(*took), None),
            Connect::Refused(took) => ("refused", Some(*took), None),
            Connect::TimedOut(took) => ("timed_out", Some(*took), None),
            Connect::Reset(took) => ("reset", Some(*took), None),
            Connect::Unreachable(said) => ("unreachable", None, Some(&**said)),
            Connect::NoSocket(said) => ("no_socket", None, Some(&**said)),
            Connect::Ours(said) => ("ours", None, Some(&**said)),
        };
        Self {
            connect,
            seconds: seconds.map(|it| it.as_secs_f64()),
            said,
            spoke: seen.spoke.as_ref().map(spoke),
            call: seen.call.as_ref().map(call),
            idle: seen.idle.map(idle),
        }
    }
}

fn spoke(spoke: &Spoke) -> SpokeJson<'_> {
    let (protocol, said) = match spoke {
        Spoke::Http(said) => ("http", Some(&**said)),
        Spoke::Http2 => ("http2", None),
        Spoke::Tls => ("tls", None),
        Spoke::Redis => ("redis", None),
        Spoke::MySql => ("mysql", None),
        Spoke::Ssh(said) => ("ssh", Some(&**said)),
        Spoke::Other(said) => ("other", Some(&**said)),
    };
    SpokeJson { protocol, said }
}

fn call(call: &Called) -> CallJson<'_> {
    let (result, after, said) = match call {
        Called::Answered(after, said) => ("answered", Some(after), Some(&**said)),
        Called::Silent(after) => ("silent", Some(after), None),
        Called::Closed => ("closed", None, None),
    };
    CallJson {
        result,
        seconds: after.map(std::time::Duration::as_secs_f64),
        said,
    }
}

fn idle(idle: Idle) -> IdleJson {
    let (result, after) = match idle {
        Idle::Closed(after) => ("closed", after),
        Idle::Open(after) => ("open", after),
    };
    IdleJson {
        result,
        seconds: after.as_secs_f64(),
    }
}
