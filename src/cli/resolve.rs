//! `tidegate resolve`.

use std::sync::Arc;

use clap::Args;

use super::doctor::{Speak, print_to};
use super::look::{LookArgs, looking, service_name};
use super::{Done, REFUSED, UNABLE, USAGE, complain};
use crate::resolve::{Resolution, Says, json::Json, resolve as look_up, text::render};

/// Which call is asked about.
#[derive(Args, Clone, Debug)]
pub(super) struct ResolveArgs {
    /// The service that is called
    #[arg(value_name = "SERVICE", value_parser = service_name)]
    service: String,
    #[command(flatten)]
    config: LookArgs,
    /// What the call says of itself: env=gray, RPC_PERSIST_LANE=a, source=10.0.0.7; several times for several
    #[arg(long = "with", value_name = "KEY=VALUE")]
    says: Vec<String>,
    #[command(flatten)]
    speak: Speak,
}

pub(super) fn resolve(args: &ResolveArgs) -> Done {
    let mut says = Says::default();
    for pair in &args.says {
        let added = says.add(pair);
        added.map_err(|error| {
            let why = error.said(args.speak.lang());
            complain(USAGE, format_args!("--with {pair:?}: {why}"))
        })?;
    }
    let config = args.config.load(args.speak.lang())?;
    let service: Arc<str> = args.service.as_str().into();
    let resolved = looking(look_up(&config, &service, &says))?;
    let resolved = resolved.map_err(|error| complain(UNABLE, error))?;
    let speak = &args.speak;
    let printed = print_to(|out| match speak.json {
        true => Ok(serde_json::to_writer_pretty(
            out,
            &Json::of(&resolved, speak.lang()),
        )?),
        false => {
            let text = render(&resolved, speak.lang(), speak.has_colour(), speak.width());
            out.write_all(text.trim_end().as_bytes())
        }
    });
    printed.map_err(|error| complain(REFUSED, error))?;
    let exit = resolved.iter().map(Resolution::exit).max();
    Ok(exit.unwrap_or(REFUSED).into())
}
