//! Lines to be pasted that stand in the words of every language: `HOST_IP`, `PORT` and the like are to be filled in.

/// The environment that says what a Kitex server registers, as the lines of a shell that starts it.
macro_rules! environment {
    () => {
        "\texport KITEX_IP_TO_REGISTRY=HOST_IP\n\texport KITEX_PORT_TO_REGISTRY=PORT"
    };
}

/// The address that a Kitex server listens on, and registers.
macro_rules! listen {
    () => {
        "\tserver.WithServiceAddr(&net.TCPAddr{IP: net.ParseIP(\"HOST_IP\"), Port: PORT})"
    };
}

/// The address that registry-etcd registers whatever the server listens on.
macro_rules! fix {
    () => {
        "\tetcd.SetFixedAddress(r, &net.TCPAddr{IP: net.ParseIP(\"HOST_IP\"), Port: PORT})"
    };
}

/// A rule of tidegate's for this one address.
macro_rules! rewrite {
    () => {
        "\t[[rewrite]]\n\tservice = \"SERVICE\"\n\taddress = \"ADDRESS\"\n\thost = \"HOST_IP\"\n\tport = PORT"
    };
}

/// Takes an entry away.
macro_rules! delete {
    () => {
        "\tetcdctl del 'KEY'"
    };
}

/// Writes an entry as registry-etcd does. The key keeps its lease, so that the entry still goes with its server.
macro_rules! put {
    () => {
        "\tetcdctl put --ignore-lease 'KEY' '{\"network\":\"tcp\",\"address\":\"HOST_IP:PORT\",\"weight\":10,\"tags\":null}'"
    };
}
