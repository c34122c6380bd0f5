use super::*;

async fn with_host(running: &Running, headers: &str) -> u16 {
    status(
        &running
            .ask_raw(&request("GET /services", headers, ""))
            .await,
    )
}

#[tokio::test]
async fn its_own_names_are_answered_under_any_port() {
    let running = start(Routes::Everything, Scripted::default());
    let own = running.addr.to_string();
    for host in [
        &own,
        "127.0.0.1",
        "localhost",
        "LocalHost:9",
        "[::1]:80",
        "127.9.9.9:1",
    ] {
        let headers = format!("Host: {host}\r\n");
        assert_eq!(with_host(&running, &headers).await, 200, "{host}");
    }
}

#[tokio::test]
async fn a_foreign_name_that_resolves_to_loopback_is_misdirected() {
    let running = start(Routes::Everything, Scripted::default());
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.0.2.1",
        "localhost@evil.example",
        "evil.example@localhost",
        "",
        ":80",
    ] {
        let headers = format!("Host: {host}\r\n");
        assert_eq!(with_host(&running, &headers).await, 421, "{host}");
    }
}

#[tokio::test]
async fn no_host_and_two_hosts_are_misdirected() {
    let running = start(Routes::Everything, Scripted::default());
    assert_eq!(with_host(&running, "").await, 421);
    let two = "Host: localhost\r\nHost: evil.example\r\n";
    assert_eq!(with_host(&running, two).await, 421);
}

#[tokio::test]
async fn the_target_s_host_counts_more_than_the_header_s() {
    let running = start(Routes::Everything, Scripted::default());
    let host = "Host: localhost\r\n";
    let foreign = request("GET http://evil.example/services", host, "");
    assert_eq!(status(&running.ask_raw(&foreign).await), 421);
    let own = request("GET http://localhost/services", host, "");
    assert_eq!(status(&running.ask_raw(&own).await), 200);
}

#[tokio::test]
async fn metrics_are_served_under_any_name() {
    let running = start(Routes::MetricsOnly, Scripted::default());
    let asked = request("GET /metrics", "Host: node-7.example\r\n", "");
    assert_eq!(status(&running.ask_raw(&asked).await), 200);
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing() {
    let running = start(Routes::Everything, Scripted::default());
    let other_port = format!("Origin: http://127.0.0.1:{}\r\n", running.addr.port() ^ 1);
    let own_but_twice = format!(
        "Origin: http://{0}\r\nOrigin: http://evil.example\r\n",
        running.addr
    );
    for headers in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        &other_port,
        &own_but_twice,
    ] {
        for path in [
            "POST /drain",
            "POST /reload",
            "POST /log-level",
            "POST /breaker?service=shop.item&state=open",
        ] {
            let answer = running.ask(path, headers, "debug").await;
            assert_eq!(status(&answer), 403, "{path} {headers}");
        }
    }
    assert!(running.told().is_empty());
    assert_eq!(running.control.log_level(), "info");
}

#[tokio::test]
async fn its_own_page_and_programs_may_change() {
    let running = start(Routes::Everything, Scripted::default());
    let page = format!(
        "Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n",
        running.addr
    );
    assert_eq!(status(&running.ask("POST /reload", &page, "").await), 200);
    assert_eq!(
        status(
            &running
                .ask("POST /reload", "Sec-Fetch-Site: none\r\n", "")
                .await
        ),
        200
    );
    assert_eq!(status(&running.ask("POST /reload", "", "").await), 200);
}
