//! One look at the file.

use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::parse::parse;
use super::{Services, read};
use crate::registry::ReadSet;
use crate::registry::survey::{Ask, MemberFault, ServiceSeen, Survey};

/// What a watch would give; `failed` where the file cannot be read, or is broken.
pub(super) async fn survey(path: &Path, ask: Ask) -> Survey {
    let text = read(path).await;
    let services = text.and_then(|text| parse(path, &text).map_err(|error| error.to_string()));
    match services {
        Ok(services) => seen(&services, ask),
        Err(text) => Survey {
            failed: Some(MemberFault {
                code: None,
                step: "file",
                text,
            }),
            ..Survey::default()
        },
    }
}

fn seen(services: &Services, ask: Ask) -> Survey {
    let names = services.keys().map(|name| Arc::from(name.as_str()));
    let names: std::collections::BTreeSet<Arc<str>> = names.collect();
    let asked = match ask.services.is_empty() {
        true => names.iter().cloned().collect(),
        false => ask.services,
    };
    let seen = |name: Arc<str>| {
        let set = ReadSet {
            instances: services.get(&*name).cloned().unwrap_or_default(),
            skipped: Vec::new(),
            at: Instant::now(),
            stale: false,
        };
        ServiceSeen::new(name, set)
    };
    Survey {
        services: asked.into_iter().map(seen).collect(),
        names,
        ..Survey::default()
    }
}
