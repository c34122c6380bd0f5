//! Ranges of addresses whose meaning is known.

use std::net::{IpAddr, Ipv4Addr};

pub(super) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

/// RFC 6598, shared by carriers and by VPNs.
pub(super) fn is_shared(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if in_v4(ip, Ipv4Addr::new(100, 64, 0, 0), 10))
}

/// The defaults of Docker (`docker0` and the first user networks), podman, flannel, and k3s. Not all that Docker may
/// take (172.17.0.0 to 172.31.255.255, 192.168.0.0/16): companies use those as well.
pub(super) fn in_container_range(ip: IpAddr) -> bool {
    const RANGES: [(Ipv4Addr, u8); 5] = [
        (Ipv4Addr::new(172, 17, 0, 0), 16),
        (Ipv4Addr::new(172, 18, 0, 0), 15),
        (Ipv4Addr::new(10, 88, 0, 0), 16),
        (Ipv4Addr::new(10, 244, 0, 0), 16),
        (Ipv4Addr::new(10, 42, 0, 0), 16),
    ];
    is_in(ip, &RANGES)
}

/// The networks inside the virtual machines of Docker Desktop, lima and colima, and `podman machine`: no interface of
/// the host is in them. So common as home networks that they count only where there is such a machine.
pub(super) fn in_machine_range(ip: IpAddr) -> bool {
    const RANGES: [(Ipv4Addr, u8); 3] = [
        (Ipv4Addr::new(192, 168, 65, 0), 24),
        (Ipv4Addr::new(192, 168, 5, 0), 24),
        (Ipv4Addr::new(192, 168, 127, 0), 24),
    ];
    is_in(ip, &RANGES)
}

fn is_in(ip: IpAddr, ranges: &[(Ipv4Addr, u8)]) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    ranges.iter().any(|&(range, len)| in_v4(ip, range, len))
}

pub(super) fn in_v4(ip: Ipv4Addr, network: Ipv4Addr, prefix_len: u8) -> bool {
    let shift = 32_u32.saturating_sub(u32::from(prefix_len));
    u32::from(ip).checked_shr(shift) == u32::from(network).checked_shr(shift)
}
