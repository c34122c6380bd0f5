#![allow(clippy::unwrap_used)]

use super::*;

fn with_endpoints(endpoints: &[&str]) -> EtcdOptions {
    let endpoints = endpoints
        .iter()
        .map(|endpoint| (*endpoint).to_owned())
        .collect();
    EtcdOptions {
        endpoints,
        ..EtcdOptions::default()
    }
}

#[test]
fn a_missing_scheme_follows_from_the_tls_files() {
    let plain = with_endpoints(&["etcd:2379", "https://etcd2:2379"])
        .checked()
        .unwrap();
    assert_eq!(plain.endpoints, ["http://etcd:2379", "https://etcd2:2379"]);
    let tls = EtcdOptions {
        ca: Some("ca.pem".into()),
        ..with_endpoints(&["etcd:2379"])
    };
    assert_eq!(tls.checked().unwrap().endpoints, ["https://etcd:2379"]);
}

#[test]
fn contradictions_are_refused() {
    let one = || with_endpoints(&["http://etcd:2379"]);
    let some = || Some("x".to_owned());
    let cases = [
        (with_endpoints(&[]), EtcdOptionsError::NoEndpoints),
        (
            with_endpoints(&["ftp://etcd:1"]),
            EtcdOptionsError::BadEndpoint("ftp://etcd:1".to_owned()),
        ),
        (
            with_endpoints(&["http://"]),
            EtcdOptionsError::BadEndpoint("http://".to_owned()),
        ),
        (
            with_endpoints(&["et cd"]),
            EtcdOptionsError::BadEndpoint("et cd".to_owned()),
        ),
        (
            EtcdOptions {
                domain: some(),
                ..one()
            },
            EtcdOptionsError::TlsOverHttp("http://etcd:2379".to_owned()),
        ),
        (
            EtcdOptions {
                cert: Some("c".into()),
                ..one()
            },
            EtcdOptionsError::HalfCertificate,
        ),
        (
            EtcdOptions {
                user: some(),
                ..one()
            },
            EtcdOptionsError::HalfUser,
        ),
        (
            EtcdOptions {
                password: some(),
                ..one()
            },
            EtcdOptionsError::HalfUser,
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(options.checked().unwrap_err(), expected);
    }
}

#[test]
fn the_password_is_not_printed() {
    let options = EtcdOptions {
        password: Some("s3cret".to_owned()),
        ..EtcdOptions::default()
    };
    assert!(!format!("{options:?}").contains("s3cret"));
}
