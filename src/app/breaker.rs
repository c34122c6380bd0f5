//! What a person does to breakers, over the admin address.

use std::sync::Arc;

use tokio::time::Instant;

use super::App;
use crate::admin::{BreakerOrder, Wanted};
use crate::breaker::{Breaker, ahead};
use crate::cluster::{Cluster, Method};
use crate::config::nearest;

/// How many names a sentence lists.
const LISTED: usize = 8;

impl App {
    /// Forces or resets breakers; says what was done.
    ///
    /// # Errors
    ///
    /// There is no such service or method; which there are.
    pub fn breaker(&self, order: &BreakerOrder) -> Result<String, String> {
        let followed = self.routes.followed();
        let service = &order.service;
        let Some(found) = followed.iter().find(|f| *f.cluster.name == **service) else {
            let known: Vec<&str> = followed.iter().map(|f| &*f.cluster.name).collect();
            return Err(format!(
                "no service {service}{}",
                known_ones(service, &known)
            ));
        };
        let methods = methods(&found.cluster, order.method.as_deref())?;
        let now = Instant::now();
        for breaker in methods.iter().filter_map(|it| it.breaker.as_ref()) {
            act(breaker, order.wanted, now);
        }
        let whose = match &order.method {
            Some(method) => format!("the breaker of {service}.{method}"),
            None => format!("the breakers of {service}, {} methods,", methods.len()),
        };
        Ok(match order.wanted {
            Wanted::Reset => format!("reset {whose}").trim_end_matches(',').to_owned(),
            Wanted::Forced(to, span) => format!("forced {whose} {to} for {}", ahead(span)),
        })
    }
}

fn act(breaker: &Breaker, wanted: Wanted, now: Instant) {
    match wanted {
        Wanted::Forced(to, span) => breaker.force(to, now + span, now),
        Wanted::Reset => breaker.reset(now),
    }
}

/// The one that is named, or all.
fn methods(cluster: &Cluster, named: Option<&str>) -> Result<Vec<Arc<Method>>, String> {
    let all = cluster.methods.all();
    let found: Vec<_> = match named {
        None => all.clone(),
        Some(name) => all.iter().filter(|it| *it.name == *name).cloned().collect(),
    };
    if !found.is_empty() {
        return Ok(found);
    }
    let service = &cluster.name;
    if all.is_empty() {
        return Err(format!(
            "no method of {service} has a breaker yet: a method has one from its first reply on, or where the config \
             names it in [service.method.NAME]"
        ));
    }
    let name = named.unwrap_or_default();
    let known: Vec<&str> = all.iter().map(|it| &*it.name).collect();
    Err(format!(
        "no method {name} of {service} has a breaker{}",
        known_ones(name, &known)
    ))
}

/// The nearest of those known, or some of them.
pub(super) fn known_ones(name: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!(": did you mean {near}?");
    }
    let more = match known.len() {
        0 => return ": there is none".to_owned(),
        n if n > LISTED => format!(" and {} more", n - LISTED),
        _ => String::new(),
    };
    let some = &known[..known.len().min(LISTED)];
    format!(": there is {}{more}", some.join(", "))
}
