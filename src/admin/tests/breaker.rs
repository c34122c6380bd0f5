use super::*;

async fn ask(running: &Running, query: &str) -> (u16, String) {
    let answer = running.ask(&format!("POST /breaker{query}"), "", "").await;
    (status(&answer), body(&answer).trim_end().to_owned())
}

#[tokio::test]
async fn an_order_says_service_method_state_and_for_how_long() {
    let running = start(Routes::Everything, Scripted::default());
    for (query, understood) in [
        (
            "?service=shop.item&method=Get&state=open&for=90s",
            "Some(\"Get\") Forced(Open, 90s)",
        ),
        (
            "?state=closed&service=shop.item",
            "None Forced(Closed, 600s)",
        ),
        ("?service=shop%2Eitem&state=reset", "None Reset"),
        (
            "?service=shop.item&method=a+b%C3%A9&state=reset",
            "Some(\"a bé\") Reset",
        ),
    ] {
        let answer = ask(&running, query).await;
        assert_eq!(answer, (200, understood.to_owned()), "{query}");
    }
    assert_eq!(running.told().len(), 4);
}

#[tokio::test]
async fn an_order_that_cannot_be_understood_is_told_why_and_changes_nothing() {
    let running = start(Routes::Everything, Scripted::default());
    for (query, why) in [
        ("", "say which service: service=NAME"),
        ("?service=&state=open", "say which service: service=NAME"),
        (
            "?service=shop.item",
            "say what it shall be: state=open, closed or reset",
        ),
        (
            "?service=shop.item&state=shut",
            "say what it shall be: state=open, closed or reset",
        ),
        (
            "?service=shop.item&state=open&for=10",
            "for=10 is no time up to 24h, such as 90s or 10m",
        ),
        (
            "?service=shop.item&state=open&for=0s",
            "for=0s is no time up to 24h, such as 90s or 10m",
        ),
        (
            "?service=shop.item&state=open&for=25h",
            "for=25h is no time up to 24h, such as 90s or 10m",
        ),
        (
            "?service=shop.item&state=reset&for=1m",
            "a reset is at once: it takes no for",
        ),
        (
            "?servce=shop.item&state=open",
            "there is no servce: did you mean service?",
        ),
        ("?service=a&service=b", "service is there twice"),
        ("?service=%4", "%4 is not properly encoded"),
        ("?service=%ff&state=open", "%ff is not properly encoded"),
    ] {
        let answer = ask(&running, query).await;
        assert_eq!(answer, (400, why.to_owned()), "{query}");
    }
    assert!(running.told().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let running = start(Routes::Everything, Scripted::default());
    let answer = ask(&running, "?service=shop.itm&state=open").await;
    assert_eq!(answer, (404, "no service shop.itm".to_owned()));
}
