//! What `/calls` shows: the calls that failed last and the slowest ones, by service.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::App;
use super::breaker::known_ones;
use crate::discovery::Followed;
use crate::recorder::{Entry, Kind, Recorder, Wanted};

/// What calls without a service are shown under.
const NONE: &str = "none";

impl App {
    /// The calls that are worth a look, a service at a time, each as JSON. It is made as it is taken: all of them
    /// together may be large.
    ///
    /// # Errors
    ///
    /// There is no such service; which there are.
    pub fn calls(
        self: &Arc<Self>,
        wanted: &Wanted,
    ) -> Result<impl Iterator<Item = Value> + Send + use<>, String> {
        let is_wanted = |name: &str| wanted.service.as_deref().is_none_or(|it| it == name);
        let mut followed = self.routes.followed();
        let is_none_wanted = is_wanted(NONE);
        if let Some(name) = &wanted.service
            && !is_none_wanted
            && !followed.iter().any(|it| *it.cluster.name == **name)
        {
            // Those without a service are no service that there is.
            let known: Vec<&str> = followed.iter().map(|it| &*it.cluster.name).collect();
            return Err(format!("no service {name}{}", known_ones(name, &known)));
        }
        followed.retain(|it| is_wanted(&it.cluster.name));
        let (app, wanted) = (self.clone(), wanted.clone());
        let of_one = {
            let wanted = wanted.clone();
            move |it: Arc<Followed>| {
                let cluster = &it.cluster;
                show(&cluster.name, &cluster.name, &cluster.recorder, &wanted)
            }
        };
        let without = is_none_wanted.then_some(app).into_iter();
        let without = without.map(move |app| show(NONE, "", &app.routes.unrouted, &wanted));
        Ok(followed.into_iter().map(of_one).chain(without))
    }
}

/// The calls of a recorder; `to` is whom their explanations speak of.
fn show(service: &str, to: &str, recorder: &Recorder, wanted: &Wanted) -> Value {
    let mut shown = Map::from_iter([("service".to_owned(), service.into())]);
    for (key, kind) in [("failed", Kind::Failed), ("slowest", Kind::Slowest)] {
        if wanted.kind.is_none_or(|it| it == kind) {
            let calls = recorder.calls(kind, wanted.limit);
            let calls = calls.iter().map(|call: &Entry| call.show(to));
            shown.insert(key.to_owned(), calls.collect());
        }
    }
    Value::Object(shown)
}
