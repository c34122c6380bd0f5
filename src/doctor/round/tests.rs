use super::*;

#[test]
fn few_addresses_are_listened_to_patiently_and_many_for_a_bounded_time() {
    let patient = Plan::default().listen;
    for (addresses, millis) in [
        (0, 300),
        (1, 300),
        (64, 300),
        (65, 150),
        (128, 150),
        (256, 75),
        (1_000, 60),
        (usize::MAX, 60),
    ] {
        let expected = Duration::from_millis(millis);
        assert_eq!(listen(patient, addresses), expected, "{addresses}");
    }
    let short = Duration::from_millis(10);
    assert_eq!(
        listen(short, 1_000),
        short,
        "never longer than the plan says"
    );
}

#[test]
fn all_together_are_tried_for_a_minute_and_idle_connections_for_their_time_on_top() {
    let plan = Plan::default();
    assert_eq!(limit(&plan, 1_000_000), LIMIT);
    let idle = Plan {
        idle: Some(Duration::from_secs(6)),
        ..plan
    };
    assert_eq!(limit(&idle, 65), LIMIT + Duration::from_secs(12));
}
