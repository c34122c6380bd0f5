//! What the commands that only look have in common: where they look, and how they wait.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use tokio::time::timeout;

use super::ask::{ask, ask_within};
use super::{DEFAULT_FILE, UNABLE, USAGE, complain, tell};
use crate::config::{Admin, Config, Flags, ListenAddr, Registry, parse_duration};
use crate::doctor::own_listeners;
use crate::doctor::words::say;
use crate::finding::Lang;
use crate::registry::{self, DialAddr};

/// How long a tidegate may take to say what it listens on: the registry is read meanwhile.
const BRIEFLY: Duration = Duration::from_millis(300);
/// What a time on the command line may be.
const TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// What a command that only looks goes by: files, an etcd, or both.
#[derive(Args, Clone, Debug)]
pub(super) struct LookArgs {
    /// A config file; several merge left to right [without --etcd: tidegate.toml]
    #[arg(short, long = "config", value_name = "FILE")]
    pub(super) config: Vec<PathBuf>,
    /// An etcd member that holds registrations; several for several members
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    etcd: Vec<String>,
    /// The [admin] address of a running tidegate whose config counts: 127.0.0.1:9901 or unix:/path [asked where there is
    /// no other config]
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["config", "etcd"])]
    pub(super) admin: Option<ListenAddr>,
}

impl LookArgs {
    /// Whether nothing is said but where the registry is.
    pub(super) fn names_a_registry_only(&self) -> bool {
        self.config.is_empty() && !self.etcd.is_empty()
    }

    /// Loads the config: the one that is given, else the one here, else the one that a running tidegate has.
    pub(super) fn load(&self, lang: Lang) -> Result<Config, ExitCode> {
        let flags = Flags {
            etcd: self.etcd.clone(),
            ..Flags::default()
        };
        let mut files = self.config.clone();
        if files.is_empty() && self.etcd.is_empty() {
            if self.admin.is_some() || !Path::new(DEFAULT_FILE).exists() {
                return self.of_running(lang);
            }
            files.push(DEFAULT_FILE.into());
            tell(say!(
                lang,
                "By {DEFAULT_FILE} here; --admin goes by the config of a running tidegate.",
                "按当前目录的 {DEFAULT_FILE}；用 --admin 则按运行中的 tidegate 的配置。",
            ));
        }
        Config::load_to_look(&files, &flags).map_err(|errors| complain(USAGE, errors))
    }

    /// The effective config of the running one.
    fn of_running(&self, lang: Lang) -> Result<Config, ExitCode> {
        let admin = self.admin.clone();
        let admin = admin.unwrap_or_else(|| Admin::default().listen);
        let answer = ask(&admin, &Method::GET, "/config");
        let text = match answer {
            Ok(answer) if answer.status.is_success() => answer.text,
            Ok(answer) => {
                let status = answer.status;
                let why = say!(
                    lang,
                    "{admin} refused: {status}",
                    "{admin} 拒绝了：{status}"
                );
                return Err(complain(UNABLE, why));
            }
            Err(why) => {
                let code = if self.admin.is_some() { UNABLE } else { USAGE };
                return Err(complain(code, format_args!("{}\n{why}", no_config(lang))));
            }
        };
        let name = say!(lang, "the config of {admin}", "{admin} 的配置");
        let config = Config::from_str(&name, &text).map_err(|errors| complain(UNABLE, errors))?;
        if let Some(registry) = config.registries.iter().find(|it| hides_its_password(it)) {
            let name = registry.name();
            let text = say!(
                lang,
                "the tidegate at {admin} does not tell the password of its registry {name}: give its config with -c FILE",
                "{admin} 上的 tidegate 不会说出注册中心 {name} 的密码：请用 -c FILE 指定它的配置",
            );
            return Err(complain(USAGE, text));
        }
        tell(say!(
            lang,
            "As the tidegate at {admin} is configured.",
            "按 {admin} 上运行的 tidegate 的配置。",
        ));
        Ok(config)
    }
}

/// What can be done where there is no config.
fn no_config(lang: Lang) -> String {
    say!(
        lang,
        "expected a config: give files with -c FILE (no tidegate.toml is here), or --etcd URL, or --admin ADDR of a \
         running tidegate, which was asked for at 127.0.0.1:9901 unless told otherwise",
        "缺少配置：请用 -c FILE 指定文件（这里没有 tidegate.toml），或者 --etcd URL，或者用 --admin ADDR 指定运行中的 \
         tidegate，不指定时问的是 127.0.0.1:9901",
    )
}

/// It is printed without it.
fn hides_its_password(registry: &Registry) -> bool {
    match registry {
        Registry::Etcd(etcd) => etcd.password.is_some(),
        Registry::File(_) => false,
    }
}

/// What the tidegate that runs here listens on, if one does and says so at once: nobody asked for it.
pub(super) async fn listeners_here() -> Vec<DialAddr> {
    let admin = Admin::default().listen;
    let asked = timeout(BRIEFLY, ask_within(&admin, &Method::GET, "/config")).await;
    let config = match asked {
        Ok(Ok(answer)) if answer.status.is_success() => Config::from_str("", &answer.text).ok(),
        _ => None,
    };
    config.map_or_else(Vec::new, |it| own_listeners(&it).collect())
}

/// Waits for a look at what is registered.
pub(super) fn looking<T>(look: impl Future<Output = T>) -> Result<T, ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| complain(UNABLE, format_args!("could not begin: {error}")))?;
    let seen = runtime.block_on(look);
    // A name that still resolves is not waited for.
    runtime.shutdown_background();
    Ok(seen)
}

pub(super) fn service_name(text: &str) -> Result<String, &'static str> {
    match registry::is_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("expected the name of a service: up to 255 bytes, no slash, no control characters")
        }
    }
}

pub(super) fn time(text: &str) -> Result<Duration, &'static str> {
    let time = parse_duration(text).filter(|it| TIMES.contains(it));
    time.ok_or("expected a time from 1ms to 1h, such as 1.2s")
}
