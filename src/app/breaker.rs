//! What a person does to breakers, over the admin address.

use std::sync::Arc;

use tokio::time::Instant;

use super::App;
use crate::admin::{BreakerOrder, Wanted};
use crate::breaker::{Breaker, ahead};
use crate::cluster::{Cluster, Method};
use crate::config::nearest;
use crate::registry::brief;

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
        let (cluster, now) = (&found.cluster, Instant::now());
        let whose = match &order.method {
            Some(name) => {
                let method = method(cluster, name)?;
                method
                    .breaker
                    .iter()
                    .for_each(|it| act(it, order.wanted, now));
                format!("the breaker of {service}.{name}")
            }
            None => {
                act_on_all(cluster, order.wanted, now);
                all_of(cluster)
            }
        };
        Ok(match order.wanted {
            Wanted::Reset => format!("reset {whose}"),
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

fn act_on_all(cluster: &Cluster, wanted: Wanted, now: Instant) {
    match wanted {
        Wanted::Forced(to, span) => {
            let left = ahead(span);
            tracing::warn!(service = %cluster.name, "all breakers forced {to} for {left}");
            cluster.methods.force(to, now + span, now);
        }
        Wanted::Reset => {
            tracing::info!(service = %cluster.name, "all breakers reset");
            cluster.methods.reset(now);
        }
    }
}

/// `all breakers of shop.item (2 methods have one, the others likewise)`.
fn all_of(cluster: &Cluster) -> String {
    let have = match cluster.methods.all().len() {
        0 => "no method has one yet".to_owned(),
        1 => "1 method has one".to_owned(),
        n => format!("{n} methods have one"),
    };
    format!(
        "all breakers of {} ({have}, the others likewise)",
        cluster.name
    )
}

/// The one that is named.
fn method(cluster: &Cluster, name: &str) -> Result<Arc<Method>, String> {
    let all = cluster.methods.all();
    if let Some(found) = all.iter().find(|it| *it.name == *name) {
        return Ok(found.clone());
    }
    let service = &cluster.name;
    let known: Vec<&str> = all.iter().map(|it| &*it.name).collect();
    let known = match known.is_empty() {
        true => String::new(),
        false => known_ones(name, &known),
    };
    Err(format!(
        "no method {name} of {service} has a breaker{known} (a method has one from its first reply on, or where the \
         config names it in [service.method.NAME]; without method= all calls of {service} are meant)"
    ))
}

/// The nearest of those known, or some of them.
pub(super) fn known_ones(name: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(name, known.iter().copied()) {
        return format!(": did you mean {}?", brief(near));
    }
    let more = match known.len() {
        0 => return ": there is none".to_owned(),
        n if n > LISTED => format!(" and {} more", n - LISTED),
        _ => String::new(),
    };
    let some: Vec<_> = known.iter().take(LISTED).map(|it| brief(it)).collect();
    format!(": there is {}{more}", some.join(", "))
}
