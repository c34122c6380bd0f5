//! `tidegate run`: the control thread, from a config to an exit code.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Builder;

use super::{App, StartError};
use crate::cli::{self, RunArgs};
use crate::config::Config;
use crate::platform::{Event, Signals};

/// Carries calls until told to stop.
pub fn run(args: RunArgs, config: Config) -> ExitCode {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&StartError::Workers(error)),
    };
    let code = runtime.block_on(serve(&args, config));
    // What is still running has had its time.
    runtime.shutdown_background();
    code
}

async fn serve(args: &RunArgs, config: Config) -> ExitCode {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return fail(&StartError::Workers(error)),
    };
    let app = match App::start(config) {
        Ok(app) => app,
        Err(error) => return fail(&error),
    };
    loop {
        match signals.next().await {
            Event::Stop => break,
            Event::Reload => {
                let _ = app
                    .reload(args.load().map_err(|errors| errors.to_string()))
                    .await;
            }
            Event::ReopenLogs => {}
        }
    }
    stop(&app, &mut signals).await
}

/// Drains; a second signal ends at once.
async fn stop(app: &Arc<App>, signals: &mut Signals) -> ExitCode {
    let again = async { while signals.next().await != Event::Stop {} };
    tokio::select! {
        _ = app.drain() => {}
        () = again => tracing::warn!("told to stop a second time: calls in flight are cut"),
    }
    ExitCode::SUCCESS
}

fn fail(error: &StartError) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(cli::UNABLE)
}
