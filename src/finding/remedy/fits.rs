//! Which of a finding's remedies may help a subject.

use super::Subject;
use super::place::{Place, has_a_name_of_its_own};

/// What is of Kitex's registrar, or of etcd's.
const REGISTRAR: [&str; 5] = [
    "KITEX_",
    "etcd.",
    "etcdctl",
    "server.WithServiceAddr",
    "server.WithRegistryInfo",
];
/// What changes an entry.
const CHANGES: [&str; 2] = ["etcdctl put", "etcdctl del"];

/// Gives a host name an address.
const NAMES: &str = "\n\tHOST_IP HOST";

/// Whether a remedy may help this subject.
pub(super) fn fits(remedy: &str, subject: &Subject<'_>, place: &Place<'_>) -> bool {
    let has = |word: &str| remedy.contains(word);
    let any = |words: &[&str]| words.iter().any(|it| has(it));
    let is_wrong = subject.in_file && any(&REGISTRAR)
        || subject.is_of_another_program() && any(&CHANGES)
        // Nothing was registered that could be registered rightly, or be led elsewhere.
        || subject.is_of_another_program() && subject.address.is_empty() && any(&REGISTRAR) && !has("etcdctl")
        || !subject.key.is_empty() && subject.address.is_empty() && has("[[rewrite]]")
        // What is registered is not what is dialled.
        || subject.rule.is_some() && (any(&REGISTRAR) || has("[[rewrite]]") || has(NAMES))
        || has(NAMES) && !subject.address.is_empty() && !has_a_name_of_its_own(subject.address)
        // Neither its name nor the prefix is wrong.
        || subject.was_registered
        // Another prefix is the answer only where one is known, or where nothing nearer is.
        || (subject.prefix.is_some() || subject.nearest.is_some()) && has("\"PREFIX\"")
        || subject.prefix.is_none() && subject.nearest.is_some() && has("NewEtcdResolverWithAuth")
        // The name is right where it stands under another prefix, and only the empty one is those constructors'.
        || subject.prefix.is_some() && has("server.WithServerBasicInfo")
        || subject.prefix.is_some_and(|it| !it.is_empty()) && has("NewEtcdResolverWithAuth")
        // Nobody of this link has an address of another network.
        || subject.elsewhere && has("ip neigh")
        // Who calls through tidegate already needs another of its timeouts.
        || subject.longer.is_some() && has("connect_timeout");
    !is_wrong && fits_step(remedy, subject.step) && !drops_brackets(remedy, place)
}

/// Whether it may help where this step of reaching etcd failed.
fn fits_step(remedy: &str, step: &str) -> bool {
    let is_of_listening = remedy.contains("--listen-client-urls");
    let is_of_a_firewall = remedy.contains("TCP");
    match step {
        "name" => !is_of_listening && !is_of_a_firewall,
        "answer" => !is_of_a_firewall,
        _ => true,
    }
}

/// Kitex drops the brackets of what it registers by these, and leaves an address that nobody can read.
fn drops_brackets(remedy: &str, place: &Place<'_>) -> bool {
    let drops = remedy.contains("KITEX_IP_TO_REGISTRY=HOST_IP\n")
        || remedy.contains("server.WithServiceAddr") && !remedy.contains("HOST_IPV4");
    drops && place.reach.is_some_and(|ip| ip.is_ipv6())
}
