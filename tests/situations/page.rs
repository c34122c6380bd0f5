//! The page "Your Kitex call times out" is true: what stands in it is done on two hosts, and said just so.
//!
//! Marks in the page that nobody sees say what is so: `<!-- lab: NAME -->` makes a situation of [`world`],
//! `<!-- file: NAME -->` makes a file of the next block, `<!-- call -->` says that the next block is what a caller gets
//! through tidegate. Commands of `sh` blocks are run on the caller's host, and the `text` block that follows is compared
//! with what they print: the words, never the numbers, which differ from run to run; a line `…` stands for any lines.
//!
//! With `TIDEGATE_WRITE_PAGE=1` a block that is not true is replaced by what was really said.

mod steps;
mod world;

use std::path::PathBuf;

use crate::netns::inside;
use steps::{Step, cut, has, steps};
use world::World;

const ENGLISH: &str = "docs/your-kitex-call-times-out.md";
const CHINESE: &str = "docs/your-kitex-call-times-out.zh-CN.md";

#[test]
fn the_page_says_what_is_really_said() {
    inside("page::the_page_says_what_is_really_said", || walk(ENGLISH));
}

#[test]
fn the_chinese_page_says_what_is_really_said() {
    let name = "page::the_chinese_page_says_what_is_really_said";
    inside(name, || walk(CHINESE));
}

#[test]
fn quantities_and_line_breaks_may_differ_and_words_and_addresses_may_not() {
    let said = "item: 1 registered\n  10.77.0.1:8888  lease 9s of 60s  refused after 1.2ms\n  R21 left over\n";
    let like = [
        "item: 1 registered\n  10.77.0.1:8888  lease 28s of 60s  refused\n      after 300us  R21 left over\n",
        "…\nlease 1s of 60s\n…\nleft over\n",
    ];
    let unlike = [
        "item: 2 registered\n",
        "10.77.0.1:8889\n",
        "R12 left over\n",
        "left over\n…\nlease 9s\n",
        "",
    ];
    assert!(like.iter().all(|shown| has(said, shown)));
    assert!(unlike.iter().all(|shown| !has(said, shown)));
}

/// Does all that the page says, from its first line to its last.
async fn walk(page: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(page);
    let mut text = std::fs::read_to_string(&path).unwrap();
    let mut world = World::new().await;
    let (mut said, mut untrue, mut compared) = (String::new(), Vec::new(), 0);
    for step in steps(&text) {
        match step {
            Step::Lab(name) => world.make(&name).await,
            Step::File(name, text) => world.write(&name, &text),
            Step::Commands(lines) => said = world.run_all(&lines).await,
            Step::Call => said = world.call().await,
            Step::Said(shown) => {
                compared += 1;
                if !has(&said, &shown) {
                    untrue.push((shown, said.clone()));
                }
            }
        }
    }
    if std::env::var_os("TIDEGATE_WRITE_PAGE").is_some() {
        for (shown, said) in untrue.drain(..) {
            let said = cut(&said, &shown);
            text = text.replacen(
                &format!("```text\n{shown}```"),
                &format!("```text\n{said}```"),
                1,
            );
        }
        std::fs::write(path, text).unwrap();
    }
    for (shown, said) in &untrue {
        eprintln!("{page} shows\n{shown}\nbut this is said:\n{said}");
    }
    assert!(untrue.is_empty(), "{} blocks of {page}", untrue.len());
    assert!(compared >= 15, "only {compared} blocks compared");
}
