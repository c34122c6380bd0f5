//! `tidegate doctor --recent` of a running one.

use scripted::free;
use scripted::{Load, Plan};

use crate::process::{Tidegate, eventually, listener, service};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recent_calls_of_a_running_one_are_shown() {
    let (listen, down) = (free(), free());
    let config = listener("item", listen, "item") + &service("item", &[down], "");
    let proxy = tokio::task::block_in_place(|| Tidegate::start(&config));
    let _load = Load::start(Plan::new(listen, 50));
    let recent = |args: &[&str]| {
        let all = [&["doctor", "--recent", "-c", "tidegate.toml"], args].concat();
        let output = proxy.command(&all);
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    tokio::task::block_in_place(|| {
        eventually("a failed call is shown", || {
            let (code, text) = recent(&["item"]);
            code == Some(0) && text.contains(&down.to_string())
        });
        let (code, text) = recent(&["item", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (code, &json["services"][0]["service"]),
            (Some(0), &"item".into())
        );
        assert_eq!(recent(&["itme"]).0, Some(1));
        let nobody = proxy.command(&["doctor", "--recent", "--admin", &free().to_string()]);
        assert_eq!(nobody.status.code(), Some(3));
    });
}
