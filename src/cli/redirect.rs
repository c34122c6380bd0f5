//! `tidegate iptables`: the firewall's rules that send this host's own connections to a transparent listener.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Done, RunArgs, UNABLE, USAGE, complain, print, tell};
use crate::config::{Admin, Config, ListenAddr, Registry, parse_duration};
use crate::platform;
use crate::redirect::{self, ETCD_PORTS, Exclude, Failed, Own, PORT, Ports, Rules, Step, Wanted};
use crate::redirect::{iptables, nft};

/// Whose connections are redirected, and which.
#[derive(Args, Clone, Debug)]
pub(super) struct RedirectArgs {
    /// The user that tidegate runs as, by name or number: its traffic is never redirected
    #[arg(long, value_name = "USER")]
    uid: Option<String>,
    /// The group that tidegate runs as: the same
    #[arg(long, value_name = "GROUP")]
    gid: Option<String>,
    /// The firewall mark of tidegate's own connections: the same; such as 42 or 0x2a
    #[arg(long, value_name = "N", value_parser = mark)]
    mark: Option<NonZeroU32>,
    /// The destination ports that are redirected, such as 8888,9000-9100
    #[arg(long, value_name = "PORTS")]
    ports: Option<Ports>,
    /// All destination ports, instead
    #[arg(long, conflicts_with = "ports")]
    all_ports: bool,
    /// The transparent listener's port
    #[arg(long, value_name = "PORT", default_value_t = PORT, value_parser = clap::value_parser!(u16).range(1..))]
    to: u16,
    /// Destinations that are never redirected: a network, an address or ports; may be repeated
    #[arg(long, value_name = "CIDR|PORTS")]
    exclude: Vec<Exclude>,
    /// Redirect connections to loopback addresses too
    #[arg(long)]
    loopback: bool,
    /// Leave IPv6 alone
    #[arg(long)]
    ipv4_only: bool,
    /// A config file of tidegate's: its etcd's ports are never redirected, nor, on loopback, its own
    #[arg(short, long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Use nft instead of iptables and ip6tables
    #[arg(long)]
    nft: bool,
    /// Put the rules in place, instead of what an earlier --apply put there
    #[arg(long, conflicts_with = "remove")]
    apply: bool,
    /// Take away what --apply of the same tool put there
    #[arg(long)]
    remove: bool,
    /// With --remove: first stop redirecting, then wait at most so long for redirected connections to end, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "remove")]
    drain: Option<Duration>,
    /// Print what would be run, and run nothing (the default without --apply and --remove)
    #[arg(long)]
    print: bool,
}

fn mark(text: &str) -> Result<NonZeroU32, &'static str> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    number.and_then(NonZeroU32::new).ok_or(
        "expected a number from 1 to 4294967295, such as 42 or 0x2a (0 is what every other connection has)",
    )
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("expected a duration, such as 30s")
}

/// Prints or runs what is asked for.
pub(super) fn redirect(args: &RedirectArgs) -> Done {
    let runs = (args.apply || args.remove) && !args.print;
    if runs && !cfg!(target_os = "linux") {
        let text = "iptables and nft are Linux's: elsewhere the rules can only be printed";
        return Err(complain(UNABLE, text));
    }
    let steps = steps(args, runs)?;
    if !runs {
        print(shown(args, &steps).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    redirect::run(&steps).map_err(|failed| complain(UNABLE, failed))?;
    if let Some(nobody) = args.apply.then(|| nobody_listens(args, &steps)).flatten() {
        tell(nobody);
    }
    if redirect::left_by(args.nft) {
        let (tool, flag) = if args.nft {
            ("iptables", "")
        } else {
            ("nft", " --nft")
        };
        tell(format_args!(
            "rules of tidegate's by {tool} are there as well: tidegate iptables{flag} --remove takes them away"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Where redirected connections will be refused, in one line. Right in a pod that starts, a mistake elsewhere.
fn nobody_listens(args: &RedirectArgs, steps: &[Step]) -> Option<String> {
    let mut addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
    let fed = |tool| {
        let by = |step: &Step| matches!(step, Step::Feed(run, _) if run.program == tool);
        steps.iter().any(by)
    };
    let nft = fed("nft") && !args.ipv4_only && !platform::lacks_ipv6();
    if nft || fed("ip6tables-restore") {
        addresses.push(Ipv6Addr::LOCALHOST.into());
    }
    let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, args.to));
    let idle = sockets.filter(|at| platform::who_listens(*at).is_none());
    let idle: Vec<_> = idle.map(|at| at.to_string()).collect();
    let instead = match idle.as_slice() {
        [] => return None,
        [only] if only.starts_with('[') => ", or use --ipv4-only",
        _ => "",
    };
    let idle = idle.join(" and ");
    Some(format!(
        "nobody listens at {idle} yet: until tidegate does, connections that are redirected there are refused{instead}"
    ))
}

/// For a shell; nft's rules for `nft -f`.
fn shown(args: &RedirectArgs, steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let _ = match step {
            Step::Feed(_, script) if args.nft => write!(text, "{script}"),
            step => write!(text, "{step}"),
        };
    }
    text
}

fn steps(args: &RedirectArgs, runs: bool) -> Result<Vec<Step>, ExitCode> {
    let wanted = if args.remove {
        None
    } else {
        Some(rules(args)?)
    };
    let drain = args.drain.map(|at_most| (args.to, at_most));
    if args.nft {
        let family = if platform::lacks_ipv6() {
            nft::Family::Ip
        } else {
            nft::Family::Inet
        };
        return Ok(match wanted {
            Some(rules) => nft::apply(&rules, family),
            None => nft::remove(family, drain),
        });
    }
    let v4 = iptables::Family::V4;
    if runs && wanted.is_some() {
        redirect::look_for_nat(v4).map_err(|failed| complain(UNABLE, failed))?;
    }
    let mut families = vec![v4];
    match ipv6_trouble(runs) {
        None => families.push(iptables::Family::V6),
        Some(_) if args.remove || args.ipv4_only => {}
        Some(why) => tell(format_args!("IPv6 is not redirected: {why}")),
    }
    Ok(match wanted {
        Some(rules) => iptables::apply(&rules, &families),
        None => iptables::remove(&families, drain),
    })
}

/// Why IPv6 is left out, in one line. What is only printed may be meant for another host.
fn ipv6_trouble(runs: bool) -> Option<String> {
    if platform::lacks_ipv6() {
        return Some("the kernel has none".into());
    }
    if !runs {
        return None;
    }
    match redirect::look_for_nat(iptables::Family::V6) {
        // Then nothing at all can be changed, which is for the first step to say.
        Ok(()) | Err(Failed::NoPermission { .. }) => None,
        Err(failed) => {
            let text = failed.to_string();
            Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}

fn rules(args: &RedirectArgs) -> Result<Rules, ExitCode> {
    let known = known(args)?;
    let Some(ports) = args.ports.clone().or(args.all_ports.then(Ports::all)) else {
        let text = "give --ports, the destination ports to redirect, such as 8888,9000-9100; or --all-ports";
        return Err(complain(USAGE, text));
    };
    let own = Own {
        uid: id(args.uid.as_deref(), "user", "--uid", platform::user_id)?,
        gid: id(args.gid.as_deref(), "group", "--gid", platform::group_id)?,
        mark: args.mark,
    };
    doubts(args, &known);
    let never = ports.and(&known.etcd).show("-", ", ");
    let rules = Rules::new(Wanted {
        own,
        ports,
        to: args.to,
        exclude: args.exclude.clone(),
        etcd: known.etcd,
        here: known.here,
        loopback: args.loopback,
        ipv4_only: args.ipv4_only,
    });
    let rules = rules.map_err(|bad| complain(USAGE, bad))?;
    if args.ports.is_some() && !never.is_empty() {
        tell(format_args!(
            "not redirected, since etcd is there: port {never}"
        ));
    }
    Ok(rules)
}

/// What the flags and the config say differently.
fn doubts(args: &RedirectArgs, known: &Known) {
    let Some((transparent, mark)) = &known.config else {
        return;
    };
    if transparent.and(&Ports::from_iter([args.to])).is_empty() {
        let at = match transparent.is_empty() {
            true => "none".to_owned(),
            false => transparent.show("-", ", "),
        };
        tell(format_args!(
            "the config has no transparent listener at port {}, which connections are sent to (--to); it has {at}",
            args.to
        ));
    }
    if let Some(asked) = args.mark.filter(|asked| asked.get() != *mark) {
        tell(format_args!(
            "the config has `mark = {mark}` in [runtime], and --mark is {asked}: tidegate's own connections would come back to it"
        ));
    }
}

/// Ports that a config tells, beside those that are known anyway.
struct Known {
    etcd: Ports,
    here: Ports,
    /// Where the config has transparent listeners, and its mark, if a config was given.
    config: Option<(Ports, u32)>,
}

fn known(args: &RedirectArgs) -> Result<Known, ExitCode> {
    let mut known = Known {
        etcd: Ports::from_iter(ETCD_PORTS),
        here: Ports::from_iter(port(&Admin::default().listen)),
        config: None,
    };
    if !args.config.is_empty() {
        let config = RunArgs {
            config: args.config.clone(),
            ..RunArgs::default()
        };
        let config = config.load().map_err(|errors| complain(USAGE, errors))?;
        known.etcd.add(&config_etcd(&config));
        known.here = config_here(&config);
        let transparent = config.listeners.iter().filter(|it| it.transparent);
        let at = transparent.filter_map(|it| port(&it.listen)).collect();
        known.config = Some((at, config.runtime.mark));
    }
    Ok(known)
}

fn config_etcd(config: &Config) -> Ports {
    let etcds = config.registries.iter().filter_map(|it| match it {
        Registry::Etcd(etcd) => Some(&etcd.endpoints),
        Registry::File(_) => None,
    });
    let port = |url: &String| url.trim_end_matches('/').rsplit_once(':')?.1.parse().ok();
    etcds.flatten().filter_map(port).collect()
}

fn config_here(config: &Config) -> Ports {
    let admin = config.admin.iter().filter_map(|it| port(&it.listen));
    let metrics = config.metrics.iter().map(|it| it.listen.port());
    let listeners = config.listeners.iter().filter_map(|it| port(&it.listen));
    admin.chain(metrics).chain(listeners).collect()
}

fn port(address: &ListenAddr) -> Option<u16> {
    match address {
        ListenAddr::Tcp(address) => Some(address.port()),
        ListenAddr::Unix(_) => None,
    }
}

/// The number of a user or a group, given by itself or by name.
fn id(
    text: Option<&str>,
    what: &str,
    flag: &str,
    look_up: fn(&str) -> std::io::Result<Option<u32>>,
) -> Result<Option<u32>, ExitCode> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(number) = text.parse() {
        return Ok(Some(number));
    }
    let trouble = match look_up(text) {
        Ok(Some(number)) => return Ok(Some(number)),
        Ok(None) => format!("{flag}: there is no {what} `{text}` here; give the number"),
        Err(cause) => {
            format!("{flag}: no {what}s can be looked up here ({cause}); give the number")
        }
    };
    Err(complain(USAGE, trouble))
}
