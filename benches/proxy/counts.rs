//! What is counted rather than timed: system calls and memory.

use crate::load;
use crate::machine;
use crate::proxies::{Kind, Places, Proxy};
use crate::report::Goal;
use crate::wire::{Request, Wire};
use std::io;
use std::time::Duration;

/// System calls per call, over 64 busy connections.
pub async fn system_calls(proxies: &[Proxy]) {
    println!("\nsystem calls per call, 64 connections × 256 B");
    for proxy in proxies {
        let Some(pid) = proxy.target.pid else {
            continue;
        };
        match syscalls(proxy, pid).await {
            Ok(count) => println!("  {:9} {count:.2}", proxy.kind.name()),
            Err(e) => println!("  {:9} not counted: {e}", proxy.kind.name()),
        }
    }
}

async fn syscalls(proxy: &Proxy, pid: u32) -> io::Result<f64> {
    const CALLS: usize = 100;
    const CONNECTIONS: usize = 64;
    let request = Request::new(Wire::Framed, 256);
    let callers = load::connect(proxy.target.address, &request, CONNECTIONS).await?;
    let counting = machine::Counting::start(pid)?;
    let mut tasks = tokio::task::JoinSet::new();
    for mut caller in callers {
        tasks.spawn(async move {
            for _ in 0..CALLS {
                caller.call().await?;
            }
            Ok::<_, io::Error>(caller) // kept open, so that no close is counted
        });
    }
    let ended = tasks.join_all().await;
    let count = counting.stop()?;
    for caller in ended {
        caller?;
    }
    Ok(count as f64 / (CALLS * CONNECTIONS) as f64)
}

/// Resident memory at start, and what an idle connection that has made one call adds to it.
pub async fn memory(kinds: &[Kind], places: &Places) -> Vec<Goal> {
    const CONNECTIONS: usize = 2000;
    println!(
        "\nresident memory, each started anew\n  {:9} MiB at start, KiB per idle connection of {CONNECTIONS}",
        ""
    );
    let mut goals = Vec::new();
    for &kind in kinds.iter().filter(|kind| **kind != Kind::Direct) {
        match measure_memory(kind, places, CONNECTIONS).await {
            Ok((start, each)) => {
                println!("  {:9} {start:12.1}  {each:12.2}", kind.name());
                if kind == Kind::Tidegate {
                    goals.push(Goal::new("memory: MiB at start", Some(start), 13.0));
                    goals.push(Goal::new(
                        "memory: KiB per idle connection",
                        Some(each),
                        3.0,
                    ));
                }
            }
            Err(e) => println!("  {:9} not measured: {e}", kind.name()),
        }
    }
    goals
}

async fn measure_memory(kind: Kind, places: &Places, connections: usize) -> io::Result<(f64, f64)> {
    let settle = Duration::from_millis(500);
    let proxy = Proxy::start(kind, places).await?;
    let pid = proxy
        .target
        .pid
        .ok_or_else(|| io::Error::other("no process"))?;
    tokio::time::sleep(settle).await;
    let start = machine::resident(pid)?;
    let callers = load::connect(
        proxy.target.address,
        &Request::new(Wire::Framed, 256),
        connections,
    )
    .await?;
    tokio::time::sleep(settle).await;
    let full = machine::resident(pid)?;
    drop(callers);
    Ok((start / 1024.0, (full - start) / connections as f64))
}
