//! `tidegate demo`: the main job on this machine, with nothing else installed.
//!
//! Five addresses are registered in a file: two healthy instances, a slow one, one where nobody listens, one that
//! accepts and never answers. The real proxy ([`App`]) carries the calls of a few callers to them, and what becomes
//! of each address is shown while it happens. Midway a healthy instance is taken out of the file, and put back.
//! Everything is in this process and on loopback.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::app::App;

mod client;
mod instance;
mod scene;
mod screen;
mod stage;
mod story;
mod tally;
mod wire;

use scene::Scene;
use screen::Screen;
use stage::{Role, Stage, StageError};

/// How the demo runs.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    /// How long it lasts, in seconds, at least 1; with `forever`, how long one round of the story lasts.
    pub seconds: u64,
    /// Goes on until Ctrl-C.
    pub forever: bool,
    /// What it writes to is a terminal: the table is drawn in place. Else there is one line a second.
    pub live: bool,
}

/// The parts of the time when the instance leaves the registry, and is back in it.
const ABSENT: std::ops::Range<f64> = 0.4..0.7;
/// How often the story goes on.
const BEAT: Duration = Duration::from_millis(50);

/// Runs the demo on the current runtime, and writes what happens to `out`. Ends after its time or at Ctrl-C.
///
/// `admin` is called once, with the proxy that has started: it may serve its admin address, on this runtime, and
/// returns that address to be shown.
///
/// True if it showed what it should: calls were answered, and the address where nobody listens was down. False if not,
/// if it could not be set up (`out` says why), or if `out` could not be written.
pub async fn run(
    args: Args,
    out: &mut (dyn Write + Send),
    admin: impl FnOnce(&Arc<App>) -> Option<String>,
) -> bool {
    let mut screen = Screen::new(out, args.live);
    match play(args, &mut screen, admin).await {
        Ok(showed) => showed,
        Err(Stop::Stage(error)) => {
            // Nobody reads it if that cannot be written either; the exit code still says so.
            let _ = screen.say(&format!("{error}\n"));
            false
        }
        Err(Stop::Out(_)) => false,
    }
}

/// What ends the demo early.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("nobody reads what the demo writes: {0}")]
    Out(#[from] io::Error),
}

async fn play(
    args: Args,
    screen: &mut Screen<'_>,
    admin: impl FnOnce(&Arc<App>) -> Option<String>,
) -> Result<bool, Stop> {
    let mut stage = Stage::set().await?;
    let admin = admin(&stage.app);
    screen.say(&story::opening(&stage, admin.as_deref()))?;
    stage.begin();
    let began = Instant::now();
    let ended = tokio::select! {
        ended = perform(args, &stage, screen, began) => ended,
        () = interrupted() => Ok(()),
    };
    let last = Scene::look(&stage, began.elapsed());
    let tally = stage.tally.clone();
    let cut = stage.strike().await;
    ended?;
    screen.close(&last)?;
    screen.say(&story::summary(&last, &tally.lock(), cut))?;
    Ok(last.shows_it())
}

/// Shows what happens until the time is over.
async fn perform(
    args: Args,
    stage: &Stage,
    screen: &mut Screen<'_>,
    began: Instant,
) -> Result<(), Stop> {
    let round = Duration::from_secs(args.seconds.max(1));
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut absent, mut due) = (false, screen.every());
    while args.forever || began.elapsed() < round {
        beat.tick().await;
        let elapsed = began.elapsed();
        let now = elapsed.as_secs_f64() / round.as_secs_f64();
        if ABSENT.contains(&now.fract()) != absent {
            absent = !absent;
            stage.register(!absent)?;
            screen.say(&turn(stage, elapsed, absent))?;
        }
        if elapsed >= due {
            due += screen.every();
            screen.show(&Scene::look(stage, elapsed))?;
        }
    }
    Ok(())
}

/// The turn of the story, in words.
fn turn(stage: &Stage, elapsed: Duration, absent: bool) -> String {
    let leaving = stage.cast.iter().find(|actor| actor.role == Role::Leaving);
    let addr = leaving
        .map(|actor| actor.addr.to_string())
        .unwrap_or_default();
    let (at, how) = (
        elapsed.as_secs_f64(),
        if absent { "out of" } else { "back into" },
    );
    format!("{at:>4.1} s  {addr} is put {how} the registry file\n")
}

/// Ends at Ctrl-C; never, where that cannot be noticed.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
