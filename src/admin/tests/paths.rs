use super::*;

#[tokio::test]
async fn metrics_have_the_text_format_s_type() {
    let running = start(Routes::MetricsOnly, Scripted::default());
    let answer = running.ask("GET /metrics", "", "").await;
    assert_eq!(status(&answer), 200);
    let kind = header(&answer, "content-type");
    assert_eq!(kind, Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(body(&answer).contains("# TYPE tidegate_build_info gauge"));
}

#[tokio::test]
async fn readiness_says_what_is_waited_for_while_health_is_good() {
    for (readiness, code, words) in [
        (Readiness::Ready, 200, "ready\n"),
        (Readiness::Starting("etcd".into()), 503, "starting: etcd\n"),
        (Readiness::Draining, 503, "draining\n"),
    ] {
        let control = Scripted {
            readiness,
            ..Scripted::default()
        };
        let running = start(Routes::MetricsOnly, control);
        let answer = running.ask("GET /readyz", "", "").await;
        assert_eq!((status(&answer), body(&answer)), (code, words));
        assert_eq!(body(&running.ask("GET /healthz", "", "").await), "ok\n");
    }
}

#[tokio::test]
async fn services_are_json_and_the_config_is_text() {
    let running = start(Routes::Everything, Scripted::default());
    let answer = running.ask("GET /services", "", "").await;
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    let shown: Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(shown["services"][0]["name"], "shop.item");
    let answer = running.ask("GET /config?x=1", "", "").await;
    assert_eq!(body(&answer), "[runtime]\nworkers = 1\n");
}

#[tokio::test]
async fn the_page_asks_nobody_else() {
    let running = start(Routes::Everything, Scripted::default());
    let answer = running.ask("GET /", "", "").await;
    assert_eq!(
        header(&answer, "content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = header(&answer, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!body(&answer).contains("//cdn") && !body(&answer).contains("http"));
    assert!(!body(&answer).contains("innerHTML"));
}

#[tokio::test]
async fn an_unknown_path_is_told_what_there_is() {
    let running = start(Routes::Everything, Scripted::default());
    let answer = running.ask("GET /metric", "", "").await;
    assert_eq!(status(&answer), 404);
    for there in ["GET /metrics\n", "POST /reload\n", "GET, POST /log-level\n"] {
        assert!(body(&answer).contains(there), "{answer}");
    }
}

#[tokio::test]
async fn a_remote_prometheus_finds_nothing_else() {
    let running = start(Routes::MetricsOnly, Scripted::default());
    for path in [
        "GET /",
        "GET /services",
        "GET /config",
        "POST /reload",
        "POST /drain",
    ] {
        let answer = running.ask(path, "", "").await;
        assert_eq!(status(&answer), 404, "{path}");
        assert!(!body(&answer).contains("/config"), "{answer}");
    }
    assert!(running.told().is_empty());
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let running = start(Routes::Everything, Scripted::default());
    for (line, allow) in [
        ("GET /reload", "POST"),
        ("GET /drain", "POST"),
        ("POST /services", "GET"),
        ("DELETE /log-level", "GET, POST"),
    ] {
        let answer = running.ask(line, "", "").await;
        assert_eq!(status(&answer), 405, "{line}");
        assert_eq!(header(&answer, "allow"), Some(allow), "{line}");
    }
    assert!(running.told().is_empty());
    let head = running.ask("HEAD /healthz", "", "").await;
    assert_eq!((status(&head), body(&head)), (200, ""));
}

#[tokio::test]
async fn a_reload_says_what_changed() {
    let running = start(Routes::Everything, Scripted::default());
    let answer = running.ask("POST /reload", "", "").await;
    assert_eq!(status(&answer), 200);
    assert_eq!(body(&answer), "service shop.item changed\n");
}

#[tokio::test]
async fn a_refused_reload_says_everything_that_is_wrong() {
    let errors = "tidegate.toml:3:1: unknown key `servise`\ntidegate.toml:9:1: no such registry";
    let control = Scripted {
        reload: Err(errors.into()),
        ..Scripted::default()
    };
    let running = start(Routes::Everything, control);
    let answer = running.ask("POST /reload", "", "").await;
    assert_eq!(status(&answer), 422);
    assert_eq!(body(&answer), format!("{errors}\n"));
}

#[tokio::test]
async fn a_reload_goes_on_when_its_caller_hangs_up() {
    let gate = Arc::new(Notify::new());
    let control = Scripted {
        gate: Some(gate.clone()),
        ..Scripted::default()
    };
    let running = start(Routes::Everything, control);
    let mut caller = TcpStream::connect(running.addr).await.unwrap();
    let asked = request("POST /reload", "Host: localhost\r\n", "");
    caller.write_all(asked.as_bytes()).await.unwrap();
    until(|| running.told() == ["reload"]).await;
    drop(caller);
    // Stopped, nothing of the connection is left.
    running.stop.send(()).unwrap();
    running.served.await.unwrap();
    gate.notify_one();
    until(|| *running.control.told.lock() == ["reload", "reloaded"]).await;
}

async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(20), wait).await.unwrap();
}

#[tokio::test]
async fn a_second_drain_is_a_conflict() {
    let running = start(Routes::Everything, Scripted::default());
    assert_eq!(status(&running.ask("POST /drain", "", "").await), 200);
    let answer = running.ask("POST /drain", "", "").await;
    assert_eq!(
        (status(&answer), body(&answer)),
        (409, "draining already\n")
    );
}

#[tokio::test]
async fn the_log_level_is_shown_and_set() {
    let running = start(Routes::Everything, Scripted::default());
    let directives = "info,tidegate::registry=debug";
    let answer = running
        .ask("POST /log-level", "", &format!("{directives}\n"))
        .await;
    assert_eq!(
        (status(&answer), body(&answer)),
        (200, &*format!("{directives}\n"))
    );
    let answer = running.ask("POST /log-level", "", "loud").await;
    assert_eq!(status(&answer), 400);
    assert!(body(&answer).contains("\"loud\""), "{answer}");
    let answer = running.ask("GET /log-level", "", "").await;
    assert_eq!(body(&answer), format!("{directives}\n"));
}

#[tokio::test]
async fn a_large_body_is_refused_whether_it_comes_or_is_only_announced() {
    let running = start(Routes::Everything, Scripted::default());
    let answer = running
        .ask("POST /log-level", "", &"x".repeat(64 << 10))
        .await;
    assert_eq!(status(&answer), 200);
    let answer = running
        .ask("POST /log-level", "", &"y".repeat((64 << 10) + 1))
        .await;
    assert_eq!(status(&answer), 413);
    let announced =
        "POST /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n";
    let answer = running.ask_raw(announced).await;
    assert_eq!(status(&answer), 413);
    assert!(running.control.log_level().starts_with('x'));
}

#[tokio::test]
async fn a_panic_behind_one_path_leaves_the_others() {
    let control = Scripted {
        services: || panic!("a service without a name"),
        ..Scripted::default()
    };
    let running = start(Routes::Everything, control);
    assert_eq!(status(&running.ask("GET /services", "", "").await), 500);
    assert_eq!(status(&running.ask("GET /healthz", "", "").await), 200);
}
