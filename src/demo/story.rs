//! What is going on, in words.

use std::fmt::Write as _;

use super::scene::{Row, Scene};
use super::stage::{READ_DEADLINE, Role, Stage};
use super::tally::Tally;

/// The opening: what is set up, and where.
pub(super) fn opening(stage: &Stage, admin: Option<&str>) -> String {
    let metrics = match admin {
        Some(addr) => format!("http://{addr}/metrics, and /services for the state of each address"),
        None => "off".to_owned(),
    };
    format!(
        "tidegate demo: instances, registry, proxy and callers, all in this process and on loopback.\n\
         \x20 registry  {} (watched; five addresses)\n\
         \x20 proxy     {} for framed calls; {} for TTHeader calls, which name their service\n\
         \x20 policy    read_deadline {READ_DEADLINE}; suspicious = \"allow\", since every address here is loopback\n\
         \x20           (by default loopback addresses are used only while nothing else is registered)\n\
         \x20 metrics   {metrics}\n\n",
        stage.registry().display(),
        stage.fixed,
        stage.named,
    )
}

/// The totals, in a line.
pub(super) fn totals(scene: &Scene) -> String {
    format!(
        "{:>4.1} s  {} calls sent: {} answered, {} failed, {} on their way",
        scene.elapsed.as_secs_f64(),
        scene.sent,
        scene.answered,
        scene.failed,
        scene.sent - scene.answered.saturating_add(scene.failed).min(scene.sent),
    )
}

/// One line for each address that is odd just now, the newest oddity first.
pub(super) fn oddities(scene: &Scene) -> Vec<String> {
    [Role::Leaving, Role::Nobody, Role::Silent, Role::Slow]
        .into_iter()
        .filter_map(|role| oddity(scene, scene.row(role)?))
        .collect()
}

fn oddity(scene: &Scene, row: &Row) -> Option<String> {
    let (addr, share) = (row.addr, row.share * 100.0);
    match row.role {
        Role::Leaving if row.class.is_none() => Some(format!(
            "{addr} is out of the registry file: no further call, its answers stay at {}",
            row.answered
        )),
        Role::Nobody => Some(
            match row.why.as_deref().and_then(|why| why.split(':').next()) {
                Some(down) => format!("nobody listens at {addr}: {down}, {}", met(row)),
                None => format!("nobody listens at {addr}: no call has met it yet"),
            },
        ),
        Role::Silent if row.failed > 0 => Some(format!(
            "{addr} never answers: after {READ_DEADLINE} callers get an exception; it got {} of {} calls",
            row.received, scene.sent
        )),
        Role::Slow if row.answered > 0 => Some(format!(
            "{addr} is slow: calls go to faster ones, {share:.0} % are left to it"
        )),
        _ => None,
    }
}

fn met(row: &Row) -> String {
    match row.refused {
        0 => "no call met it".to_owned(),
        n => counted(
            n,
            "call met it and went elsewhere",
            "calls met it and went elsewhere",
        ),
    }
}

fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The end: what it all came to.
pub(super) fn summary(scene: &Scene, tally: &Tally, cut: usize) -> String {
    let mut text = format!(
        "\nsummary\n  {} calls sent in {:.1} s: {} answered, {} failed, {} cut off by the demo's end\n",
        scene.sent,
        scene.elapsed.as_secs_f64(),
        scene.answered,
        scene.failed,
        scene.sent - scene.answered.saturating_add(scene.failed).min(scene.sent),
    );
    for row in &scene.rows {
        let _ = writeln!(text, "  {}", cost(row));
    }
    if scene.unplaced > 0 {
        let _ = writeln!(text, "  {} failures name no instance", scene.unplaced);
    }
    for example in tally.examples.values() {
        let _ = writeln!(text, "  callers were told: {example}");
    }
    let _ = match cut {
        0 => writeln!(text, "  the proxy stopped: no connection was cut"),
        n => writeln!(
            text,
            "  the proxy stopped: {} cut",
            counted(n as u64, "connection was", "connections were")
        ),
    };
    text
}

/// What one address cost the callers.
fn cost(row: &Row) -> String {
    let (addr, what) = (row.addr, row.role.what());
    let share = row.share * 100.0;
    match row.role {
        Role::Healthy | Role::Leaving => format!(
            "{addr} ({what}): answered {} ({share:.0} %), failed {}",
            row.answered, row.failed
        ),
        Role::Slow => format!(
            "{addr} ({what}): answered {} ({share:.0} %), failed {}; an even share would have been a third",
            row.answered, row.failed
        ),
        Role::Nobody => format!(
            "{addr} ({what}): {}; {}, failed {}",
            row.state.as_deref().unwrap_or("not registered"),
            met(row),
            row.failed
        ),
        Role::Silent => format!(
            "{addr} ({what}): received {}, failed {}, each after {READ_DEADLINE}",
            row.received, row.failed
        ),
    }
}
