//! Where the instances of a service stand, and what of them may be dialled.
//!
//! A [`Registry`] follows one service at a time and says what is registered: [`Known`]. It knows
//! nothing of health, balance or connections. [`follow`] turns that into [`Members`], the addresses
//! that calls may be sent to: each one is parsed, rewritten where a rule says so ([`Rewrites`]), resolved where it is
//! a name, classified ([`Class`]), and judged by the policy ([`Membership`]). Everything here runs on the control thread; a
//! call never waits for it but for the very first read of its service.
//!
//! A new kind of registry is one more implementation of the trait; a new way to write keys and
//! values in etcd is one more [`Layout`].

mod address;
mod backoff;
mod brief;
mod candidate;
mod classify;
mod etcd;
mod file;
mod fixed;
mod follow;
mod layout;
mod members;
mod membership;
mod names;
mod once;
mod remedy;
mod rewrite;
mod state;
pub mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

pub use crate::finding::Code;
pub use crate::metadata::forbidden;
pub use address::{Address, DialAddr, Malformed, parse, parse_path};
pub use brief::brief;
pub use classify::{Class, Host, Interface, classify};
pub use etcd::{Etcd, EtcdOptions, EtcdOptionsError, host_and_port};
pub use file::{FileOptions, FileRegistry};
pub use fixed::Fixed;
pub use follow::follow;
pub use layout::{DEFAULT_WEIGHT, KITEX_PREFIX, Layout, is_name};
pub use members::{Member, Members, Shown};
pub use membership::{MemberPolicy, Membership, Suspicious};
pub use names::{Found, Lookup, Naming, Resolved};
pub use once::judge_once;
pub use rewrite::{Rewrites, Rewritten, preview};
pub use state::StateDir;
use survey::{Ask, Survey};

/// One registered instance of a service, as it was registered: nothing of it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The address exactly as it stands in the registry. May be anything.
    pub address: String,
    /// Go's name of the network, `tcp` where none is given.
    pub network: String,
    /// Where it stands, for logs and people: an etcd key, `file:line`, `config`.
    pub key: String,
    /// Its share of the calls relative to the others, 1 to 1,000,000.
    pub weight: u32,
    /// What else its owner wrote beside it.
    pub tags: BTreeMap<String, String>,
    /// Changes whenever the instance is put again, which says that it has just started.
    pub revision: u64,
    /// What was found while reading it ([`Code::R08`], [`Code::R10`]).
    pub notes: Vec<Code>,
}

/// An entry of a registry that could not be read as an instance. The others are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it stands, as [`Instance::key`].
    pub key: String,
    /// Which finding it is.
    pub code: Code,
    /// What is wrong with it.
    pub why: String,
}

/// All that is registered for one service at one moment.
#[derive(Debug, Clone)]
pub struct ReadSet {
    /// The instances, in the order of their keys.
    pub instances: Vec<Arc<Instance>>,
    /// What stands among them and could not be read.
    pub skipped: Vec<Skipped>,
    /// When it was read.
    pub at: Instant,
    /// The set was left by an earlier run (`state_dir`); the registry itself was not read yet.
    pub stale: bool,
}

/// What is known of one service.
#[derive(Debug, Clone)]
pub enum Known {
    /// The registry was not read yet; calls wait for it, but not for long.
    Unread,
    /// The registry refuses to tell, and will until a person changes something. The text says which
    /// range, and what to grant.
    Denied(Arc<str>),
    /// The newest set. It stays while the registry is away.
    Read(Arc<ReadSet>),
}

/// What is known of the services that a registry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// The registry was not read yet.
    Unread,
    /// The registry refuses to tell, and will until a person changes something. The text says which
    /// range, and what to grant.
    Denied(Arc<str>),
    /// The names of the services that have at least one entry. They stay while the registry is away.
    Read(Arc<BTreeSet<Arc<str>>>),
}

/// How a registry fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The registry answers.
    pub up: bool,
    /// When it last said how things stand. Its age is how stale the sets may be.
    pub last_sync: Option<SystemTime>,
    /// The newest error, kept after it has passed; `up` says whether it has.
    pub last_error: Option<Arc<str>>,
}

/// A source of instances.
pub trait Registry: Send + Sync + 'static {
    /// The name the config gives it.
    fn name(&self) -> &str;

    /// Follows one service. The work is spawned on the current tokio runtime (the control thread's)
    /// and ends when the last clone of the receiver is dropped. Never blocks, never fails: what goes
    /// wrong is in [`Registry::status`] and tried again.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    fn watch(&self, service: &str) -> watch::Receiver<Known>;

    /// Follows the names of the services that begin with `literal`; all of them, where that is empty. As
    /// [`Registry::watch`] otherwise.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    fn list(&self, literal: &str) -> watch::Receiver<Listing>;

    /// How it fares now.
    fn status(&self) -> Status;

    /// Looks at it once, for a person who asks: follows nothing, changes nothing, and ends within about ten seconds,
    /// whatever the registry holds or does.
    fn survey(&self, ask: Ask) -> BoxFuture<'_, Survey>;

    /// Whether it is on this host, or in a file of it, so that whoever registers there shares the host.
    fn is_on(&self, _host: &Host) -> bool {
        true
    }
}

/// Learns what happens in a registry: the metrics' side of it. Every method has an empty default.
pub trait Watcher: Send + Sync + 'static {
    /// The registry began or ceased to answer.
    fn up(&self, _up: bool) {}
    /// It just said how things stand.
    fn synced(&self) {}
    /// A change was applied: `put`, `delete` (of one key each) or `full` (a fresh read).
    fn update(&self, _kind: &'static str) {}
    /// A key or value was skipped.
    fn skipped(&self, _code: Code) {}
    /// A watch ended and begins anew. The causes are a fixed, small set of words.
    fn watch_restarted(&self, _cause: &'static str) {}
}

/// A [`Watcher`] that learns nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watcher for Unwatched {}
