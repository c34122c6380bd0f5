//! What is registered (`R…`).

use crate::finding::{Code, Text};

const ENVIRONMENT: &str = concat!(
    "Set the address to register in the environment of the server (its shell; in a .env file or a manifest without \
     `export`); of a container, the address of its host and the published port. It must listen there as well, or on \
     0.0.0.0: one that listens on 127.0.0.1 only stays out of reach.\n",
    environment!()
);
const ENVIRONMENT_OF_IPV4: &str = concat!(
    "Register an IPv4 address, by the server's environment:\n",
    environment_of_ipv4!()
);
const LISTEN: &str = concat!(
    "Let the server listen on an address that others can dial; Kitex registers the same:\n",
    listen!()
);
const FIX: &str = concat!(
    "Or fix it in the registry r that the server was given; its entry then stays for up to a lease (60 s) after a \
     stop:\n",
    fix!()
);
const REWRITE: &str = concat!(
    "Meanwhile map it from here, in tidegate's config, to an address that the server listens on:\n",
    rewrite!()
);
const DELETE: &str = concat!(
    "Delete the entry if it is a leftover that nobody needs:\n",
    delete!()
);

pub(in crate::finding) const R01: Text = Text {
    cause: Code::R01.cause(),
    proof: "Read off the address; nothing is dialled, since a connect to 0.0.0.0 would reach the caller's own host. \
            registry-etcd replaces an empty host and ::, but not 0.0.0.0. By hand:\n\
            \tetcdctl get --prefix kitex/registry-etcd/SERVICE/",
    remedies: &[ENVIRONMENT, LISTEN, FIX, REWRITE],
};

pub(in crate::finding) const R02: Text = Text {
    cause: Code::R02.cause(),
    proof: "Read off the address (127.0.0.0/8, ::1). A Kitex server that listens on 127.0.0.1 registers just that, and \
            each caller then dials its own host: it finds nobody, or another program. On the server's host:\n\
            \tss -ltnp 'sport = :PORT'\n\
            On Windows:\n\
            \tnetstat -ano | findstr :PORT",
    remedies: &[
        LISTEN,
        concat!(
            "Or set the environment of the server (its shell; in a .env file or a manifest without `export`), if it \
             listens on all addresses (0.0.0.0) already or behind a port mapping. Where it listens on 127.0.0.1 only, \
             this alone does not help: nobody else reaches it.\n",
            environment!()
        ),
        FIX,
        REWRITE,
        "Where everything runs on one host, tell tidegate that loopback is meant:\n\
         \t[defaults]\n\
         \tsuspicious = \"allow\"",
    ],
};

pub(in crate::finding) const R03: Text = Text {
    cause: Code::R03.cause(),
    proof: "Read off the address (169.254.0.0/16, fe80::/10). Hosts give themselves such an address where no DHCP \
            server answers; registry-etcd takes the first IPv4 address that is not loopback, in the order of the \
            interfaces, and on Windows that is often one of these. On the server's host:\n\
            \tip -4 address\n\
            On Windows:\n\
            \tipconfig",
    remedies: &[ENVIRONMENT, LISTEN, FIX, REWRITE],
};

pub(in crate::finding) const R04: Text = Text {
    cause: Code::R04.cause(),
    proof: "Read off the address and the interfaces here: it is in a range of Docker, podman, flannel or k3s, or in \
            the network of a virtual machine of Docker Desktop, colima or lima, and no interface here is in it. Or a \
            container bridge here (docker0, cni0, podman0) is in it, as those of other hosts are in theirs, and the \
            connect fails or leads to another program. 172.17.0.1 itself is what a server outside of containers \
            registers where docker0 is the first of its host's interfaces. By hand:\n\
            \tip route get HOST\n\
            On Windows:\n\
            \tFind-NetRoute -RemoteIPAddress HOST",
    remedies: &[
        concat!(
            "Publish the container's port, and set its environment to the address of its host and the published port (in \
             a .env file or a manifest without `export`):\n",
            environment!()
        ),
        FIX,
        "Or run the caller, with tidegate, in the same container network.",
        REWRITE,
    ],
};

pub(in crate::finding) const R05: Text = Text {
    cause: Code::R05.cause(),
    proof: "A connect was tried, and the system, a router or a firewall said that there is no way; the address is \
            private, and no interface here is in its network. By hand:\n\
            \tip route get HOST\n\
            On Windows:\n\
            \tFind-NetRoute -RemoteIPAddress HOST",
    remedies: &[
        "Join the network: connect the VPN, or add the route or the peering that is missing.",
        ENVIRONMENT,
        LISTEN,
        FIX,
        REWRITE,
    ],
};

pub(in crate::finding) const R06: Text = Text {
    cause: Code::R06.cause(),
    proof: "Read off the address (100.64.0.0/10) and the interfaces here: none is in its network. Carriers and VPNs \
            such as Tailscale use this range. By hand:\n\
            \tip route get HOST",
    remedies: &[
        "Join the VPN that the instance is in.",
        ENVIRONMENT,
        LISTEN,
        FIX,
        REWRITE,
    ],
};

pub(in crate::finding) const R07: Text = Text {
    cause: Code::R07.cause(),
    proof: "The address is neither HOST:PORT, nor [IPV6]:PORT, nor a unix path. Kitex drops the brackets of an IPv6 \
            address that it listens on: fd00::1:8888 is no address, and a Kitex client says `too many colons in \
            address`. By hand:\n\
            \tetcdctl get --prefix kitex/registry-etcd/SERVICE/",
    remedies: &[
        ENVIRONMENT_OF_IPV4,
        concat!(
            "Or keep IPv6 and its brackets, in the registry r that the server was given; its entry then stays for up \
             to a lease (60 s) after a stop:\n",
            fix!()
        ),
        REWRITE,
        DELETE,
    ],
};

pub(in crate::finding) const R08: Text = Text {
    cause: Code::R08.cause(),
    proof: "The last part of the key is compared with the address in the value. By hand:\n\
            \tetcdctl get --prefix kitex/registry-etcd/SERVICE/",
    remedies: &[
        "Register one address in both places; Kitex writes the same into both, so another program or a person wrote \
         this entry.",
        DELETE,
    ],
};

pub(in crate::finding) const R09: Text = Text {
    cause: Code::R09.cause(),
    proof: "The value is not the JSON that registry-etcd writes; the entry is skipped, and Kitex's own resolver skips \
            it too: callers are told `no instance remains`. By hand:\n\
            \tetcdctl get 'KEY'",
    remedies: &[
        "See whether another program uses the same prefix.",
        concat!("Write what registry-etcd writes:\n", put!()),
        DELETE,
    ],
};

pub(in crate::finding) const R10: Text = Text {
    cause: Code::R10.cause(),
    proof: "Read off the value.",
    remedies: &[
        "Register a weight of 1 or more; to send an instance no calls, deregister it:\n\
         \tserver.WithRegistryInfo(&registry.Info{Weight: 10})",
    ],
};

pub(in crate::finding) const R11: Text = Text {
    cause: Code::R11.cause(),
    proof: "Two entries of one service lead to the same address: it is one endpoint, with the weight of the newest \
            entry. By hand:\n\
            \tetcdctl get --prefix kitex/registry-etcd/SERVICE/",
    remedies: &[DELETE],
};

pub(in crate::finding) const R12: Text = Text {
    cause: Code::R12.cause(),
    proof: "More than half of its lease is gone: Kitex renews after a third (of 60 s, unless \
            KITEX_ETCD_REGISTRY_LEASE_TTL says otherwise). Or the entry has no lease and nobody answers at its \
            address. By hand, with the number that the first line prints as Lease, in hexadecimal:\n\
            \tetcdctl get 'KEY' -w fields\n\
            \tetcdctl lease timetolive LEASE",
    remedies: &[
        "See whether the server's process runs, or is stopped or cut off from etcd; its log says when renewing failed.",
        "Restart the server: after five failed looks its registrar gives up for good.",
        DELETE,
    ],
};

pub(in crate::finding) const R13: Text = Text {
    cause: Code::R13.cause(),
    proof: "The registry was read and holds nothing under this prefix and name. A Kitex client says `service discovery \
            error: no instance remains`. By hand:\n\
            \tetcdctl get --prefix --keys-only kitex/registry-etcd/\n\
            \tetcdctl get --prefix --keys-only /SERVICE/",
    remedies: &[
        "Correct the name: it is the one of server.WithServerBasicInfo, letter for letter. The names there are:\n\
         \tetcdctl get --prefix --keys-only kitex/registry-etcd/",
        "Let both ends use one prefix: NewEtcdRegistryWithAuth and NewEtcdResolverWithAuth leave it empty. Take the \
         option instead, on both ends:\n\
         \tetcd.NewEtcdRegistry(endpoints, etcd.WithAuthOpt(user, password))",
        "Or tell tidegate the prefix that is used, in its [[registry]]:\n\
         \tprefix = \"PREFIX\"",
        "Start the service, or see why it is registered no more (R22).",
    ],
};

pub(in crate::finding) const R14: Text = Text {
    cause: Code::R14.cause(),
    proof: "Read off the address: 169.254.169.254, 100.100.100.200, 169.254.0.23 or fd00:ec2::254, in any form. \
            Whoever calls it may be handed a cloud's credentials, so it is refused also after rewriting and resolving.",
    remedies: &[
        concat!(
            "Delete the entry; no service can listen there, and somebody may have put it there on purpose:\n",
            delete!()
        ),
        "Correct the host name or the [[rewrite]] rule that leads there.",
    ],
};

pub(in crate::finding) const R15: Text = Text {
    cause: Code::R15.cause(),
    proof: "Read off the value. Kitex's resolver passes it on, and the dial fails.",
    remedies: &[concat!(
        "Register it with network tcp, or unix for a path:\n",
        put!()
    )],
};

pub(in crate::finding) const R16: Text = Text {
    cause: Code::R16.cause(),
    proof: "The address is one that a [[listener]] of this tidegate takes; or its answer to `doctor --call` began with \
            `tidegate: `: tidegate's own words (where this host's connections are redirected to tidegate, they say why \
            it could not reach the instance). By hand:\n\
            \tss -ltnp 'sport = :PORT'",
    remedies: &[
        concat!(
            "Register the instance's own port instead of tidegate's, in the server's environment:\n",
            set!("KITEX_PORT_TO_REGISTRY" = "OWN_PORT")
        ),
        "Or let tidegate listen on another port.",
        "Correct the [[rewrite]] rule, if one leads there.",
    ],
};

pub(in crate::finding) const R17: Text = Text {
    cause: Code::R17.cause(),
    proof: "The name was looked up on this host, whose resolver answered; one that does not answer proves nothing. By \
            hand:\n\
            \tgetent ahosts HOST\n\
            On Windows:\n\
            \tResolve-DnsName HOST",
    remedies: &[
        concat!(
            "Register an IP address, by the server's environment. A name inside a container network, or a host's own \
             name that /etc/hosts maps to 127.0.1.1, means nothing elsewhere:\n",
            environment!()
        ),
        LISTEN,
        FIX,
        "Or let the name resolve here, by DNS or in /etc/hosts:\n\
         \tHOST_IP HOST",
        REWRITE,
    ],
};

pub(in crate::finding) const R18: Text = Text {
    cause: Code::R18.cause(),
    proof: "Read off the address and the interfaces here: none has an IPv6 address that leads anywhere. By hand:\n\
            \tip -6 address show scope global\n\
            On Windows:\n\
            \tipconfig",
    remedies: &[
        ENVIRONMENT_OF_IPV4,
        "Or let the server listen on one:\n\
         \tserver.WithServiceAddr(&net.TCPAddr{IP: net.ParseIP(\"HOST_IPV4\"), Port: PORT})",
        "Or give this host IPv6.",
        "Meanwhile map it from here, in tidegate's config:\n\
         \t[[rewrite]]\n\
         \tservice = \"SERVICE\"\n\
         \taddress = \"ADDRESS\"\n\
         \thost = \"HOST_IPV4\"\n\
         \tport = PORT",
    ],
};

pub(in crate::finding) const R19: Text = Text {
    cause: Code::R19.cause(),
    proof: "There is no such socket here, or its file is there and nobody listens on it, or it may not be used. A path \
            means nothing on another host. By hand:\n\
            \tss -lxp | grep -F 'PATH'",
    remedies: &[
        "If this is the instance's host, start it, and see who may use the socket's folder:\n\
         \tls -l 'PATH'",
        concat!(
            "Else let it listen on TCP: registry-etcd cannot register a path, so another program or a person wrote \
             this entry.\n",
            listen!()
        ),
    ],
};

pub(in crate::finding) const R20: Text = Text {
    cause: Code::R20.cause(),
    proof: "Names are compared. Kitex's resolver asks etcd for `{prefix}/{service}` without a trailing slash, and so \
            takes the instances of item-v2 for those of item: callers get `unknown method` or wrong replies. By hand, \
            both show what it sees:\n\
            \tetcdctl get --prefix --keys-only kitex/registry-etcd/item\n\
            \tetcdctl get --prefix --keys-only kitex/registry-etcd/item/",
    remedies: &[
        "Rename one of them, so that neither name begins the other: v2-item beside item.",
        "Or call through tidegate, which always asks with the slash.",
        "An entry whose key goes on after the address belongs to a service with a slash in its name; it is not used \
         for the shorter one.",
    ],
};

pub(in crate::finding) const R21: Text = Text {
    cause: Code::R21.cause(),
    proof: "Nobody listens at the address, and its lease is not renewed. It was killed; or it stopped in order, but \
            with SetFixedAddress, which deregisters the key of the address that it listened on, so the registered one \
            stays until the lease ends (60 s). Of an address that leads every host to itself (R02) a refusal here proves \
            nothing of the process, and the lease is told as R12. By hand:\n\
            \tetcdctl get 'KEY' -w fields\n\
            \tetcdctl lease timetolive LEASE",
    remedies: &[
        "Wait: it goes when the lease ends. tidegate dials another instance within the same call meanwhile.",
        concat!("Delete it at once:\n", delete!()),
        concat!(
            "Shorten what is left after each stop, by a shorter lease in the server's environment, in seconds, or by \
             leaving SetFixedAddress out:\n",
            set!("KITEX_ETCD_REGISTRY_LEASE_TTL" = "10")
        ),
    ],
};

pub(in crate::finding) const R22: Text = Text {
    cause: Code::R22.cause(),
    proof: "The registry remembers an address of this host that is registered no more, and something listens there. \
            Kitex's registrar looks for its key every 30 s; after five failed looks in a row, 10 s apart, it gives up \
            for good, and the server goes on serving nobody. By hand:\n\
            \tss -ltnp 'sport = :PORT'\n\
            \tetcdctl get --prefix --keys-only kitex/registry-etcd/SERVICE/",
    remedies: &[
        "Restart the server: it registers 1 s after its start.",
        "Until then name it in tidegate's config; callers that find instances by themselves do not see it:\n\
         \t[[service]]\n\
         \tname = \"SERVICE\"\n\
         \tendpoints = [\"ADDRESS\"]",
        "See in the server's log why etcd could not be reached (E01).",
    ],
};
