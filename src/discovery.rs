//! Binds services to their registries: follows each, gives its cluster the addresses to dial, and keeps the index of
//! where which service is registered.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::cluster::{Cluster, Dial, Knowledge};
use crate::config::{self, Policy, Source};
use crate::endpoint::{Endpoint, Tags};
use crate::finding::plain;
use crate::platform;
use crate::registry::{
    self, Code, DialAddr, Fixed, Host, Interface, Member, MemberPolicy, Members, Naming, Registry,
    Rewrites, Shown, Suspicious, brief,
};

mod index;
mod listed;
mod open;
mod origins;
mod rewrites;
#[cfg(test)]
mod tests;

pub use index::{AddressIndex, Registered, Services};
pub use listed::Listed;
pub use open::open_once;
use origins::{Origins, registered_findings};
use rewrites::{Hits, Rules};

/// All registries, and this host as the classification of addresses needs it.
pub struct Discovery {
    registries: ArcSwap<HashMap<Arc<str>, Arc<dyn Registry>>>,
    index: Arc<AddressIndex>,
    host: Arc<Host>,
    rules: Arc<Rules>,
    control: Handle,
}

/// A service that is followed in its registry.
pub struct Followed {
    /// The service.
    pub cluster: Arc<Cluster>,
    /// Everything registered, as people are shown it.
    pub members: Arc<ArcSwap<Members>>,
    /// Where it is looked up.
    pub source: Source,
    policy: watch::Sender<MemberPolicy>,
    registered: Arc<Mutex<Registered>>,
    rules: Arc<Rules>,
    task: AbortHandle,
    /// A watch ends with the registry it is of.
    registry: Arc<dyn Registry>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Followed {
    /// The endpoint that is registered at this address.
    #[must_use]
    pub fn at(&self, addr: SocketAddr) -> Option<Arc<Endpoint>> {
        let members = self.members.load();
        let mut there = members.shown.iter().filter(|it| it.socket() == Some(addr));
        self.cluster
            .endpoint(there.find_map(|it| it.dial.as_ref())?)
    }

    /// Another policy, after a reload, with the rewrite rules that are in force now.
    pub fn set_policy(&self, policy: &Arc<Policy>, fixed: bool) {
        self.cluster.set_policy(policy);
        let rewrites = self.rules.of(&self.cluster.name);
        self.policy
            .send_replace(member_policy(policy, fixed, rewrites));
    }

    /// How many of its registered addresses each rewrite rule takes, by the rule's label.
    pub fn rewritten(&self) -> Vec<(Arc<str>, i64)> {
        rewrites::rewritten(&self.members.load())
    }
}

impl Discovery {
    /// No registry yet; work runs on `control`.
    pub fn new(control: Handle) -> Arc<Self> {
        let host = Arc::new(Host::new(interfaces(), Vec::new()));
        Arc::new(Self {
            registries: ArcSwap::default(),
            index: Arc::default(),
            host,
            rules: Rules::new(),
            control,
        })
    }

    /// The addresses that tidegate itself listens on: a registration of one of them is a loop.
    pub fn set_own_listeners(&self, addrs: Vec<DialAddr>) {
        self.host.set_own_listeners(addrs);
    }

    /// Whether dialling this address would reach a listener of ours.
    #[must_use]
    pub fn is_own_listener(&self, addr: std::net::SocketAddr) -> bool {
        self.host.is_own_listener(addr)
    }

    /// This host's interfaces may have changed.
    pub fn look_at_interfaces(&self) {
        self.host.set_interfaces(interfaces());
    }

    /// The registries by name.
    pub fn registries(&self) -> Arc<HashMap<Arc<str>, Arc<dyn Registry>>> {
        self.registries.load_full()
    }

    /// Where which service is registered.
    pub fn index(&self) -> &AddressIndex {
        &self.index
    }

    /// Opens registries; those in `keep` stay as they are. Nothing is replaced until [`set_registries`].
    ///
    /// # Errors
    ///
    /// A certificate that cannot be read, a URL that is none.
    ///
    /// [`set_registries`]: Self::set_registries
    pub fn open(
        &self,
        configs: &[config::Registry],
        keep: &[config::Registry],
        state_dir: Option<&std::path::Path>,
    ) -> Result<HashMap<Arc<str>, Arc<dyn Registry>>, String> {
        let _runtime = self.control.enter();
        let current = self.registries.load();
        let mut all = HashMap::new();
        for config in configs {
            let name: Arc<str> = config.name().clone();
            let kept = keep
                .contains(config)
                .then(|| current.get(&name).cloned())
                .flatten();
            let registry = match kept {
                Some(registry) => registry,
                None => open::open(config, state_dir)?,
            };
            all.insert(name, registry);
        }
        Ok(all)
    }

    /// Puts the registries in force.
    pub fn set_registries(&self, all: HashMap<Arc<str>, Arc<dyn Registry>>) {
        self.registries.store(Arc::new(all));
    }

    /// Puts rewrite rules in force: for services that are followed from now on, and for the others with their next
    /// policy.
    pub fn set_rewrites(&self, rules: &[config::Rewrite]) {
        self.rules.set(rules);
    }

    /// Follows a service of the config; what is known of it stays, where it was followed `before`.
    pub fn follow(
        &self,
        service: &config::Service,
        policy: &Arc<Policy>,
        before: Option<&Followed>,
    ) -> Arc<Followed> {
        let new = || Cluster::new(&service.name, policy.clone(), self.control.clone(), false);
        let cluster = before.map_or_else(new, |before| before.cluster.clone());
        cluster.set_policy(policy);
        for method in service.methods.keys() {
            cluster.methods.adopt(method.as_bytes());
        }
        self.start(cluster, service.source.clone(), before)
    }

    /// Follows a service that a caller named.
    pub fn follow_named(&self, name: &str, registry: &str, policy: Arc<Policy>) -> Arc<Followed> {
        let cluster = Cluster::new(name, policy, self.control.clone(), true);
        self.start(cluster, Source::Registry(registry.into()), None)
    }

    /// Follows a service anew, in the registry that has the name of its own now; what is known of it stays.
    pub fn follow_again(&self, before: &Followed) -> Arc<Followed> {
        self.start(before.cluster.clone(), before.source.clone(), Some(before))
    }

    fn start(
        &self,
        cluster: Arc<Cluster>,
        source: Source,
        before: Option<&Followed>,
    ) -> Arc<Followed> {
        let _runtime = self.control.enter();
        let fixed = matches!(source, Source::Static(_));
        let registry = self.registry(&source);
        let known = registry.watch(&cluster.name);
        let asked = Arc::downgrade(&registry);
        cluster.set_trouble(Box::new(move || asked.upgrade()?.status().last_error));
        let (policy, policies) = watch::channel(member_policy(
            &cluster.policy(),
            fixed,
            self.rules.of(&cluster.name),
        ));
        let members = Arc::new(ArcSwap::from_pointee(Members::default()));
        let registered = before.map(|before| before.registered.clone());
        let registered = registered.unwrap_or_else(|| {
            let registered = Registered::new(self.index.clone(), cluster.name.clone());
            Arc::new(Mutex::new(registered))
        });
        let apply = {
            let (cluster, members) = (Arc::downgrade(&cluster), members.clone());
            let registered = registered.clone();
            let (host, asked) = (self.host.clone(), Arc::downgrade(&registry));
            let hits = Hits::new(self.rules.clone());
            move |now: Arc<Members>| {
                members.store(now.clone());
                hits.count(&now);
                if now.known {
                    registered.lock().set(addresses(&now), Instant::now());
                }
                if let Some(cluster) = cluster
                    .upgrade()
                    .filter(|_| now.known || now.denied.is_some())
                {
                    let origins = Origins::new(&host, asked.upgrade().as_deref());
                    let known = knowledge(&cluster.name, &now);
                    cluster.apply(dials(&now.list, &origins), known);
                    cluster.set_registered_findings(registered_findings(&now));
                }
            }
        };
        let follow = registry::follow(
            cluster.name.clone(),
            known,
            policies,
            self.host.clone(),
            cluster.lookup.clone(),
            apply,
        );
        let task = self.control.spawn(follow).abort_handle();
        Arc::new(Followed {
            cluster,
            members,
            source,
            policy,
            registered,
            rules: self.rules.clone(),
            task,
            registry,
        })
    }

    fn registry(&self, source: &Source) -> Arc<dyn Registry> {
        let fixed: &[config::StaticEndpoint] = match source {
            Source::Static(endpoints) => endpoints,
            Source::Registry(name) => match self.registries.load().get(name) {
                Some(registry) => return registry.clone(),
                None => &[],
            },
        };
        Arc::new(Fixed::new(
            fixed
                .iter()
                .map(|e| (e.address.clone(), e.weight, e.tags.clone())),
        ))
    }
}

/// Where the service is registered, used or not; what is no address of anybody's is left out.
fn addresses(members: &Members) -> HashSet<SocketAddr> {
    members.shown.iter().filter_map(Shown::socket).collect()
}

fn dials(list: &[Member], origins: &Origins<'_>) -> Vec<Dial> {
    list.iter()
        .map(|m| Dial {
            addr: m.dial.clone(),
            weight: m.weight,
            revision: m.instance.revision,
            tags: Tags::of(&m.instance),
            here: m.is_here(),
            origin: Arc::new(origins.of(m)),
        })
        .collect()
}

/// What is known of the service; why nothing can be dialled, where that is so.
fn knowledge(service: &str, members: &Members) -> Knowledge {
    if let Some(denied) = &members.denied {
        return Knowledge::Read(Some(denied.clone()));
    }
    if !members.list.is_empty() {
        return Knowledge::Read(None);
    }
    if members.shown.is_empty() {
        return match unreadable(service, members) {
            Some(said) => Knowledge::Read(Some(said.into())),
            None => Knowledge::Nothing,
        };
    }
    let refused: Vec<String> = members
        .shown
        .iter()
        .take(3)
        .map(|s| {
            let code = s
                .code
                .map_or(String::new(), |code| format!("{} ", code.label()));
            let why = if s.dialled_class().suspicious() || s.naming == Naming::Unanswered {
                format!(", {}", plain(&s.why))
            } else {
                String::new()
            };
            let class = s.dialled_class().label();
            format!("{} ({code}{class}{why})", brief(&s.before_and_after()))
        })
        .collect();
    let all = members.shown.len();
    let more = if all > 3 {
        format!(" and {} more", all - 3)
    } else {
        String::new()
    };
    let why = format!(
        "{all} registered, none usable: {}{more}",
        refused.join(", ")
    );
    Knowledge::Read(Some(why.into()))
}

/// `1 entry, unreadable (R09); see tidegate doctor item`; `None` where all could be read.
pub(crate) fn unreadable(service: &str, members: &Members) -> Option<String> {
    let entries = match members.unreadable {
        0 => return None,
        1 => "1 entry".to_owned(),
        n => format!("{n} entries"),
    };
    Some(format!(
        "{entries}, unreadable ({}); see tidegate doctor {service}",
        Code::R09
    ))
}

/// The policy as far as membership goes; `fixed`: the service's instances stand in the config.
pub(crate) fn member_policy(policy: &Policy, fixed: bool, rewrites: Arc<Rewrites>) -> MemberPolicy {
    let suspicious = match policy.suspicious {
        // What stands in the config is meant.
        _ if fixed => Suspicious::Allow,
        config::Suspicious::Avoid => Suspicious::Avoid,
        config::Suspicious::Allow => Suspicious::Allow,
        config::Suspicious::Refuse => Suspicious::Refuse,
    };
    MemberPolicy {
        suspicious,
        empty_grace: policy.empty_grace,
        rewrites,
    }
}

/// This host's interfaces.
pub(crate) fn interfaces() -> Vec<Interface> {
    platform::interfaces()
        .into_iter()
        .map(|i| Interface {
            name: i.name,
            ip: i.ip,
            prefix_len: i.prefix_len,
        })
        .collect()
}
