use super::*;

#[test]
fn every_finding_has_a_remedy_in_one_sentence_that_is_complete_by_itself() {
    for code in Code::ALL {
        for address in ["127.0.0.1:8890", "item.local:1", "nonsense", "\u{1b}[2J\n"] {
            let said = code.remedy_at(address, "kitex/registry-etcd/item/\n1");
            let broken = [":", " on", ".", ";", ","];
            assert!(
                !broken.iter().any(|end| said.ends_with(end)),
                "{code}: {said}"
            );
            for part in [".;", ";;", ": ;", "HOST_IP:", "  ", "\n", "\u{1b}"] {
                assert!(!said.contains(part), "{code}: {part:?} in {said}");
            }
            assert!(
                said.len() > 20 && said != "see tidegate explain",
                "{code}: {said}"
            );
            // Go that compiles: its brackets are paired.
            let count = |c: char| said.matches(c).count();
            assert_eq!(
                (count('('), count('{')),
                (count(')'), count('}')),
                "{code}: {said}"
            );
        }
    }
}

#[test]
fn a_remedy_names_the_port_and_cuts_what_is_long() {
    let said = Code::R02.remedy_at("127.0.0.1:8890", "key");
    for part in [
        "instead of 127.0.0.1:8890: let the server listen by server.WithServiceAddr(&net.TCPAddr{IP: \
         net.ParseIP(\"HOST_IP\"), Port: 8890})",
        "KITEX_PORT_TO_REGISTRY=8890",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let long = "a".repeat(5_000);
    for code in Code::ALL {
        let said = code.remedy_at(&long, &long);
        assert!(said.len() < 800, "{code}: {}", said.len());
    }
}
