#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;

use super::{parse_duration, parse_size, show_duration, show_size};

#[test]
fn durations_read_as_people_write_them() {
    let cases = [
        ("250ms", 250_000_000),
        ("1.2s", 1_200_000_000),
        ("0.5ms", 500_000),
        ("1m 30s", 90_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("2d", 172_800_000_000_000),
        ("10us", 10_000),
        ("7ns", 7),
        (" 3s ", 3_000_000_000),
        ("0s", 0),
    ];
    for (text, nanos) in cases {
        assert_eq!(
            parse_duration(text),
            Some(Duration::from_nanos(nanos)),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_duration_is_refused() {
    let cases = [
        "",
        " ",
        "3",
        "s",
        "3 s",
        "-1s",
        "1.s",
        ".5s",
        "1.2.3s",
        "1s2",
        "5 minutes",
        "1S",
        "1µs",
        "99999999999999999999s",
        "1000000d",
        "1.0000000000001s",
        "1e3s",
        "∞",
    ];
    for text in cases {
        assert_eq!(parse_duration(text), None, "{text:?}");
    }
}

#[test]
fn sizes_read_as_people_write_them() {
    let cases = [
        ("16MiB", 16 << 20),
        ("64 KiB", 64 << 10),
        ("1GiB", 1 << 30),
        ("512B", 512),
        ("512", 512),
        ("0", 0),
    ];
    for (text, bytes) in cases {
        assert_eq!(parse_size(text), Some(bytes), "{text}");
    }
    for text in [
        "",
        "MiB",
        "1.5MiB",
        "-1",
        "16MB",
        "16mib",
        "99999999999GiB",
        "1 2B",
    ] {
        assert_eq!(parse_size(text), None, "{text:?}");
    }
}

#[test]
fn what_is_shown_is_short() {
    let shown = |millis| show_duration(Duration::from_millis(millis));
    let cases = [
        (0, "0s"),
        (250, "250ms"),
        (1200, "1.2s"),
        (1001, "1.001s"),
        (4000, "4s"),
        (90_000, "90s"),
        (120_000, "2m"),
        (3_600_000, "1h"),
    ];
    for (millis, text) in cases {
        assert_eq!(shown(millis), text);
    }
    assert_eq!(show_size(16 << 20), "16MiB");
    assert_eq!(show_size(1025), "1025B");
    assert_eq!(show_size(0), "0B");
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_the_same(nanos: u64, bytes: u64) {
        let duration = Duration::from_nanos(nanos);
        prop_assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        prop_assert_eq!(parse_size(&show_size(bytes)), Some(bytes));
    }

    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,20}") {
        let _ = (parse_duration(&text), parse_size(&text));
    }
}
