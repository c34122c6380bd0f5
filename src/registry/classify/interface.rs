//! This host's network interfaces, and whose networks they lead to.

use std::net::IpAddr;

use super::ranges::in_v4;

/// An address of one of this host's network interfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, `eth0`.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// The length of its network's prefix, in bits.
    pub prefix_len: u8,
}

impl Interface {
    /// Whether the address is in its network.
    pub(super) fn holds(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => in_v4(ip, own, self.prefix_len),
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix_len));
                u128::from(own).checked_shr(shift) == u128::from(ip).checked_shr(shift)
            }
            _ => false,
        }
    }

    /// Whether its name is one that container engines, their networks and virtual machines give: its own network is
    /// theirs. `vEthernet (External)` would carry the host's own address.
    pub(super) fn is_container_bridge(&self) -> bool {
        const NAMES: [&str; 10] = [
            "docker", "cni", "cbr", "podman", "flannel", "cali", "weave", "lxc", "virbr", "nerdctl",
        ];
        NAMES.iter().any(|name| self.name.starts_with(name))
            || self.is_of_docker()
            || self.leads_to_a_machine()
    }

    /// Whether it is a network of Docker's: `br-` and twelve digits of its id. `br-lan` and `br-ex` have the host's own
    /// address.
    fn is_of_docker(&self) -> bool {
        let id = self.name.strip_prefix("br-");
        id.is_some_and(|id| id.len() == 12 && id.bytes().all(|it| it.is_ascii_hexdigit()))
    }

    /// Whether it leads to the virtual machine in which a laptop's containers run: WSL2 and Hyper-V on Windows, vmnet
    /// on macOS (`bridge0` is Thunderbolt's), lima and colima.
    pub(super) fn leads_to_a_machine(&self) -> bool {
        const NAMES: [&str; 7] = [
            "vEthernet (WSL",
            "vEthernet (Default Switch)",
            "vEthernet (nat)",
            "bridge10",
            "vmenet",
            "lima",
            "colima",
        ];
        NAMES.iter().any(|name| self.name.starts_with(name))
    }
}
