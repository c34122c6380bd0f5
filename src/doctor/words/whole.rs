//! What is said of a service or of a registry as a whole.

use std::sync::Arc;

use super::count;
use crate::doctor::report::{What, Whole};
use crate::finding::{Lang, plain};
use crate::outcome::human;
use crate::registry::survey::Elsewhere;

/// What was seen of a service or a registry as a whole; of a registry, `service` is empty.
#[must_use]
pub fn whole(service: &str, whole: &Whole, lang: Lang) -> String {
    let asked = service;
    let service = plain(service);
    match &whole.what {
        What::NoService {
            prefix,
            services,
            nearest,
            names,
            ..
        } => {
            let mut text = none_called(&service, prefix.as_deref(), *services, lang);
            if let Some(nearest) = nearest {
                let nearest = plain(nearest);
                text += &say!(lang, "; nearest: `{nearest}`", "；最接近的是 `{nearest}`");
            }
            if !names.is_empty() {
                let names = quoted(names);
                text += &say!(lang, "; there are {names}", "；现有 {names}");
            }
            text + &elsewhere_in(&whole.what.elsewhere(asked), lang)
        }
        What::Empty => say!(
            lang,
            "`{service}` is there and has no instance",
            "`{service}` 存在，但没有任何实例",
        ),
        What::Gone { last, .. } => {
            let last = plain(last);
            let text = say!(
                lang,
                "`{service}` was registered, last at {last}, and is no more",
                "`{service}` 曾经注册过，最后的地址是 {last}，现在已不在注册中心",
            );
            text + &elsewhere_in(&whole.what.elsewhere(asked), lang)
        }
        What::Nothing { prefix, .. } => {
            let at = prefix
                .as_deref()
                .map_or(String::new(), |it| under(it, lang));
            let text = say!(lang, "no service is registered{at}", "{at}没有注册任何服务");
            text + &elsewhere_in(&whole.what.elsewhere(asked), lang)
        }
        What::Begins(longer) => {
            let longer = quoted(longer);
            say!(
                lang,
                "`{service}` begins {longer}: a Kitex client of `{service}` gets its instances as well",
                "`{service}` 是 {longer} 的开头：调用 `{service}` 的 Kitex 客户端也会拿到后者的实例",
            )
        }
        What::Unregistered(address) => {
            let address = plain(address);
            say!(
                lang,
                "{address} was registered for `{service}` and is no more, and something still listens there",
                "{address} 曾注册为 `{service}` 的实例，现在已不在注册中心，但仍有进程在监听",
            )
        }
        What::OnTrust(n) => on_trust(*n, lang),
        What::OwnBridge(n) => own_bridge(*n, lang),
        What::Member {
            endpoint,
            step,
            text,
        } => format!("{}: {} ({step})", plain(endpoint), plain(text)),
        What::Unread { step, text } => format!("{} ({step})", plain(text)),
        What::Advertises { endpoint, urls } => {
            let (endpoint, urls) = (plain(endpoint), urls.join(", "));
            let urls = plain(&urls);
            say!(
                lang,
                "the cluster behind {endpoint} tells its clients to use {urls}",
                "{endpoint} 背后的集群告诉客户端使用 {urls}",
            )
        }
        What::Slow { endpoint, took } => {
            let (endpoint, took) = (plain(endpoint), human(*took));
            say!(
                lang,
                "{endpoint} took {took} to answer",
                "{endpoint} 用了 {took} 才应答"
            )
        }
    }
}

/// Of an etcd, a member or a service that could not be read: which step failed, and what was said. A file has no steps.
#[must_use]
pub fn unread(whole: &Whole, lang: Lang) -> Option<(String, String)> {
    let (step, said) = match &whole.what {
        What::Member {
            endpoint,
            step,
            text,
        } => (*step, format!("{}: {}", plain(endpoint), plain(text))),
        What::Unread { step, text } if *step != "file" => (*step, plain(text).into_owned()),
        _ => return None,
    };
    let step = match lang {
        Lang::En => step,
        Lang::Zh => chinese(step),
    };
    let step = say!(lang, "the step that failed: {step}", "失败的步骤：{step}");
    Some((step, said))
}

fn on_trust(n: usize, lang: Lang) -> String {
    match lang {
        Lang::En => {
            let n = count(n, "registration");
            format!(
                "{n} at a loopback address (R02), and somebody answers: well while all callers are on this host, and \
                 unless etcd is behind a tunnel or a published port, which looks the same"
            )
        }
        Lang::Zh => format!(
            "{n} 个注册使用回环地址（R02），且有进程应答：只要所有调用方都在本机就没有问题；但如果 etcd 是经隧道或映射端口\
             访问的，看起来也是这样"
        ),
    }
}

fn own_bridge(n: usize, lang: Lang) -> String {
    match lang {
        Lang::En => {
            let n = count(n, "registration");
            format!(
                "{n} at this host's own address on a container bridge (such as docker0), and somebody answers: well \
                 where a server of this host is meant; if it is another host's, that has such an address as well (R04)"
            )
        }
        Lang::Zh => format!(
            "{n} 个注册使用本机在容器网桥（例如 docker0）上的地址，且有进程应答：如果指的就是本机的服务端，就没有问题；如果\
             服务端在别的主机上，那台主机也有同样的地址（R04）"
        ),
    }
}

fn chinese(step: &'static str) -> &'static str {
    match step {
        "name" => "域名",
        "route" => "路由",
        "port" => "端口",
        "password" => "密码",
        "permission" => "权限",
        "answer" => "应答",
        other => other,
    }
}

fn quoted(names: &[Arc<str>]) -> String {
    let names: Vec<String> = names.iter().map(|it| format!("`{}`", plain(it))).collect();
    names.join(", ")
}

fn none_called(service: &str, prefix: Option<&str>, services: Option<usize>, lang: Lang) -> String {
    let at = prefix.map_or(String::new(), |it| under(it, lang));
    match (services, lang) {
        (Some(0), Lang::En) => format!("no services{at}, so none called `{service}`"),
        (Some(0), Lang::Zh) => format!("{at}没有任何服务，也就没有 `{service}`"),
        (Some(n), Lang::En) => format!("{}{at}, none called `{service}`", count(n, "service")),
        (Some(n), Lang::Zh) => format!("{at}有 {n} 个服务，没有一个叫 `{service}`"),
        (None, Lang::En) => format!("no service is called `{service}`{at}"),
        (None, Lang::Zh) => format!("{at}没有叫 `{service}` 的服务"),
    }
}

fn under(prefix: &str, lang: Lang) -> String {
    let prefix = plain(prefix);
    match (prefix.is_empty(), lang) {
        (true, Lang::En) => " under the empty prefix".to_owned(),
        (true, Lang::Zh) => "空前缀下".to_owned(),
        (false, Lang::En) => format!(" under `{prefix}`"),
        (false, Lang::Zh) => format!("`{prefix}` 下"),
    }
}

fn elsewhere_in(elsewhere: &[&Elsewhere], lang: Lang) -> String {
    let one = |it: &&Elsewhere| {
        let (service, at) = (plain(&it.service), under(&it.prefix, lang));
        say!(lang, "`{service}`{at}", "{at}有 `{service}`")
    };
    let all: Vec<String> = elsewhere.iter().take(3).map(one).collect();
    match all.is_empty() {
        true => String::new(),
        false => {
            let all = all.join(match lang {
                Lang::En => ", ",
                Lang::Zh => "，",
            });
            say!(lang, "; but there is {all}", "；但{all}")
        }
    }
}
