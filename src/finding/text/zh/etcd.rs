//! What is wrong with etcd (`E…`).

use crate::finding::Text;

pub(in crate::finding) const E01: Text = Text {
    cause: "连不上 etcd，或者它的某个成员",
    proof: "会指明是哪一步失败：名字、路由、端口，还是应答。运行中的 tidegate 会沿用最后一次读到的实例。手工查看：\n\
            \tetcdctl --endpoints='URL' endpoint health",
    remedies: &[
        "改正 --etcd，或者 [[registry]] 的 endpoints，要带上 http:// 或 https://。",
        "检查 etcd 是否在运行，是否监听别人能连上的地址：不带参数启动的成员只监听 127.0.0.1。\n\
         \tetcd --listen-client-urls=http://0.0.0.0:PORT --advertise-client-urls=http://HOST_IP:PORT",
        "在 etcd 主机的防火墙或安全组里，允许本机地址以 TCP 入站访问端口 PORT。",
    ],
};

pub(in crate::finding) const E02: Text = Text {
    cause: "etcd 拒绝了用户、密码或令牌",
    proof: "etcd 回答 `authentication failed`、`user name is empty` 或 `invalid auth token`。手工查看（会询问密码）：\n\
            \tetcdctl --endpoints='URL' --user=USER get --prefix --limit=1 kitex/registry-etcd/",
    remedies: &[
        "改正 [[registry]] 的 user 和 password；密码可以取自环境变量：\n\
         \tuser = \"tidegate\"\n\
         \tpassword = \"${ETCD_PASSWORD}\"",
        "Kitex 的两端也需要：etcd.WithAuthOpt(user, password)。",
    ],
};

pub(in crate::finding) const E03: Text = Text {
    cause: "etcd 用户无权读取该范围",
    proof: "etcd 回答 `permission denied`。手工查看：\n\
            \tetcdctl user get USER --detail",
    remedies: &[
        "把读取权限授给这个用户的某个角色，可以只给一个服务，也可以给全部：\n\
         \tetcdctl role grant-permission ROLE --prefix=true read 'KEY'",
        "如果它还没有角色：\n\
         \tetcdctl role add ROLE\n\
         \tetcdctl user grant-role USER ROLE",
    ],
};

pub(in crate::finding) const E04: Text = Text {
    cause: "etcd 对外公布的是回环地址",
    proof: "读取了各成员的 client URL：其中有回环地址，而本机是用别的地址连上 etcd 的。会同步成员列表的客户端，之后就会\
            去连自己。手工查看：\n\
            \tetcdctl --endpoints='URL' member list",
    remedies: &["启动 etcd 时写上别人要连的地址：\n\
                 \tetcd --advertise-client-urls=http://HOST_IP:2379"],
};

pub(in crate::finding) const E05: Text = Text {
    cause: "正在跟踪的版本已被 etcd 压缩；会重新读取",
    proof: "watch 以 `required revision has been compacted` 结束。",
    remedies: &["不用处理：tidegate 会重新读取并继续。"],
};

pub(in crate::finding) const E06: Text = Text {
    cause: "etcd 很慢",
    proof: "一次读取超过了 200 毫秒。手工查看：\n\
            \tetcdctl --endpoints='URL' endpoint status -w table\n\
            \tetcdctl --endpoints='URL' check perf",
    remedies: &[
        "检查各成员的磁盘（etcd 的日志里会写 `slow fdatasync`），以及成员之间的距离。",
        "把近处的成员写在 endpoints 的最前面。",
        "在此期间注册可能失效：Kitex 的注册器每次操作只等 3 秒。",
    ],
};

pub(in crate::finding) const E07: Text = Text {
    cause: "与 etcd 的 TLS 握手失败",
    proof: "失败的那一步会原文引用：证书颁发机构、名字、有效期、对方要求客户端证书，或者对方根本不说 TLS。手工查看：\n\
            \topenssl s_client -connect 'HOST:PORT' -showcerts",
    remedies: &[
        "在 [[registry]] 里写明 etcd 的证书颁发机构；endpoint 写的是 IP 地址时，还要写明证书里的名字：\n\
         \ttls = { ca = \"ca.pem\", domain = \"etcd.example\" }",
        "etcd 要求客户端证书时，加上 cert 和 key。",
        "etcd 没有启用 TLS 时，写 http://。",
    ],
};
