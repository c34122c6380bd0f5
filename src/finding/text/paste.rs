//! Lines to be pasted that stand in the words of every language: `HOST_IP`, `PORT` and the like are to be filled in.

/// Variables of the environment, as the lines of a shell, and of PowerShell, that starts the server next.
macro_rules! set {
    ($first:literal = $to:literal $(, $name:literal = $value:literal)*) => {
        concat!(
            "\texport ", $first, "=", $to,
            $("\n\texport ", $name, "=", $value,)*
            "\n", powershell!(),
            "\n\t$env:", $first, "=\"", $to, "\"",
            $("\n\t$env:", $name, "=\"", $value, "\"",)*
        )
    };
}

/// What a Kitex server registers, by its environment.
macro_rules! environment {
    () => {
        set!(
            "KITEX_IP_TO_REGISTRY" = "HOST_IP",
            "KITEX_PORT_TO_REGISTRY" = "PORT"
        )
    };
}

/// The same of IPv4.
macro_rules! environment_of_ipv4 {
    () => {
        set!(
            "KITEX_IP_TO_REGISTRY" = "HOST_IPV4",
            "KITEX_PORT_TO_REGISTRY" = "PORT"
        )
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
