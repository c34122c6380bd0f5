//! `tidegate run` and `tidegate demo`: the control thread, from a config to an exit code.

use std::future::pending;
use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use super::control::Face;
use super::{App, StartError};
use crate::admin::{Routes, Server};
use crate::cli::{self, DemoArgs, RunArgs};
use crate::config::{Config, ListenAddr, Log};
use crate::demo;
use crate::log::{self, LogHandle};
use crate::platform::{Event, Signals};

/// Carries calls until told to stop.
pub fn run(args: RunArgs, config: Config) -> ExitCode {
    let log = match log::init(&config.log) {
        Ok(log) => log,
        Err(error) => return fail(&error),
    };
    on_control_thread(async move {
        match serve(args, config, log).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        }
    })
}

/// Shows the whole story on this machine.
pub fn demo(args: DemoArgs) -> ExitCode {
    // Its table is what people look at: only what went wrong with tidegate itself is logged.
    let quiet = Log {
        level: "error".into(),
        ..Log::default()
    };
    let log = match log::init(&quiet) {
        Ok(log) => log,
        Err(error) => return fail(&error),
    };
    on_control_thread(async move {
        let live = io::stdout().is_terminal();
        let args = demo::Args {
            seconds: args.seconds,
            forever: args.forever,
            live,
        };
        let shown = demo::run(args, &mut io::stdout(), |app| expose(app.clone(), &log)).await;
        if shown {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(cli::REFUSED)
        }
    })
}

fn on_control_thread(main: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime: io::Result<Runtime> = Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(main);
            // What is still running has had its time.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(&StartError::Workers(error)),
    }
}

async fn serve(args: RunArgs, config: Config, log: LogHandle) -> Result<(), StartError> {
    let mut signals = Signals::install().map_err(StartError::Workers)?;
    let admin = bind_admin(&config)?;
    for warning in config.warnings() {
        tracing::warn!("config: {warning}");
    }
    let app = App::start(config)?;
    let stop = Arc::new(Notify::new());
    let face = Arc::new(Face {
        app: app.clone(),
        args,
        log,
        stop: stop.clone(),
    });
    for (server, routes) in admin {
        tracing::info!("admin: {} serves {}", server.local_addr(), what(&routes));
        tokio::spawn(server.serve(face.clone(), routes, pending()));
    }
    app.say_summary();
    loop {
        let event = tokio::select! {
            event = signals.next() => event,
            () = stop.notified() => Event::Stop,
        };
        match event {
            Event::Stop => break,
            Event::Reload => {
                // Said in the log, either way.
                let _ = face.reload().await;
            }
            Event::ReopenLogs => match face.log.reopen() {
                Ok(()) => tracing::info!("log files opened again"),
                Err(error) => tracing::error!("cannot open the log file again: {error}"),
            },
        }
    }
    drain(&app, &mut signals).await;
    Ok(())
}

/// Drains; a second signal ends at once.
async fn drain(app: &App, signals: &mut Signals) {
    let again = async { while signals.next().await != Event::Stop {} };
    tokio::select! {
        _ = app.drain() => {}
        () = again => tracing::warn!("told to stop a second time: what is in flight is cut"),
    }
}

/// The admin address, and the one for a remote Prometheus.
fn bind_admin(config: &Config) -> Result<Vec<(Server, Routes)>, StartError> {
    let admin = config
        .admin
        .as_ref()
        .map(|admin| ("[admin]", admin.listen.clone(), Routes::Everything));
    let metrics = config
        .metrics
        .as_ref()
        .map(|m| ("[metrics]", ListenAddr::Tcp(m.listen), Routes::MetricsOnly));
    let mut servers = Vec::new();
    for (name, listen, routes) in admin.into_iter().chain(metrics) {
        match Server::bind(&listen) {
            Ok(server) => servers.push((server, routes)),
            Err(error) => {
                return Err(StartError::Admin {
                    name,
                    who: super::who(&listen),
                    listen,
                    error,
                });
            }
        }
    }
    Ok(servers)
}

fn what(routes: &Routes) -> &'static str {
    match routes {
        Routes::Everything => {
            "/, /metrics, /healthz, /readyz, /services, /why, /calls, /config, /reload, /drain, /breaker, /log-level"
        }
        Routes::MetricsOnly => "/metrics, /healthz, /readyz",
    }
}

/// Serves the demo's admin page on a free loopback port; returns its address.
fn expose(app: Arc<App>, log: &LogHandle) -> Option<String> {
    let any = ListenAddr::Tcp(([127, 0, 0, 1], 0).into());
    let server = Server::bind(&any).ok()?;
    let addr = server.local_addr();
    let face = Face {
        app,
        args: RunArgs::default(),
        log: log.clone(),
        stop: Arc::default(),
    };
    tokio::spawn(server.serve(Arc::new(face), Routes::Everything, pending()));
    Some(addr)
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(cli::UNABLE)
}
