use super::*;
use crate::recorder::{Kind, Wanted};

async fn ask(query: &str) -> (u16, String) {
    let running = start(Routes::Everything, Scripted::default());
    let answer = running.ask(&format!("GET /calls{query}"), "", "").await;
    let whole = match header(&answer, "transfer-encoding") {
        Some(_) => unchunked(body(&answer)),
        None => body(&answer).to_owned(),
    };
    (status(&answer), whole)
}

/// A body that came in chunks.
fn unchunked(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole += &after[..size];
        rest = &after[size + 2..];
        if size == 0 {
            break;
        }
    }
    whole
}

#[tokio::test]
async fn calls_are_asked_for_by_service_kind_and_number() {
    let wanted = |service: Option<&str>, kind, limit| Wanted {
        service: service.map(str::to_owned),
        kind,
        limit,
    };
    for (query, wanted) in [
        ("", wanted(None, None, 100)),
        ("?kind=failed", wanted(None, Some(Kind::Failed), 100)),
        (
            "?service=shop.item&kind=slowest&limit=7",
            wanted(Some("shop.item"), Some(Kind::Slowest), 7),
        ),
    ] {
        let (status, said) = ask(query).await;
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(status, 200, "{query}");
        let services = said["services"].as_array().unwrap();
        assert_eq!(services.len(), 1, "{query}");
        assert_eq!(services[0]["asked"], format!("{wanted:?}"), "{query}");
    }
}

#[tokio::test]
async fn calls_of_any_number_of_services_are_json() {
    for many in [0, 1, 3] {
        let control = Scripted {
            services_with_calls: many,
            ..Scripted::default()
        };
        let running = start(Routes::Everything, control);
        let said = unchunked(body(&running.ask("GET /calls", "", "").await));
        let json: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(json["services"].as_array().unwrap().len(), many);
        assert_eq!(said, format!("{json:#}\n"));
    }
}

#[tokio::test]
async fn calls_are_made_as_they_are_read_and_those_of_all_services_for_one_reader_at_a_time() {
    const MANY: usize = 64;
    let control = Scripted {
        services_with_calls: MANY,
        ..Scripted::default()
    };
    let running = start(Routes::Everything, control);
    let host = format!("Host: {}\r\n", running.addr);
    let whole = request("GET /calls", &host, "");
    let mut slow = TcpStream::connect(running.addr).await.unwrap();
    slow.write_all(whole.as_bytes()).await.unwrap();
    slow.read_exact(&mut [0; 9]).await.unwrap();
    // What the kernel takes of it is a few MiB.
    let made = || running.control.made.load(Relaxed);
    loop {
        let before = made();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if before > 0 && made() == before {
            break;
        }
    }
    assert!(made() < MANY / 2, "{} are made, and nobody reads", made());
    let other = running.ask_raw(&whole);
    let named = running.ask("GET /calls?service=shop.item", "", "").await;
    assert_eq!(status(&named), 200);
    let mut other = std::pin::pin!(other);
    let waits = timeout(Duration::from_millis(200), other.as_mut()).await;
    assert!(waits.is_err(), "two are answered at a time");
    drop(slow);
    let answer = other.await;
    assert_eq!(status(&answer), 200);
    assert!(answer.len() > MANY << 20);
}

#[tokio::test]
async fn a_query_for_calls_that_is_wrong_is_told_what_is_right() {
    for (query, code, words) in [
        (
            "?kind=slow",
            400,
            "there is no kind=slow: say failed or slowest",
        ),
        ("?limit=0", 400, "limit=0 is no number from 1 to 100"),
        ("?limit=101", 400, "limit=101 is no number from 1 to 100"),
        ("?limit=ten", 400, "limit=ten is no number from 1 to 100"),
        ("?limti=1", 400, "there is no limti: did you mean limit?"),
        ("?kind=failed&kind=failed", 400, "kind is there twice"),
        ("?service=shop.cart", 404, "no service shop.cart"),
    ] {
        assert_eq!(ask(query).await, (code, format!("{words}\n")), "{query}");
    }
}

#[tokio::test]
async fn calls_are_only_shown() {
    let running = start(Routes::Everything, Scripted::default());
    let answer = running.ask("POST /calls", "", "").await;
    assert_eq!(
        (status(&answer), header(&answer, "allow")),
        (405, Some("GET"))
    );
    let scraped = start(Routes::MetricsOnly, Scripted::default());
    let answer = scraped.ask("GET /calls", "", "").await;
    assert_eq!(status(&answer), 404);
}
