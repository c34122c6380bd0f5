//! Rules of the firewall that send connections to a transparent listener, for `tidegate iptables`.
//!
//! [`Rules`] says what is caught, [`iptables`] and [`nft`] say it in the words of the two tools, as [`Step`]s that
//! are printed ([`Display`](std::fmt::Display) gives what a shell takes) or run ([`run`]). Only what this host, or
//! this pod, dials itself is caught (the `OUTPUT` hook): what it forwards for others passes.
//!
//! A rule looks at a connection's first packet only. Without that, connections that were open before the rules would
//! be caught in mid-stream, and reset.

pub mod iptables;
pub mod nft;

mod apply;
mod net;
mod ports;
mod step;

#[cfg(test)]
mod tests;

pub use apply::{Failed, left_by, look_for_nat, run};
pub use net::{Exclude, Net, NoExclude, NoNet};
pub use ports::{NoPorts, Ports};
pub use step::{Run, Step};

use std::num::NonZeroU32;

use thiserror::Error;

use crate::metadata;

/// The port of a transparent listener, where nothing else is said.
pub const PORT: u16 = 15001;

/// Where clouds hand out credentials: never caught at their addresses.
const METADATA_PORT: u16 = 80;

/// etcd's ports for clients and for its own members: never caught.
pub const ETCD_PORTS: [u16; 2] = [2379, 2380];

/// By what tidegate's own traffic is known. It must never be caught: it would come back to tidegate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The user that it runs as.
    pub uid: Option<u32>,
    /// The group that it runs as.
    pub gid: Option<u32>,
    /// The firewall mark of its sockets.
    pub mark: Option<NonZeroU32>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose traffic passes.
    pub own: Own,
    /// The destination ports that are caught.
    pub ports: Ports,
    /// The transparent listener's port.
    pub to: u16,
    /// What passes besides.
    pub exclude: Vec<Exclude>,
    /// The ports of etcd.
    pub etcd: Ports,
    /// tidegate's other ports on this host: the admin's, other listeners'.
    pub here: Ports,
    /// Whether connections to loopback addresses are caught too.
    pub loopback: bool,
    /// Whether IPv6 passes as it is.
    pub ipv4_only: bool,
}

/// What is caught, and where it goes.
#[derive(Clone, Debug)]
pub struct Rules {
    own: Own,
    caught: Ports,
    passed: Vec<Net>,
    to: u16,
    loopback: bool,
    here: Ports,
    ipv4_only: bool,
}

/// Why what is asked for makes no rules.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadRules {
    /// Nothing tells tidegate's connections from the others.
    #[error(
        "give --uid, --gid or --mark, by which tidegate's own connections are known: without it they would be \
         redirected too, and come back to tidegate in a loop"
    )]
    NobodyIsOwn,
    /// Every port that is asked for is one that is never caught.
    #[error(
        "nothing is left to redirect: of --ports {wanted} all are excluded, etcd's ({etcd}) or the listener's own ({to})"
    )]
    NothingCaught {
        /// What was asked for.
        wanted: String,
        /// etcd's ports.
        etcd: String,
        /// The listener's port.
        to: u16,
    },
}

impl Rules {
    /// Makes rules of what is asked for.
    ///
    /// # Errors
    ///
    /// They would catch tidegate itself, or nothing at all.
    pub fn new(wanted: Wanted) -> Result<Self, BadRules> {
        if wanted.own == Own::default() {
            return Err(BadRules::NobodyIsOwn);
        }
        let mut never = wanted.etcd.clone();
        never.add(&Ports::from_iter([wanted.to]));
        let mut passed = Vec::new();
        for exclude in wanted.exclude {
            match exclude {
                Exclude::Net(net) => passed.push(net),
                Exclude::Ports(ports) => never.add(&ports),
            }
        }
        let caught = wanted.ports.minus(&never);
        // An application asks its cloud there for credentials, and tidegate dials none of these.
        if !caught.and(&Ports::from_iter([METADATA_PORT])).is_empty() {
            passed.extend(metadata::addresses().map(Net::from));
        }
        if caught.is_empty() {
            return Err(BadRules::NothingCaught {
                wanted: wanted.ports.show("-", ","),
                etcd: wanted.etcd.show("-", ", "),
                to: wanted.to,
            });
        }
        Ok(Self {
            here: wanted.here.and(&caught),
            caught,
            passed,
            own: wanted.own,
            to: wanted.to,
            loopback: wanted.loopback,
            ipv4_only: wanted.ipv4_only,
        })
    }
}
