#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Result<Services, String> {
    parse(Path::new("items.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn instances_are_grouped_by_service_and_say_their_line() {
    let text = r#"
[[instance]]
service = "item"
address = "10.0.0.1:8888"

[[instance]]
service = "item-v2"
address = "10.0.0.9:8888"

[[instance]]
service = "item"
address = "10.0.0.2:8888"
weight = 30
tags = { zone = "b" }
"#;
    let services = parsed(text).unwrap();
    assert_eq!(services.keys().collect::<Vec<_>>(), ["item", "item-v2"]);
    let items = &services["item"];
    assert_eq!(
        (items[0].address.as_str(), items[0].weight),
        ("10.0.0.1:8888", 10)
    );
    assert_eq!((items[1].weight, items[1].tags["zone"].as_str()), (30, "b"));
    assert_eq!(items[0].key, "items.toml:2");
    assert_eq!(items[1].key, "items.toml:10");
}

#[test]
fn an_empty_file_has_no_instances() {
    assert_eq!(parsed("").unwrap(), Services::new());
}

#[test]
fn faults_name_file_line_and_column() {
    let cases = [
        ("x = ", "items.toml:1:5: "),
        (
            "\n[[instance]]\nservice = \"a\"\naddress = \"b:1\"\nwight = 3\n",
            "items.toml:5:1: unknown field `wight`",
        ),
        (
            "[[instance]]\nservice = \"a\"\naddress = \"b:1\"\nweight = 0\n",
            "items.toml:4:10: weight must be",
        ),
        (
            "[[instance]]\nservice = \"a\"\naddress = \"b:1\"\nweight = -1\n",
            "items.toml:4:10: ",
        ),
        (
            "[[instance]]\nservice = \"a\"\n",
            "items.toml:1:1: missing field `address`",
        ),
        (
            "[[instances]]\n",
            "items.toml:1:3: unknown field `instances`",
        ),
    ];
    for (text, expected) in cases {
        let error = parsed(text).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}|(\\[\\[instance\\]\\]|service|=|\"é\"|\n|-?[0-9]{1,20}|weight){0,30}") {
        let _ = parsed(&text);
    }
}
