//! What `/calls` shows: the calls that failed last and the slowest ones, by service.

use serde_json::{Map, Value, json};

use super::App;
use super::breaker::known_ones;
use crate::recorder::{Entry, Kind, Recorder, Wanted};

/// What calls without a service are shown under.
const NONE: &str = "none";

impl App {
    /// The calls that are worth a look, as JSON.
    ///
    /// # Errors
    ///
    /// There is no such service; which there are.
    pub fn calls(&self, wanted: &Wanted) -> Result<Value, String> {
        let followed = self.routes.followed();
        let clusters = followed.iter().map(|it| &*it.cluster);
        let all = clusters.map(|it| (&*it.name, &*it.name, &it.recorder));
        let none = (NONE, "", &self.routes.unrouted);
        let all: Vec<_> = all.chain([none]).collect();
        let is_wanted = |name: &str| wanted.service.as_deref().is_none_or(|it| it == name);
        if let Some(name) = &wanted.service
            && !all.iter().any(|(it, ..)| it == name)
        {
            // Those without a service are no service that there is.
            let names = all.iter().map(|(name, ..)| *name);
            let known: Vec<&str> = names.filter(|name| *name != NONE).collect();
            return Err(format!("no service {name}{}", known_ones(name, &known)));
        }
        let those = all.iter().filter(|(name, ..)| is_wanted(name));
        let shown = those.map(|(name, to, recorder)| show(name, to, recorder, wanted));
        Ok(json!({ "services": shown.collect::<Vec<_>>() }))
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
