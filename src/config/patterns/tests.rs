#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_star_stands_for_any_run_of_characters() {
    let cases = [
        ("shop.item", "shop.item", true),
        ("shop.item", "shop.items", false),
        ("shop.*", "shop.item", true),
        ("shop.*", "shop.", true),
        ("shop.*", "shopping", false),
        ("*", "anything", true),
        ("*.v2", "shop.item.v2", true),
        ("*.v2", "shop.item.v21", false),
        ("a*b*c", "aXbXbXc", true),
        ("a*b*c", "aXcXb", false),
        ("**", "", true),
    ];
    for (pattern, name, expected) in cases {
        let pattern = Pattern::new(pattern).unwrap();
        assert_eq!(pattern.matches(name), expected, "{pattern} {name}");
    }
}

#[test]
fn what_comes_before_the_first_star_bounds_the_names() {
    assert_eq!(Pattern::new("shop.*.v2").unwrap().literal(), "shop.");
    assert_eq!(Pattern::new("shop.item").unwrap().literal(), "shop.item");
    assert_eq!(
        Pattern::new("shop.item").unwrap().exact(),
        Some("shop.item")
    );
    assert_eq!(Pattern::new("*").unwrap().exact(), None);
}

#[test]
fn a_name_fits_several_patterns_if_it_fits_one() {
    let pattern = |text| Pattern::new(text).unwrap();
    let patterns = Patterns::new(vec![pattern("shop.*"), pattern("stock")]).unwrap();
    for (name, expected) in [("shop.item", true), ("stock", true), ("stocks", false)] {
        assert_eq!(patterns.matches(name), expected, "{name}");
    }
    assert_eq!(patterns.to_string(), "\"shop.*\", \"stock\"");
    assert!(Patterns::all().matches("anything"));
    assert_eq!(Patterns::new(Vec::new()), None);
}

#[test]
fn what_no_name_can_hold_is_no_pattern() {
    for text in ["", "a/b", "a b", "a\n", &"x".repeat(256)] {
        assert_eq!(Pattern::new(text), Err(NoPattern), "{text:?}");
    }
}
