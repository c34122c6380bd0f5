//! What is registered (`R…`).

use crate::finding::Text;

const ENVIRONMENT: &str = concat!(
    "在服务端的环境变量里写明要注册的地址（启动它的 shell；写在 .env 文件或部署清单里时不带 `export`）；在容器里的话，写宿\
     主机的地址和所发布的端口。服务端还必须监听这个地址或 0.0.0.0：只监听 127.0.0.1 的话，别的主机仍然连不上。\n",
    environment!()
);
const ENVIRONMENT_OF_IPV4: &str = concat!(
    "在服务端的环境变量里改为注册 IPv4 地址：\n",
    environment_of_ipv4!()
);
const LISTEN: &str = concat!(
    "让服务端监听一个其他主机能连上的地址，Kitex 注册的就是它：\n",
    listen!()
);
const FIX: &str = concat!(
    "或者在交给服务端的注册器 r 上固定地址；但停止之后，它的条目最多还会残留一个租约（60 秒）：\n",
    fix!()
);
const REWRITE: &str = concat!(
    "在改好之前，可以在 tidegate 的配置里改写成服务端确实在监听的地址：\n",
    rewrite!()
);
const DELETE: &str = concat!("如果是没有人需要的残留条目，就删掉它：\n", delete!());

pub(in crate::finding) const R01: Text = Text {
    cause: "未指定的地址（0.0.0.0 或 ::）或端口 0：不指向任何主机",
    proof: "从地址本身即可判断，不会去连：连 0.0.0.0 到达的是调用方自己的主机。registry-etcd 会替换空的主机和 ::，但不\
            会替换 0.0.0.0。手工查看：\n\
            \tetcdctl get --prefix kitex/registry-etcd/SERVICE/",
    remedies: &[ENVIRONMENT, LISTEN, FIX, REWRITE],
};

pub(in crate::finding) const R02: Text = Text {
    cause: "回环地址：每台读到它的主机找到的都是自己",
    proof: "从地址本身即可判断（127.0.0.0/8、::1）。Kitex 服务端监听 127.0.0.1，注册的就是 127.0.0.1；于是每个调用方连\
            的都是自己的主机，那里要么没人监听，要么是别的程序。在服务端所在主机上查看：\n\
            \tss -ltnp 'sport = :PORT'\n\
            在 Windows 上：\n\
            \tnetstat -ano | findstr :PORT",
    remedies: &[
        LISTEN,
        concat!(
            "如果服务端已经监听所有地址（0.0.0.0），或者前面有端口映射，设置它的环境变量即可（启动它的 shell；写在 .env \
             文件或部署清单里时不带 `export`）。如果它只监听 127.0.0.1，单靠这一项没有用：别的主机仍然连不上。\n",
            environment!()
        ),
        FIX,
        REWRITE,
        "如果所有东西都跑在一台机器上，告诉 tidegate 回环地址是有意为之：\n\
         \t[defaults]\n\
         \tsuspicious = \"allow\"",
    ],
};

pub(in crate::finding) const R03: Text = Text {
    cause: "链路本地地址：在每个网络里含义都不同",
    proof: "从地址本身即可判断（169.254.0.0/16、fe80::/10）。没有 DHCP 服务器应答时，主机会给自己分配这样的地址；\
            registry-etcd 按网卡顺序取第一个非回环的 IPv4 地址，在 Windows 上常常就取到它。在服务端所在主机上查看：\n\
            \tip -4 address\n\
            在 Windows 上：\n\
            \tipconfig",
    remedies: &[ENVIRONMENT, LISTEN, FIX, REWRITE],
};

pub(in crate::finding) const R04: Text = Text {
    cause: "容器网络的地址：从别的主机看，它哪里也到不了，或者指向那台主机自己的容器",
    proof: "从地址和本机网卡判断：它属于 Docker、podman、flannel 或 k3s 的常用网段，或者 Docker Desktop、colima、lima \
            虚拟机的网络，而本机没有网卡在其中。或者本机也有容器网桥（docker0、cni0、podman0）在该网络中，别的主机同样如此，而连接\
            失败，或者应答的是别的程序。172.17.0.1 本身是容器之外的服务端注册的：docker0 是它主机上的第一个网卡。手工查看：\n\
            \tip route get HOST\n\
            在 Windows 上：\n\
            \tFind-NetRoute -RemoteIPAddress HOST",
    remedies: &[
        concat!(
            "把容器的端口发布到宿主机上，并在它的环境变量里写宿主机的地址和所发布的端口（写在 .env 文件或部署清单里时不\
             带 `export`）：\n",
            environment!()
        ),
        FIX,
        "或者让调用方和 tidegate 一起运行在同一个容器网络里。",
        REWRITE,
    ],
};

pub(in crate::finding) const R05: Text = Text {
    cause: "从这里没有路由的私有地址",
    proof: "连接过，但系统、路由器或防火墙回答无路可达；它是私有地址，而本机没有网卡在它的网络中。手工查看：\n\
            \tip route get HOST\n\
            在 Windows 上：\n\
            \tFind-NetRoute -RemoteIPAddress HOST",
    remedies: &[
        "加入该网络：连上 VPN，或者补上缺少的路由、对等连接。",
        ENVIRONMENT,
        LISTEN,
        FIX,
        REWRITE,
    ],
};

pub(in crate::finding) const R06: Text = Text {
    cause: "运营商级 NAT 或 VPN 网段的地址，而本机没有网卡在其中",
    proof: "从地址（100.64.0.0/10）和本机网卡判断：没有网卡在该网络中。运营商和 Tailscale 之类的 VPN 使用这个网段。手工\
            查看：\n\
            \tip route get HOST",
    remedies: &["加入实例所在的 VPN。", ENVIRONMENT, LISTEN, FIX, REWRITE],
};

pub(in crate::finding) const R07: Text = Text {
    cause: "无法解析的地址",
    proof: "它既不是“主机:端口”，也不是“[IPv6]:端口”，也不是 unix 路径。Kitex 监听 IPv6 地址时，注册时会丢掉方括号：\
            fd00::1:8888 不是地址，Kitex 客户端会说 `too many colons in address`。手工查看：\n\
            \tetcdctl get --prefix kitex/registry-etcd/SERVICE/",
    remedies: &[
        ENVIRONMENT_OF_IPV4,
        concat!(
            "或者在交给服务端的注册器 r 上固定地址，以保留 IPv6 及其方括号；但停止之后，它的条目最多还会残留一个租约\
             （60 秒）：\n",
            fix!()
        ),
        REWRITE,
        DELETE,
    ],
};

pub(in crate::finding) const R08: Text = Text {
    cause: "键里的地址与值里的不同；以值为准",
    proof: "把键的最后一段与值里的地址相比较。手工查看：\n\
            \tetcdctl get --prefix kitex/registry-etcd/SERVICE/",
    remedies: &[
        "两处注册同一个地址；Kitex 写入的两处总是相同，所以这个条目是别的程序或人写的。",
        DELETE,
    ],
};

pub(in crate::finding) const R09: Text = Text {
    cause: "无法读懂的值",
    proof: "值不是 registry-etcd 所写的 JSON；这个条目被跳过，Kitex 自己的 resolver 也会跳过它，调用方看到的是 `no \
            instance remains`。手工查看：\n\
            \tetcdctl get 'KEY'",
    remedies: &[
        "看看是不是有别的程序用了同一个前缀。",
        concat!("写成 registry-etcd 所写的样子：\n", put!()),
        DELETE,
    ],
};

pub(in crate::finding) const R10: Text = Text {
    cause: "权重小于等于 0；按 Kitex 的做法取 10",
    proof: "从值里读到。",
    remedies: &[
        "把权重设为 1 或更大；如果不想让某个实例得到调用，就注销它：\n\
         \tserver.WithRegistryInfo(&registry.Info{Weight: 10})",
    ],
};

pub(in crate::finding) const R11: Text = Text {
    cause: "同一个地址也出现在别的条目里",
    proof: "同一服务的两个条目通向同一个地址：它们算一个 endpoint，权重以最新的条目为准。手工查看：\n\
            \tetcdctl get --prefix kitex/registry-etcd/SERVICE/",
    remedies: &[DELETE],
};

pub(in crate::finding) const R12: Text = Text {
    cause: "租约无人续期：租约到期条目就消失；没有租约的则永远不会消失",
    proof: "租约已经过去一半以上：Kitex 每过三分之一就续期一次（租约 60 秒，除非 KITEX_ETCD_REGISTRY_LEASE_TTL 另有规\
            定）。或者条目没有租约，而它的地址没有人应答。手工查看（第二行用第一行打印的 Lease，换算成十六进制）：\n\
            \tetcdctl get 'KEY' -w fields\n\
            \tetcdctl lease timetolive LEASE",
    remedies: &[
        "看看服务端进程是在运行、被挂起，还是与 etcd 断开了；它的日志会写明何时续期失败。",
        "重启服务端：连续五次检查失败之后，它的注册器就永远放弃了。",
        DELETE,
    ],
};

pub(in crate::finding) const R13: Text = Text {
    cause: "前缀不对、没有这个服务，或它的实例都已不在",
    proof: "读过注册中心，这个前缀和名字之下什么都没有。Kitex 客户端会说 `service discovery error: no instance \
            remains`。手工查看：\n\
            \tetcdctl get --prefix --keys-only kitex/registry-etcd/\n\
            \tetcdctl get --prefix --keys-only /SERVICE/",
    remedies: &[
        "改正服务名：必须与 server.WithServerBasicInfo 里的逐字相同。现有的名字：\n\
         \tetcdctl get --prefix --keys-only kitex/registry-etcd/",
        "两端使用同一个前缀：NewEtcdRegistryWithAuth 和 NewEtcdResolverWithAuth 会让前缀为空。请在两端都改用选项：\n\
         \tetcd.NewEtcdRegistry(endpoints, etcd.WithAuthOpt(user, password))",
        "或者在 tidegate 的 [[registry]] 里写上实际使用的前缀：\n\
         \tprefix = \"PREFIX\"",
        "启动该服务，或者查明它为什么不再注册（R22）。",
    ],
};

pub(in crate::finding) const R14: Text = Text {
    cause: "云的元数据地址，从不连接",
    proof: "从地址本身即可判断：任何形式的 169.254.169.254、100.100.100.200、169.254.0.23 或 fd00:ec2::254。连到那里可\
            能拿到云的凭证，所以改写和解析之后也一样拒绝。",
    remedies: &[
        concat!(
            "删掉该条目；不可能有服务监听在那里，也可能是有人故意写入的：\n",
            delete!()
        ),
        "改正通向那里的主机名或 [[rewrite]] 规则。",
    ],
};

pub(in crate::finding) const R15: Text = Text {
    cause: "既不是 tcp 也不是 unix 的网络类型",
    proof: "从值里读到。Kitex 的 resolver 会原样交出去，连接时才失败。",
    remedies: &[concat!(
        "网络类型写成 tcp；地址是路径时写成 unix：\n",
        put!()
    )],
};

pub(in crate::finding) const R16: Text = Text {
    cause: "tidegate 的监听地址，不是实例：连上去就成了环路",
    proof: "该地址正由这个 tidegate 的某个 [[listener]] 监听；或者它对 `doctor --call` 的回答以 `tidegate: ` 开头，那是 tidegate \
            自己的话（如果本机的连接被重定向到 tidegate，这些话说明它为什么连不上该实例）。手工查看：\n\
            \tss -ltnp 'sport = :PORT'",
    remedies: &[
        concat!(
            "在服务端的环境变量里注册实例自己的端口，而不是 tidegate 的：\n",
            set!("KITEX_PORT_TO_REGISTRY" = "OWN_PORT")
        ),
        "或者让 tidegate 监听别的端口。",
        "如果是 [[rewrite]] 规则通向那里，就改正规则。",
    ],
};

pub(in crate::finding) const R17: Text = Text {
    cause: "在这里解析不了的主机名，或者解析成了回环地址",
    proof: "在本机解析过这个名字，而且本机的 DNS 解析有应答；没有应答则什么也证明不了。手工查看：\n\
            \tgetent ahosts HOST\n\
            在 Windows 上：\n\
            \tResolve-DnsName HOST",
    remedies: &[
        concat!(
            "在服务端的环境变量里改为注册 IP 地址；容器网络内部的名字，以及 /etc/hosts 里指向 127.0.1.1 的本机名，到了\
             别处都没有意义：\n",
            environment!()
        ),
        LISTEN,
        FIX,
        "或者让这个名字在这里能解析：用 DNS，或写进 /etc/hosts：\n\
         \tHOST_IP HOST",
        REWRITE,
    ],
};

pub(in crate::finding) const R18: Text = Text {
    cause: "IPv6 地址，而本机没有 IPv6",
    proof: "从地址和本机网卡判断：没有网卡有能通往外部的 IPv6 地址。手工查看：\n\
            \tip -6 address show scope global\n\
            在 Windows 上：\n\
            \tipconfig",
    remedies: &[
        ENVIRONMENT_OF_IPV4,
        "或者让服务端监听 IPv4 地址：\n\
         \tserver.WithServiceAddr(&net.TCPAddr{IP: net.ParseIP(\"HOST_IPV4\"), Port: PORT})",
        "或者给本机配置 IPv6。",
        "在改好之前，可以在 tidegate 的配置里改写：\n\
         \t[[rewrite]]\n\
         \tservice = \"SERVICE\"\n\
         \taddress = \"ADDRESS\"\n\
         \thost = \"HOST_IPV4\"\n\
         \tport = PORT",
    ],
};

pub(in crate::finding) const R19: Text = Text {
    cause: "本机上不存在、或没有人监听的 unix 套接字",
    proof: "本机没有这个套接字，或者文件还在但没有人监听，或者无权使用。路径到了另一台主机上没有意义。手工查看：\n\
            \tss -lxp | grep -F 'PATH'",
    remedies: &[
        "如果本机就是实例所在的主机，启动该实例，并检查套接字所在目录的权限：\n\
         \tls -l 'PATH'",
        concat!(
            "否则让它监听 TCP：registry-etcd 无法注册路径，所以这个条目是别的程序或人写的。\n",
            listen!()
        ),
    ],
};

pub(in crate::finding) const R20: Text = Text {
    cause: "该服务的名字是另一个服务名字的开头，Kitex 的 resolver 会把两者混在一起",
    proof: "比较服务名。Kitex 的 resolver 向 etcd 查询 `{prefix}/{service}` 时末尾没有斜杠，于是把 item-v2 的实例也当\
            成 item 的：调用方会得到 `unknown method` 或错误的回复。手工对比它看到的和应有的：\n\
            \tetcdctl get --prefix --keys-only kitex/registry-etcd/item\n\
            \tetcdctl get --prefix --keys-only kitex/registry-etcd/item/",
    remedies: &[
        "给其中一个改名，使两个名字互不为开头：用 v2-item 和 item。",
        "或者经由 tidegate 调用：它查询时总是带上斜杠。",
        "如果键在地址之后还有内容，它属于名字里带斜杠的另一个服务，不会用于名字较短的服务。",
    ],
};

pub(in crate::finding) const R21: Text = Text {
    cause: "残留：进程已经停止，条目要到租约结束才消失",
    proof: "该地址没有人监听，租约也没有续期。进程要么是被杀掉的；要么是正常停止、但用了 SetFixedAddress：注销时删的是\
            监听地址的键，所注册的键会留到租约结束（60 秒）。如果地址在\
            每台主机上都指向自己（R02），在本机被拒绝说明不了那个进程的状态，租约就报 R12。手工查看：\n\
            \tetcdctl get 'KEY' -w fields\n\
            \tetcdctl lease timetolive LEASE",
    remedies: &[
        "等一等：租约结束它就消失。在此期间 tidegate 会在同一次调用内改连别的实例。",
        concat!("立即删掉它：\n", delete!()),
        concat!(
            "缩短每次停止后的残留时间：在服务端的环境变量里设更短的租约（秒），或者不用 SetFixedAddress：\n",
            set!("KITEX_ETCD_REGISTRY_LEASE_TTL" = "10")
        ),
    ],
};

pub(in crate::finding) const R22: Text = Text {
    cause: "在本机监听着，却不再注册",
    proof: "注册中心还记得本机一个已经不再注册的地址，而那里仍有程序在监听。Kitex 的注册器每 30 秒检查一次自己的键；间\
            隔 10 秒、连续五次检查失败之后就永远放弃，服务端照常运行，却没有人会调用它。手工查看：\n\
            \tss -ltnp 'sport = :PORT'\n\
            \tetcdctl get --prefix --keys-only kitex/registry-etcd/SERVICE/",
    remedies: &[
        "重启服务端：它启动 1 秒后就会注册。",
        "在此之前，可以把它写进 tidegate 的配置；自己做服务发现的调用方仍然看不到它：\n\
         \t[[service]]\n\
         \tname = \"SERVICE\"\n\
         \tendpoints = [\"ADDRESS\"]",
        "在服务端的日志里查明当时为什么连不上 etcd（E01）。",
    ],
};
