//! What answers at the address (`P…`).

use crate::finding::Text;

const REWRITE: &str = concat!(
    "注册另一个从这里能连上的地址；在改好之前，可以在 tidegate 的配置里改写：\n",
    rewrite!()
);

pub(in crate::finding) const P01: Text = Text {
    cause: "主机拒绝连接：主机在，但该端口没有人监听",
    proof: "一个往返之内连接就被拒绝（ECONNREFUSED；Windows 上是 10061，要试两秒才说）。Kitex 的 netpoll 客户端会说 `connection has \
            been closed by peer`，gonet 客户端会说 `connection refused`。防火墙的拒绝规则看起来可能一样。手工查看：\n\
            \tnc -vz HOST PORT\n\
            在 Windows 上：\n\
            \tTest-NetConnection HOST -Port PORT",
    remedies: &[
        "启动服务端，或者查明它为什么停了。",
        "在它的主机上查看它监听哪个地址；只监听 127.0.0.1 的话，别的主机都连不上：\n\
         \tss -ltnp 'sport = :PORT'\n\
         在 Windows 上：\n\
         \tnetstat -ano | findstr :PORT",
        concat!(
            "在容器里的话，检查端口是否已发布，注册的是否就是所发布的端口：\n",
            set!("KITEX_PORT_TO_REGISTRY" = "PUBLISHED_PORT")
        ),
        concat!("如果是残留的条目（R21），就删掉它：\n", delete!()),
    ],
};

pub(in crate::finding) const P02: Text = Text {
    cause: "连接没有回应：被防火墙或安全组丢弃，或者没有主机使用这个地址",
    proof: "在连接超时（1.2 秒，包含一次 SYN 重发）之内没有任何回应。发往另一个网络的私有地址的包，也可能只是在默认路由后面丢失了。Kitex 客户端在 6 × 50 毫秒后会说 `i/o timeout`；连\
            接超时设得更长时，则是 `rpc timeout`。手工查看：\n\
            \tnc -vz -w 3 HOST PORT\n\
            在 Windows 上：\n\
            \tTest-NetConnection HOST -Port PORT",
    remedies: &[
        "在云的安全组里，允许本机地址（下面显示的 src）以 TCP 入站访问实例主机的端口 PORT：\n\
         \tip route get HOST",
        "检查实例主机上的防火墙：\n\
         \tsudo iptables -S INPUT\n\
         \tsudo nft list ruleset\n\
         在 Windows 上，以管理员身份：\n\
         \tnetsh advfirewall firewall add rule name=\"kitex PORT\" dir=in action=allow protocol=TCP localport=PORT",
        "看看这条链路上是否有主机使用这个地址；FAILED 或 INCOMPLETE 表示没有：\n\
         \tip neigh show HOST",
        REWRITE,
    ],
};

pub(in crate::finding) const P03: Text = Text {
    cause: "无路可达：本机没有路由，或者路由器、防火墙这样回答",
    proof: "连接以 ENETUNREACH、EHOSTUNREACH 之类的错误失败，错误会原文引用；Kitex 客户端会说 `connect: network is \
            unreachable`。手工查看：\n\
            \tip route get HOST\n\
            在 Windows 上：\n\
            \tFind-NetRoute -RemoteIPAddress HOST",
    remedies: &[
        "连上 VPN，或者补上缺少的路由、对等连接。",
        "检查途中的防火墙：拒绝连接的防火墙会用 ICMP 这样回答。\n\
         \tsudo iptables -S",
        REWRITE,
    ],
};

pub(in crate::finding) const P04: Text = Text {
    cause: "连接刚建立就被重置",
    proof: "连接成功，还没有任何字节就被重置。Kitex 客户端会说 `connection has been closed when flush`。手工查看：\n\
            \tnc -v HOST PORT",
    remedies: &[
        "查看服务端的日志和它的连接数上限：连接太多时，Kitex 服务端会关闭新连接。",
        "后面没有程序的负载均衡器、端口映射或 sidecar 也是这样：查看它通向哪里。",
    ],
};

pub(in crate::finding) const P05: Text = Text {
    cause: "那里应答的是 HTTP 服务器",
    proof: "它的应答以 HTTP/ 开头，会原文引用。Kitex 客户端会说 `invalid payload (first4Bytes=0x48545450…)`。手工查看：\
            \n\
            \tcurl -v 'http://ADDRESS/'",
    remedies: &[
        concat!(
            "注册 RPC 服务端的端口，而不是 HTTP 服务器（指标、pprof、网关）的：\n",
            set!("KITEX_PORT_TO_REGISTRY" = "RPC_PORT")
        ),
        "如果端口被别的程序占了，重启该服务：\n\
         \tss -ltnp 'sport = :PORT'",
        "如果 sidecar 把所有连接都当成 HTTP，要告诉它这个端口是普通 TCP。",
    ],
};

pub(in crate::finding) const P06: Text = Text {
    cause: "那里应答的是 TLS 服务器，而调用不加密",
    proof: "它的应答是一个 TLS 记录。手工查看：\n\
            \topenssl s_client -connect 'ADDRESS'",
    remedies: &[
        concat!(
            "注册不加密的端口：tidegate 与 Kitex 的 Thrift 客户端一样，调用不用 TLS。\n",
            set!("KITEX_PORT_TO_REGISTRY" = "RPC_PORT")
        ),
        "让服务网格或负载均衡器的 TLS 不作用于这个端口。",
    ],
};

pub(in crate::finding) const P07: Text = Text {
    cause: "那里应答的是 HTTP/2 服务器，例如 gRPC",
    proof: "它的应答是一个 HTTP/2 帧。Kitex 服务端在同一个端口上既接受 gRPC 也接受 Thrift，所以仅此一点不算错误。手工查\
            看：\n\
            \tcurl -v --http2-prior-knowledge 'http://ADDRESS/'",
    remedies: &[
        "如果调用方用的就是 gRPC，不用处理：tidegate 会按字节原样转发它们的连接。",
        "如果调用方用的是 Thrift，请注册 Thrift 服务端的端口。",
    ],
};

pub(in crate::finding) const P08: Text = Text {
    cause: "它接受连接，却不回答调用",
    proof: "`doctor --call` 发出一个不可能存在的方法的调用，没有任何回答；不加 --call 时不会发出任何调用。运行中的 tidegate 在两个调用逾期、且其间没有任何回答之后报告它：\
            可能卡住了，也可能只是慢，用 `doctor --call` 区分。若只是慢，就调大 read_deadline 和调用方的 WithRPCTimeout。进程卡住时连\
            接照样能成功，因为连接由内核建立。在它的主机上查看，Recv-Q 一直不降说明进程没有接受连接：\n\
            \tss -ltn 'sport = :PORT'",
    remedies: &[
        "查明进程在做什么。Go 程序收到下面的信号会打印所有 goroutine，然后退出：\n\
         \tkill -QUIT PID",
        "重启该实例。",
        "给调用方设置超时；不设的话，Kitex 客户端会一直等下去：\n\
         \tclient.WithRPCTimeout(time.Second)",
        "让 tidegate 在没有调用时也能发现这样的实例：\n\
         \t[defaults.health_check]\n\
         \tkind = \"call\"\n\
         \tmethod = \"Ping\"",
    ],
};

pub(in crate::finding) const P09: Text = Text {
    cause: "它会关闭空闲连接",
    proof: "`doctor --idle` 保持一条没有调用的连接，一分钟之内就被服务端关闭，而 Kitex 客户端会保持到那时。v0.11.0 之前的 Kitex 在 Windows 上（gonet）5 秒就\
            会这样做，并在自己的日志里写 `default codec read failed: read tcp …: i/o timeout`：那一行是服务端打的。它的\
            调用方则在下一次调用时得到 `EOF` 或 `wsarecv: An established connection was aborted`。v0.11 到 v0.13 在 2 \
            分钟后关闭。",
    remedies: &[
        "把服务端升级到 Kitex v0.14.0 或更新的版本：\n\
         \tgo get github.com/cloudwego/kitex@latest",
        "或者让它等得更久：\n\
         \tserver.WithReadWriteTimeout(10*time.Minute)",
        "或者经由 tidegate 调用，由它管理连接：自己的空闲连接 4 秒就关，每次复用之前先检查；实例全是 Kitex 时，丢失的调\
         用可以重发：\n\
         \t[defaults]\n\
         \tidle_timeout = \"4s\"\n\
         \tresend_unacknowledged = true",
    ],
};

pub(in crate::finding) const P10: Text = Text {
    cause: "它会说 Thrift，只是不认识所问的方法：它是活的",
    proof: "`doctor --call` 发出一个不可能存在的方法的调用，得到了一个异常，会原文引用。",
    remedies: &["不用处理：正常的实例就是这样回答的。"],
};

pub(in crate::finding) const P11: Text = Text {
    cause: "那里应答的是别的协议",
    proof: "它最先说的话属于 Redis、MySQL、SSH 或别的协议，会指明或引用。手工查看：\n\
            \tnc -v HOST PORT",
    remedies: &[
        concat!(
            "注册 RPC 服务端的端口：\n",
            set!("KITEX_PORT_TO_REGISTRY" = "RPC_PORT")
        ),
        "如果是回环地址（R02），应答的其实是本机上的程序：请按 R02 所说，注册另一个地址。",
    ],
};

pub(in crate::finding) const P12: Text = Text {
    cause: "往返时间太长，超过了调用方的超时",
    proof: "多次连接中最快的一次也超过 50 毫秒，而这正是 Kitex 默认的连接超时：一切正常，它的客户端却以 `i/o timeout` \
            失败。给了配置时，doctor 改按其中的 connect_timeout 判断。手工查看：\n\
            \tping HOST",
    remedies: &[
        "给自己直连实例的客户端更多时间：\n\
         \tclient.WithConnectTimeout(500*time.Millisecond)",
        "或者经由 tidegate 调用：它按自己的 connect_timeout 等待，默认 1.2 秒，并且会复用连接。",
        "用 tidegate 的 prefer 和 zone 之类的标签，优先选择近处的实例。",
    ],
};

pub(in crate::finding) const P13: Text = Text {
    cause: "它会回答调用，但用时超过允许的时间",
    proof: "调用已经连上、已经写出，却没有及时等到回复：tidegate 的回答里写着 `phase first_byte`，而连接同一个实例很\
            快。运行中的 tidegate 在 10 秒内有三个调用逾期、而该实例仍在回答其他调用时报告它。手工查看：\n\
            \ttidegate why SERVICE\n\
            \ttidegate doctor --recent SERVICE",
    remedies: &[
        "查明服务端在等什么：问题既不在地址，也不在网络。",
        "给调用方留足这个方法所需的时间：\n\
         \tclient.WithRPCTimeout(2*time.Second)",
        "在 tidegate 里也设得一样：\n\
         \t[[service]]\n\
         \tname = \"SERVICE\"\n\
         \tread_deadline = \"2s\"",
    ],
};
