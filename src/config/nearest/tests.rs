use super::{distance, nearest};

#[test]
fn distances_count_single_letters_and_swapped_neighbours() {
    let cases = [
        ("", "", 0),
        ("listen", "listen", 0),
        ("lisen", "listen", 1),
        ("lsiten", "listen", 1),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("deadline", "read_deadline", 5),
    ];
    for (from, to, expected) in cases {
        assert_eq!(distance(from, to), expected, "{from} {to}");
        assert_eq!(distance(to, from), expected, "{to} {from}");
    }
}

#[test]
fn only_a_near_word_is_proposed() {
    let known = ["listen", "service", "registry", "protocol"];
    assert_eq!(nearest("lsten", known), Some("listen"));
    assert_eq!(nearest("regsitry", known), Some("registry"));
    assert_eq!(nearest("weight", known), None);
    assert_eq!(nearest("", known), None);
}
