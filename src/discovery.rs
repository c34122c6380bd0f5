//! Binds services to their registries: follows each, and gives its cluster the addresses to dial.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::cluster::{Cluster, Dial};
use crate::config::{self, Policy, Source};
use crate::metrics::RegistryMetrics;
use crate::platform;
use crate::registry::{
    self, Code, DialAddr, Etcd, EtcdOptions, FileOptions, FileRegistry, Fixed, Host, Interface,
    Member, MemberPolicy, Members, Registry, Suspicious, Watcher,
};

mod index;

pub use index::{AddressIndex, Registered, Services};

/// All registries, and this host as the classification of addresses needs it.
pub struct Discovery {
    registries: ArcSwap<HashMap<Arc<str>, Arc<dyn Registry>>>,
    host: Arc<Host>,
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
    task: AbortHandle,
    /// A watch ends with the registry it is of.
    _registry: Arc<dyn Registry>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Followed {
    /// Another policy, after a reload.
    pub fn set_policy(&self, policy: &Arc<Policy>, fixed: bool) {
        self.cluster.set_policy(policy);
        self.policy.send_replace(member_policy(policy, fixed));
    }
}

impl Discovery {
    /// No registry yet; work runs on `control`.
    pub fn new(control: Handle) -> Arc<Self> {
        let host = Arc::new(Host::new(interfaces(), Vec::new()));
        Arc::new(Self {
            registries: ArcSwap::default(),
            host,
            control,
        })
    }

    /// The addresses that tidegate itself listens on: a registration of one of them is a loop.
    pub fn set_own_listeners(&self, addrs: Vec<DialAddr>) {
        self.host.set_own_listeners(addrs);
    }

    /// This host's interfaces may have changed.
    pub fn look_at_interfaces(&self) {
        self.host.set_interfaces(interfaces());
    }

    /// The registries by name.
    pub fn registries(&self) -> Arc<HashMap<Arc<str>, Arc<dyn Registry>>> {
        self.registries.load_full()
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
                None => open(config, state_dir)?,
            };
            all.insert(name, registry);
        }
        Ok(all)
    }

    /// Puts the registries in force.
    pub fn set_registries(&self, all: HashMap<Arc<str>, Arc<dyn Registry>>) {
        self.registries.store(Arc::new(all));
    }

    /// Follows a service of the config. `cluster` is kept from before, where it was known already.
    pub fn follow(
        &self,
        service: &config::Service,
        policy: &Arc<Policy>,
        cluster: Option<Arc<Cluster>>,
    ) -> Arc<Followed> {
        let cluster = cluster.unwrap_or_else(|| {
            Cluster::new(&service.name, policy.clone(), self.control.clone(), false)
        });
        cluster.set_policy(policy);
        for method in service.methods.keys() {
            cluster.methods.adopt(method.as_bytes());
        }
        self.start(cluster, service.source.clone())
    }

    /// Follows a service that a caller named.
    pub fn follow_named(&self, name: &str, registry: &str, policy: Arc<Policy>) -> Arc<Followed> {
        let cluster = Cluster::new(name, policy, self.control.clone(), true);
        self.start(cluster, Source::Registry(registry.into()))
    }

    fn start(&self, cluster: Arc<Cluster>, source: Source) -> Arc<Followed> {
        let _runtime = self.control.enter();
        let fixed = matches!(source, Source::Static(_));
        let registry = self.registry(&source);
        let known = registry.watch(&cluster.name);
        let asked = Arc::downgrade(&registry);
        cluster.set_trouble(Box::new(move || asked.upgrade()?.status().last_error));
        let (policy, policies) = watch::channel(member_policy(&cluster.policy(), fixed));
        let members = Arc::new(ArcSwap::from_pointee(Members::default()));
        let apply = {
            let (cluster, members) = (Arc::downgrade(&cluster), members.clone());
            move |now: Arc<Members>| {
                members.store(now.clone());
                if let Some(cluster) = cluster
                    .upgrade()
                    .filter(|_| now.known || now.denied.is_some())
                {
                    cluster.apply(dials(&now.list), why(&now));
                    findings(&cluster, &now);
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
            task,
            _registry: registry,
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

fn dials(list: &[Member]) -> Vec<Dial> {
    list.iter()
        .map(|m| Dial {
            addr: m.dial.clone(),
            weight: m.weight,
            revision: m.instance.revision,
        })
        .collect()
}

/// Why nothing can be dialled, where that is so.
fn why(members: &Members) -> Option<Arc<str>> {
    if let Some(denied) = &members.denied {
        return Some(denied.clone());
    }
    if !members.list.is_empty() {
        return None;
    }
    if members.shown.is_empty() {
        return Some("nothing is registered".into());
    }
    let refused: Vec<String> = members
        .shown
        .iter()
        .take(3)
        .map(|s| {
            let code = s
                .code
                .map_or(String::new(), |code| format!("{} ", code.label()));
            let why = if s.class.suspicious() {
                format!(", {}", s.why)
            } else {
                String::new()
            };
            format!("{} ({code}{}{why})", s.instance.address, s.class.label())
        })
        .collect();
    let all = members.shown.len();
    let more = if all > 3 {
        format!(" and {} more", all - 3)
    } else {
        String::new()
    };
    Some(
        format!(
            "{all} registered, none usable: {}{more}",
            refused.join(", ")
        )
        .into(),
    )
}

fn findings(cluster: &Cluster, members: &Members) {
    for code in Code::ALL {
        let n = members
            .shown
            .iter()
            .filter(|s| s.code == Some(*code) || s.more.contains(code))
            .count();
        cluster.metrics.findings(code.label(), n);
    }
}

fn member_policy(policy: &Policy, fixed: bool) -> MemberPolicy {
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
    }
}

fn interfaces() -> Vec<Interface> {
    platform::interfaces()
        .into_iter()
        .map(|i| Interface {
            name: i.name,
            ip: i.ip,
            prefix_len: i.prefix_len,
        })
        .collect()
}

fn open(
    config: &config::Registry,
    state_dir: Option<&std::path::Path>,
) -> Result<Arc<dyn Registry>, String> {
    let name = config.name();
    let watcher: Arc<dyn Watcher> = Arc::new(Watched(RegistryMetrics::new(name)));
    match config {
        config::Registry::Etcd(etcd) => {
            let layout = match etcd.layout {
                config::Layout::Kitex => registry::Layout::Kitex {
                    prefix: etcd.prefix.clone(),
                },
            };
            let options = EtcdOptions {
                name: name.to_string(),
                layout,
                connect_timeout: etcd.connect_timeout,
                request_timeout: etcd.timeout,
                state_dir: state_dir.map(Into::into),
                endpoints: etcd.endpoints.clone(),
                user: etcd.user.clone(),
                password: etcd.password.as_ref().map(|p| p.expose().to_owned()),
                ca: etcd.tls.as_ref().and_then(|t| t.ca.clone()),
                cert: etcd.tls.as_ref().and_then(|t| t.cert.clone()),
                key: etcd.tls.as_ref().and_then(|t| t.key.clone()),
                domain: etcd.tls.as_ref().and_then(|t| t.domain.clone()),
                ..EtcdOptions::default()
            };
            let etcd = Etcd::new(options, watcher).map_err(|e| format!("registry {name}: {e}"))?;
            Ok(Arc::new(etcd))
        }
        config::Registry::File(file) => Ok(Arc::new(FileRegistry::new(
            FileOptions {
                name: name.to_string(),
                path: file.path.clone(),
            },
            watcher,
        ))),
    }
}

/// Binds a registry's news to its series.
struct Watched(RegistryMetrics);

impl Watcher for Watched {
    fn up(&self, up: bool) {
        self.0.up(up);
    }
    fn synced(&self) {
        self.0.synced(SystemTime::now());
    }
    fn update(&self, kind: &'static str) {
        self.0.update(kind);
    }
    fn skipped(&self, code: Code) {
        self.0.skipped(code.label());
    }
    fn watch_restarted(&self, cause: &'static str) {
        self.0.watch_restarted(cause);
    }
}
