#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_cancelled_watch_is_understood_by_its_words() {
    let cases = [
        ("", 12, Kind::Compacted, "compacted"),
        ("etcdserver: invalid auth token", 0, Kind::Token, "token"),
        (
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
            0,
            Kind::Denied,
            "denied",
        ),
        ("etcdserver: no leader", 0, Kind::Away, "no_leader"),
        ("", 0, Kind::Away, "unreachable"),
    ];
    for (reason, compacted, kind, cause) in cases {
        let fault = Fault::canceled(reason, compacted);
        assert_eq!((fault.kind, fault.cause()), (kind, cause), "{reason}");
    }
}

#[test]
fn the_same_code_with_other_words_is_another_fault() {
    let compacted = kind_of_message("etcdserver: mvcc: required revision has been compacted");
    let too_large = kind_of_message(
        "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
    );
    assert_eq!(
        (compacted, too_large),
        (Some(Kind::Compacted), Some(Kind::TooLarge))
    );
    assert_eq!(kind_of_message("transport error"), None);
}

#[test]
fn only_what_a_person_must_change_is_final() {
    let is_final = |kind| Fault::new(kind, "").is_final();
    assert!(is_final(Kind::Denied) && is_final(Kind::Credentials));
    for kind in [
        Kind::Away,
        Kind::Token,
        Kind::AuthOff,
        Kind::Compacted,
        Kind::TooLarge,
    ] {
        assert!(!is_final(kind), "{kind:?}");
    }
}

#[test]
fn tls_faults_have_a_code_of_their_own() {
    let code = |text: &str| Fault::new(Kind::Away, text).code();
    assert_eq!(code("invalid peer certificate: UnknownIssuer"), Code::E07);
    assert_eq!(code("tcp connect error: Connection refused"), Code::E01);
}

#[test]
fn a_silent_close_over_tls_hints_at_the_missing_certificate() {
    let closed = || Fault::new(Kind::Away, "stream closed because of a broken pipe");
    let hinted = closed().at("https://etcd:2379", false);
    assert!(
        hinted.text.contains("https://etcd:2379") && hinted.text.contains("client certificate")
    );
    assert_eq!(hinted.code(), Code::E07);
    for other in [
        closed().at("http://etcd:2379", false),
        closed().at("https://etcd:2379", true),
    ] {
        assert!(!other.text.contains("certificate"), "{}", other.text);
    }
}
