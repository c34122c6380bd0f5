//! What is said where the rules cannot be had.

use crate::bench::{Bench, Tool};
use crate::peer::Peer;

const APPLY: &str = "--apply --uid 0 --ports 8888";

#[test]
fn without_the_capability_it_is_named() {
    Bench::each("without_the_capability_it_is_named", |bench| {
        for flags in [APPLY, "--remove"] {
            let tidegate = bench.tidegate(flags);
            let mut command = bench.command("setpriv");
            command.args(["--bounding-set", "-net_admin"]);
            // What nsenter runs: the last of its arguments, after the dashes.
            let args: Vec<_> = tidegate.get_args().collect();
            let dashes = args.iter().position(|it| *it == "--").unwrap();
            let output = command.args(&args[dashes + 1..]).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(3), "{told}");
            assert!(told.contains("CAP_NET_ADMIN"), "{told}");
            assert!(told.contains("it said: "), "{told}");
        }
    });
}

#[test]
fn a_kernel_without_ipv6_is_told_of_and_fails_nothing() {
    let Some(bench) = Bench::new("a_kernel_without_ipv6", Tool::Iptables) else {
        return;
    };
    let said = "can't initialize ip6tables table `nat'\\: Table does not exist";
    let script = format!("echo \"{}\" >&2; exit 3", said.replace('`', "\\`"));
    for program in ["ip6tables", "ip6tables-restore"] {
        bench.pretend(program, &script);
    }
    let (_, told) = bench.does(APPLY);
    assert!(told.starts_with("IPv6 is not redirected: "), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(
        told.contains("nobody listens at 127.0.0.1:15001 yet"),
        "{told}"
    );
    assert!(
        bench
            .sh("iptables -w -t nat -S OUTPUT")
            .contains("-j TIDEGATE")
    );
    let (_, told) = bench.does("--remove");
    assert_eq!(told, "");
}

#[test]
fn that_nobody_listens_yet_is_told() {
    let Some(bench) = Bench::new("that_nobody_listens_yet_is_told", Tool::Nft) else {
        return;
    };
    let told = |flags: &str| bench.does(&format!("{APPLY} {flags}")).1;
    let nobody = told("");
    let both = "nobody listens at 127.0.0.1:15001 and [::1]:15001 yet";
    assert!(nobody.starts_with(both), "{nobody}");
    assert!(told("--ipv4-only").starts_with("nobody listens at 127.0.0.1:15001 yet"));
    let _server = Peer::listen(&bench.netns, "15001");
    assert_eq!(told(""), "");
}

#[test]
fn a_kernel_without_nat_is_named() {
    for (tool, program, said) in [
        (
            Tool::Iptables,
            "iptables",
            "can't initialize iptables table: Table does not exist (do you need to insmod?)",
        ),
        (
            Tool::Nft,
            "nft",
            "Error: Could not process rule: Operation not supported",
        ),
    ] {
        let Some(bench) = Bench::new("a_kernel_without_nat_is_named", tool) else {
            return;
        };
        bench.pretend(program, &format!("echo \"{said}\" >&2; exit 1"));
        let output = bench.tidegate(APPLY).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(
            told.contains("no nat table") && told.contains(said),
            "{told}"
        );
    }
}
