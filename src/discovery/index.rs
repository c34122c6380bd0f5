//! Which services an address is registered for: what a redirected connection is looked up by.
//!
//! The look-up is one hash, whatever the number of addresses; a change of one service's registrations touches only the
//! addresses that came or went.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use smallvec::SmallVec;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// A caller that resolved an address itself goes on dialling it for a while after it has left the registry: Kitex's
/// client looks again every 5 s, others every 30 s.
const LINGER: Duration = Duration::from_secs(60);

/// The names of the services at one address: mostly one.
pub type Services = SmallVec<[Arc<str>; 1]>;

/// All registered addresses.
#[derive(Debug, Default)]
pub struct AddressIndex {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By name: which of several was read first must not decide where a call goes.
    at: HashMap<SocketAddr, SmallVec<[Entry; 1]>>,
    /// What left the registry, in the order in which it did.
    gone: VecDeque<(Instant, SocketAddr, Arc<str>)>,
}

#[derive(Debug)]
struct Entry {
    service: Arc<str>,
    /// How many [`Registered`] have it: two, while one takes over from another.
    holders: u32,
    /// When it left the registry.
    gone: Option<Instant>,
}

impl AddressIndex {
    /// The services that are registered at `addr`, by name; where none is, those that were until lately.
    #[must_use]
    pub fn services_at(&self, addr: SocketAddr) -> Services {
        let state = self.state.read();
        let entries = state.at.get(&plain(addr)).map_or(&[][..], |it| it);
        let names = |left: bool| {
            let these = entries.iter().filter(move |it| it.gone.is_some() == left);
            these.map(|it| it.service.clone())
        };
        let now: Services = names(false).collect();
        if now.is_empty() {
            names(true).collect()
        } else {
            now
        }
    }

    /// How many addresses are known, those among them that have left.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.read().at.len()
    }

    /// Whether no address is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what left more than a minute ago.
    pub fn sweep(&self, now: Instant) {
        let mut state = self.state.write();
        while let Some((at, addr, service)) = state.gone.front().cloned() {
            if now.saturating_duration_since(at) < LINGER {
                return;
            }
            state.gone.pop_front();
            state.drop_entry(addr, |it| it.service == service && it.gone == Some(at));
        }
    }
}

impl State {
    fn add(&mut self, addr: SocketAddr, service: &Arc<str>) {
        let entries = self.at.entry(addr).or_default();
        match entries.binary_search_by(|it| it.service.cmp(service)) {
            Ok(known) => {
                entries[known].gone = None;
                entries[known].holders += 1;
            }
            Err(place) => entries.insert(
                place,
                Entry {
                    service: service.clone(),
                    holders: 1,
                    gone: None,
                },
            ),
        }
    }

    fn leave(&mut self, addr: SocketAddr, service: &Arc<str>, now: Instant) {
        let entries = self.at.get_mut(&addr).map_or(&mut [][..], |it| &mut *it);
        if let Some(known) = entries.iter_mut().find(|it| it.service == *service) {
            known.holders = known.holders.saturating_sub(1);
            if known.holders == 0 {
                known.gone = Some(now);
                self.gone.push_back((now, addr, service.clone()));
            }
        }
    }

    fn drop_entry(&mut self, addr: SocketAddr, which: impl Fn(&Entry) -> bool) {
        if let Some(entries) = self.at.get_mut(&addr) {
            entries.retain(|it| !which(it));
            if entries.is_empty() {
                self.at.remove(&addr);
            }
        }
    }
}

/// An address without what two writings of it may differ in: IPv4 in IPv6 clothes, flow and scope.
fn plain(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// One service's part of the index; it leaves when dropped.
#[derive(Debug)]
pub struct Registered {
    index: Arc<AddressIndex>,
    service: Arc<str>,
    addrs: HashSet<SocketAddr>,
}

impl Registered {
    /// A service with no addresses yet.
    #[must_use]
    pub fn new(index: Arc<AddressIndex>, service: Arc<str>) -> Self {
        Self {
            index,
            service,
            addrs: HashSet::new(),
        }
    }

    /// The service is registered at these addresses now.
    pub fn set(&mut self, addrs: HashSet<SocketAddr>, now: Instant) {
        let addrs: HashSet<SocketAddr> = addrs.into_iter().map(plain).collect();
        if addrs == self.addrs {
            return;
        }
        let mut state = self.index.state.write();
        for gone in self.addrs.difference(&addrs) {
            state.leave(*gone, &self.service, now);
        }
        for come in addrs.difference(&self.addrs) {
            state.add(*come, &self.service);
        }
        drop(state);
        self.addrs = addrs;
    }
}

impl Drop for Registered {
    /// The service is followed no more, or anew: what it had lingers.
    fn drop(&mut self) {
        let (mut state, now) = (self.index.state.write(), Instant::now());
        for addr in &self.addrs {
            state.leave(*addr, &self.service, now);
        }
    }
}
