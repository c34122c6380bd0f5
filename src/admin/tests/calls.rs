use super::*;
use crate::recorder::{Kind, Wanted};

async fn ask(query: &str) -> (u16, String) {
    let running = start(Routes::Everything, Scripted::default());
    let answer = running.ask(&format!("GET /calls{query}"), "", "").await;
    (status(&answer), body(&answer).to_owned())
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
        assert_eq!(said["asked"], format!("{wanted:?}"), "{query}");
    }
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
