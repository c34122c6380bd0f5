//! The demo, run for a few seconds with its output captured.
#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tidegate::demo::{Args, run};
use tokio::time::{sleep, timeout};

const SECONDS: u64 = 3;

async fn shown(live: bool) -> (bool, String) {
    let args = Args {
        seconds: SECONDS,
        forever: false,
        live,
    };
    let mut out = Vec::new();
    let ran = run(args, &mut out, |app| {
        assert_eq!(app.listeners().len(), 2);
        Some("127.0.0.1:9".to_owned())
    });
    let showed = timeout(Duration::from_secs(60), ran).await.unwrap();
    (showed, String::from_utf8(out).unwrap())
}

/// The addresses in a text.
fn addresses(text: &str) -> Vec<SocketAddr> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    let mut found: Vec<SocketAddr> = words
        .filter_map(|w| w.trim_matches([':', '.']).parse().ok())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The number before `word` in the line of the summary that contains `of`.
fn number(text: &str, of: &str, word: &str) -> u64 {
    let (_, summary) = text.split_once("\nsummary\n").unwrap();
    let line = summary.lines().find(|l| l.contains(of)).unwrap();
    let (before, _) = line.split_once(word).unwrap();
    before.split_whitespace().last().unwrap().parse().unwrap()
}

/// The number after `word`, likewise.
fn number_after(text: &str, of: &str, word: &str) -> u64 {
    let (_, summary) = text.split_once("\nsummary\n").unwrap();
    let line = summary.lines().find(|l| l.contains(of)).unwrap();
    let (_, after) = line.split_once(word).unwrap();
    let digits: String = after
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap()
}

#[tokio::test]
async fn it_shows_answered_calls_a_dead_address_that_is_down_and_a_silent_one_with_few_calls() {
    let (showed, text) = shown(false).await;
    println!("{text}");
    assert!(showed, "{text}");
    let sent = number(&text, "calls sent", "calls sent");
    let answered = number(&text, "calls sent", "answered");
    assert!(answered > 50 && answered <= sent, "{text}");
    assert_eq!(number_after(&text, "(nobody there)", "failed"), 0, "{text}");
    assert!(text.contains("(nobody there): down;"), "{text}");
    let swallowed = number_after(&text, "(never answers)", "received");
    assert!(swallowed * 5 < sent, "{text}");
    assert!(
        number_after(&text, "(never answers)", "failed") <= swallowed,
        "{text}"
    );
    for told in [
        "out of the registry file",
        "back into the registry file",
        "http://127.0.0.1:9/metrics",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    everything_ended(&text).await;
}

#[tokio::test]
async fn on_a_terminal_the_table_is_drawn_over_itself() {
    let (showed, text) = shown(true).await;
    assert!(showed, "{text}");
    // Lines between two erasures are as many as the second one takes away.
    let mut drawn = None;
    for frame in text.split("\x1b[?7l").skip(1) {
        let (table, after) = frame.split_once("\x1b[?7h").unwrap();
        let up = after
            .split_once("\x1b[")
            .and_then(|(_, rest)| rest.split_once('A'));
        if let Some((up, _)) = up {
            assert_eq!(up.parse::<usize>().unwrap(), table.matches('\n').count());
            drawn = Some(drawn.unwrap_or(0) + 1);
        }
    }
    assert!(drawn > Some(3), "{text}");
    everything_ended(&text).await;
}

/// Nobody listens any more at any address that was shown, and the registry file is gone.
async fn everything_ended(text: &str) {
    let shown = addresses(text);
    assert!(shown.len() >= 7, "{shown:?}");
    for addr in shown {
        let mut left = 100;
        while TcpStream::connect(addr).is_ok() {
            left -= 1;
            assert!(left > 0, "{addr} still listens");
            sleep(Duration::from_millis(50)).await;
        }
    }
    let file = text
        .lines()
        .find_map(|l| l.trim().strip_prefix("registry "))
        .unwrap();
    let file = file.trim().split(" (").next().unwrap();
    assert!(!std::path::Path::new(file).exists(), "{file}");
}
