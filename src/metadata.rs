//! Addresses at which clouds hand out credentials: never dialled, whatever registers, rewrites or resolves to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Those of IPv4.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(169, 254, 0, 23),
];
/// That of IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// All of them, as they are mostly written.
pub fn addresses() -> impl Iterator<Item = IpAddr> {
    let v4 = METADATA_V4.into_iter().map(IpAddr::V4);
    v4.chain([IpAddr::V6(METADATA_V6)])
}

/// Whether it is such an address, in whatever IPv6 form. Checked again when dialling.
#[must_use]
pub fn forbidden(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => METADATA_V4.contains(&ip),
        IpAddr::V6(ip) => {
            ip == METADATA_V6 || embedded_v4(ip).is_some_and(|ip| METADATA_V4.contains(&ip))
        }
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped (`::ffff:a.b.c.d`), compatible
/// (`::a.b.c.d`), or behind the well-known NAT64 prefix (`64:ff9b::a.b.c.d`).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = ip.segments();
    let embeds = matches!(
        [a, b, c, d, e, f],
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0]
    );
    embeds.then(|| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}
