//! What answers at the address (`P…`).

use crate::finding::{Code, Text};

const REWRITE: &str = concat!(
    "Register another address, one that can be dialled from here, or map this one meanwhile, in tidegate's config:\n",
    rewrite!()
);

pub(in crate::finding) const P01: Text = Text {
    cause: Code::P01.cause(),
    proof: "The connect was refused within a round trip (ECONNREFUSED; 10061 on Windows, which tries for two seconds before it \
            says so). Kitex's netpoll client says `connection has been closed by peer`, its gonet client `connection \
            refused`. A firewall that rejects may look the same. By hand:\n\
            \tnc -vz HOST PORT\n\
            On Windows:\n\
            \tTest-NetConnection HOST -Port PORT",
    remedies: &[
        "Start the server, or see why it stopped.",
        "See on its host which address it listens on; 127.0.0.1 is reached by nobody else:\n\
         \tss -ltnp 'sport = :PORT'\n\
         On Windows:\n\
         \tnetstat -ano | findstr :PORT",
        concat!(
            "In a container, see that the port is published, and that the published one is registered:\n",
            set!("KITEX_PORT_TO_REGISTRY" = "PUBLISHED_PORT")
        ),
        concat!("Delete the entry if it is a leftover (R21):\n", delete!()),
    ],
};

pub(in crate::finding) const P02: Text = Text {
    cause: Code::P02.cause(),
    proof: "Nothing came back within the connect timeout (1.2 s, a repeated SYN included). What is sent to a private \
            address of another network may just be lost behind the default route. A Kitex client says `i/o \
            timeout` after 6 × 50 ms, or `rpc timeout` where its connect timeout is longer. By hand:\n\
            \tnc -vz -w 3 HOST PORT\n\
            On Windows:\n\
            \tTest-NetConnection HOST -Port PORT",
    remedies: &[
        "Let the cloud's security group of the instance's host take inbound TCP on port PORT from this host's address, \
         the src here:\n\
         \tip route get HOST",
        "See the firewall on the instance's host:\n\
         \tsudo iptables -S INPUT\n\
         \tsudo nft list ruleset\n\
         On Windows, as administrator:\n\
         \tnetsh advfirewall firewall add rule name=\"kitex PORT\" dir=in action=allow protocol=TCP localport=PORT",
        "See whether anybody on this link has the address; FAILED or INCOMPLETE means nobody:\n\
         \tip neigh show HOST",
        REWRITE,
    ],
};

pub(in crate::finding) const P03: Text = Text {
    cause: Code::P03.cause(),
    proof: "The connect failed with ENETUNREACH, EHOSTUNREACH or the like, which is quoted; a Kitex client says \
            `connect: network is unreachable`. By hand:\n\
            \tip route get HOST\n\
            On Windows:\n\
            \tFind-NetRoute -RemoteIPAddress HOST",
    remedies: &[
        "Connect the VPN, or add the route or the peering that is missing.",
        "See the firewalls on the way: one that rejects says so by ICMP.\n\
         \tsudo iptables -S",
        REWRITE,
    ],
};

pub(in crate::finding) const P04: Text = Text {
    cause: Code::P04.cause(),
    proof: "The connect succeeded, and a reset followed before any byte. A Kitex client says `connection has been \
            closed when flush`. By hand:\n\
            \tnc -v HOST PORT",
    remedies: &[
        "See the server's log, and its limit of connections: a Kitex server that has too many closes new ones.",
        "A load balancer, a port mapping or a sidecar without anybody behind it does the same: see what it leads to.",
    ],
};

pub(in crate::finding) const P05: Text = Text {
    cause: Code::P05.cause(),
    proof: "Its answer began with HTTP/, and is quoted. A Kitex client says `invalid payload \
            (first4Bytes=0x48545450…)`. By hand:\n\
            \tcurl -v 'http://ADDRESS/'",
    remedies: &[
        concat!(
            "Register the port of the RPC server instead of that of the HTTP server (metrics, pprof, a gateway):\n",
            set!("KITEX_PORT_TO_REGISTRY" = "RPC_PORT")
        ),
        "Restart the service if another program has taken its port:\n\
         \tss -ltnp 'sport = :PORT'",
        "A sidecar that takes every connection for HTTP must be told that this port is plain TCP.",
    ],
};

pub(in crate::finding) const P06: Text = Text {
    cause: Code::P06.cause(),
    proof: "Its answer was a TLS record. By hand:\n\
            \topenssl s_client -connect 'ADDRESS'",
    remedies: &[
        concat!(
            "Register the plain port: tidegate, as Kitex's Thrift clients, calls without TLS.\n",
            set!("KITEX_PORT_TO_REGISTRY" = "RPC_PORT")
        ),
        "Exempt the port from the mesh's or load balancer's TLS.",
    ],
};

pub(in crate::finding) const P07: Text = Text {
    cause: Code::P07.cause(),
    proof: "Its answer was an HTTP/2 frame. A Kitex server takes gRPC and Thrift on one port, so this alone is no \
            mistake. By hand:\n\
            \tcurl -v --http2-prior-knowledge 'http://ADDRESS/'",
    remedies: &[
        "Nothing, where callers speak gRPC: tidegate passes their connections on byte for byte.",
        "Where they speak Thrift, register the port of the Thrift server.",
    ],
};

pub(in crate::finding) const P08: Text = Text {
    cause: Code::P08.cause(),
    proof: "`doctor --call` sent a call of a method that cannot exist, and nothing came back; without --call no call \
            is sent. A running tidegate says it after two overdue calls without any answer since: it may hang, or be \
            slow, which `doctor --call` tells. Of slow calls raise read_deadline and the callers' WithRPCTimeout. \
            Connects alone succeed also where the process hangs: the kernel makes them. On its host, a Recv-Q \
            that does not fall says that the process accepts none:\n\
            \tss -ltn 'sport = :PORT'",
    remedies: &[
        "See what the process does. A Go program prints all its goroutines, and ends, on\n\
         \tkill -QUIT PID",
        "Restart the instance.",
        "Give callers a timeout, since without one a Kitex client waits for ever:\n\
         \tclient.WithRPCTimeout(time.Second)",
        "Let tidegate find such instances without calls:\n\
         \t[defaults.health_check]\n\
         \tkind = \"call\"\n\
         \tmethod = \"Ping\"",
    ],
};

pub(in crate::finding) const P09: Text = Text {
    cause: Code::P09.cause(),
    proof: "`doctor --idle` held a connection without a call, and the server closed it within a minute: so long Kitex's \
            clients keep theirs. Kitex before v0.11.0 on \
            Windows (gonet) does so after 5 s, and its own log says `default codec read failed: read tcp …: i/o \
            timeout`: that line is the server's. Its callers get `EOF`, or `wsarecv: An established connection was \
            aborted`, on the next call. v0.11 to v0.13 close after 2 minutes.",
    remedies: &[
        "Upgrade the server to Kitex v0.14.0 or later:\n\
         \tgo get github.com/cloudwego/kitex@latest",
        "Or let it wait longer:\n\
         \tserver.WithReadWriteTimeout(10*time.Minute)",
        "Or call through tidegate, which keeps the connections: it closes its own after 4 s, looks at each before it \
         is used again, and, where all instances are Kitex, may send again what was lost:\n\
         \t[defaults]\n\
         \tidle_timeout = \"4s\"\n\
         \tresend_unacknowledged = true",
    ],
};

pub(in crate::finding) const P10: Text = Text {
    cause: Code::P10.cause(),
    proof: "`doctor --call` sent a call of a method that cannot exist, and an exception came back, which is quoted.",
    remedies: &["Nothing: it is what a sound instance answers."],
};

pub(in crate::finding) const P11: Text = Text {
    cause: Code::P11.cause(),
    proof: "What it said first is that of Redis, MySQL, SSH or another protocol, and is named or quoted. By hand:\n\
            \tnc -v HOST PORT",
    remedies: &[
        concat!(
            "Register the port of the RPC server:\n",
            set!("KITEX_PORT_TO_REGISTRY" = "RPC_PORT")
        ),
        "Where the address is loopback (R02), it is this host's own program that answers: register another address, as \
         R02 says.",
    ],
};

pub(in crate::finding) const P12: Text = Text {
    cause: Code::P12.cause(),
    proof: "The quickest of several connects took longer than 50 ms, Kitex's default connect timeout: its clients fail \
            with `i/o timeout` though all is well. Where doctor has a config, its connect_timeout counts instead. By \
            hand:\n\
            \tping HOST",
    remedies: &[
        "Give clients that dial for themselves more time:\n\
         \tclient.WithConnectTimeout(500*time.Millisecond)",
        "Or call through tidegate, which waits as long as its connect_timeout says, 1.2 s by default, and keeps the \
         connections.",
        "Prefer instances that are near, by tidegate's prefer and a tag such as zone.",
    ],
};

pub(in crate::finding) const P13: Text = Text {
    cause: Code::P13.cause(),
    proof: "Calls were connected and written, and no reply began in time: tidegate's answers say `phase first_byte`, \
            while connects to the same instance are quick. A running tidegate says it after three overdue calls within \
            10 s at an instance that answers others. By hand:\n\
            \ttidegate why SERVICE\n\
            \ttidegate doctor --recent SERVICE",
    remedies: &[
        "See what the server waits for: this is neither the address nor the network.",
        "Give its callers the time that the method takes:\n\
         \tclient.WithRPCTimeout(2*time.Second)",
        "And tidegate the same:\n\
         \t[[service]]\n\
         \tname = \"SERVICE\"\n\
         \tread_deadline = \"2s\"",
    ],
};
