//! What is wrong with etcd (`E…`).

use crate::finding::{Code, Text};

pub(in crate::finding) const E01: Text = Text {
    cause: Code::E01.cause(),
    proof: "The step that failed is named: the name, the route, the port or the answer. A running tidegate goes on \
            with what it read last. By hand:\n\
            \tetcdctl --endpoints='URL' endpoint health",
    remedies: &[
        "Correct --etcd, or the endpoints of the [[registry]]: http:// or https:// stands before the host.",
        "See whether etcd runs, and whether it listens for others: a member started without flags listens on 127.0.0.1 \
         only.\n\
         \tetcd --listen-client-urls=http://0.0.0.0:PORT --advertise-client-urls=http://HOST_IP:PORT",
        "Let the firewall or the security group of etcd's host take inbound TCP on port PORT from this host's address.",
    ],
};

pub(in crate::finding) const E02: Text = Text {
    cause: Code::E02.cause(),
    proof: "etcd answered `authentication failed`, `user name is empty` or `invalid auth token`. By hand, with the \
            password asked for:\n\
            \tetcdctl --endpoints='URL' --user=USER get --prefix --limit=1 kitex/registry-etcd/",
    remedies: &[
        "Correct user and password of the [[registry]]; the password may come from the environment:\n\
         \tuser = \"tidegate\"\n\
         \tpassword = \"${ETCD_PASSWORD}\"",
        "Kitex's ends need the same: etcd.WithAuthOpt(user, password).",
    ],
};

pub(in crate::finding) const E03: Text = Text {
    cause: Code::E03.cause(),
    proof: "etcd answered `permission denied`. By hand:\n\
            \tetcdctl user get USER --detail",
    remedies: &[
        "Grant the reading, of one service or of all, to a role that the user has:\n\
         \tetcdctl role grant-permission ROLE --prefix=true read 'KEY'",
        "Where it has none yet:\n\
         \tetcdctl role add ROLE\n\
         \tetcdctl user grant-role USER ROLE",
    ],
};

pub(in crate::finding) const E04: Text = Text {
    cause: Code::E04.cause(),
    proof: "The members' client URLs were read: one is loopback, though this host reached etcd by another address. \
            Clients that synchronise their endpoints would then dial themselves. By hand:\n\
            \tetcdctl --endpoints='URL' member list",
    remedies: &["Start etcd with the address that others dial:\n\
                 \tetcd --advertise-client-urls=http://HOST_IP:2379"],
};

pub(in crate::finding) const E05: Text = Text {
    cause: Code::E05.cause(),
    proof: "The watch ended with `required revision has been compacted`.",
    remedies: &["Nothing: tidegate reads anew and goes on."],
};

pub(in crate::finding) const E06: Text = Text {
    cause: Code::E06.cause(),
    proof: "A read took longer than 200 ms. By hand:\n\
            \tetcdctl --endpoints='URL' endpoint status -w table\n\
            \tetcdctl --endpoints='URL' check perf",
    remedies: &[
        "See the disks of the members (etcd's log says `slow fdatasync`), and how far they are from each other.",
        "Ask a member that is near, as the first of the endpoints.",
        "Registrations may lapse meanwhile: Kitex's registrar gives each operation 3 s.",
    ],
};

pub(in crate::finding) const E07: Text = Text {
    cause: Code::E07.cause(),
    proof: "The step that failed is quoted: the authority, the name, the dates, a client's certificate that is asked \
            for, or a server that speaks no TLS. By hand:\n\
            \topenssl s_client -connect 'HOST:PORT' -showcerts",
    remedies: &[
        "Name etcd's authority, and the name in its certificate where the endpoint is an address, in the \
         [[registry]]:\n\
         \ttls = { ca = \"ca.pem\", domain = \"etcd.example\" }",
        "Add cert and key where etcd asks for a client's certificate.",
        "Write http:// where etcd speaks no TLS.",
    ],
};
