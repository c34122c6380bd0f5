//! The rules themselves: put in place, exchanged, taken away.

use crate::bench::{Bench, Tool};

/// Where namespaces are not root's, root is the only user that there is within.
const APPLY: &str =
    "--apply --uid 0 --ports 8888,9000-9100 --exclude 10.1.0.0/16 --exclude fd01::/16";

#[test]
fn to_apply_twice_is_to_apply_once() {
    Bench::each("to_apply_twice_is_to_apply_once", |bench| {
        bench.does(APPLY);
        let once = bench.rules();
        bench.does(APPLY);
        assert_eq!(bench.rules(), once);
        assert!(once.contains("9000"), "{once}");
    });
}

#[test]
fn to_apply_other_ports_leaves_nothing_of_the_former_ones() {
    Bench::each("to_apply_other_ports", |bench| {
        bench.does("--apply --mark 42 --ports 7000-7100 --to 15002");
        let alone = bench.rules();
        bench.does("--remove");
        bench.does(APPLY);
        assert_ne!(bench.rules(), alone);
        bench.does("--apply --mark 42 --ports 7000-7100 --to 15002");
        assert_eq!(bench.rules(), alone);
    });
}

#[test]
fn what_is_printed_does_what_apply_and_remove_do() {
    Bench::each("what_is_printed_does_what_apply_does", |bench| {
        bench.add_another_ones_rule();
        let before = bench.rules();
        bench.does(APPLY);
        let applied = bench.rules();
        bench.pastes("--remove");
        assert_eq!(bench.rules(), before);
        bench.pastes(&APPLY.replace("--apply", ""));
        assert_eq!(bench.rules(), applied);
        bench.pastes(APPLY);
        assert_eq!(bench.rules(), applied);
        let all = "--uid 0 --gid 0 --mark 42 --all-ports --loopback --exclude 22,25";
        bench.pastes(all);
        let pasted = bench.rules();
        bench.does(&format!("{all} --apply"));
        assert_eq!(bench.rules(), pasted);
    });
}

#[test]
fn remove_leaves_nothing_and_touches_no_other_rule() {
    Bench::each("remove_leaves_nothing", |bench| {
        bench.does("--remove");
        bench.add_another_ones_rule();
        let before = bench.rules();
        for _ in 0..2 {
            bench.does("--remove");
            assert_eq!(bench.rules(), before);
        }
        bench.does(APPLY);
        bench.does("--remove");
        assert_eq!(bench.rules(), before);
    });
}

#[test]
fn remove_ends_what_was_half_done() {
    let Some(bench) = Bench::new("remove_ends_what_was_half_done", Tool::Iptables) else {
        return;
    };
    bench.add_another_ones_rule();
    let before = bench.rules();
    for half in [
        "iptables -t nat -N TIDEGATE",
        "ip6tables -t nat -N TIDEGATE",
        "iptables -t nat -N TIDEGATE; for i in 1 2 3; do iptables -t nat -A OUTPUT -p tcp -j TIDEGATE; done",
    ] {
        bench.sh(half);
        bench.does("--remove");
        assert_eq!(bench.rules(), before, "{half}");
    }
    let Some(bench) = Bench::new("remove_ends_what_was_half_done", Tool::Nft) else {
        return;
    };
    bench.sh("nft add table inet tidegate");
    bench.does("--remove");
    assert_eq!(bench.rules(), "");
}

#[test]
fn ipv4_only_takes_away_the_rules_for_ipv6() {
    Bench::each("ipv4_only", |bench| {
        let only = "--apply --uid 0 --ports 8888 --ipv4-only";
        bench.does(only);
        let alone = bench.rules();
        bench.does(APPLY);
        assert_ne!(bench.rules(), alone);
        bench.does(only);
        assert_eq!(bench.rules(), alone);
    });
}

#[test]
fn the_other_tools_rules_are_told_of() {
    let Some(bench) = Bench::new("the_other_tools_rules_are_told_of", Tool::Iptables) else {
        return;
    };
    bench.does(&format!("{APPLY} --nft"));
    let (_, told) = bench.does("--remove");
    assert!(told.contains("tidegate iptables --nft --remove"), "{told}");
    let (_, told) = bench.does("--remove --nft");
    assert_eq!(told, "");
}
