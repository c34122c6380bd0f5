#![allow(clippy::unwrap_used)]

use super::*;

#[tokio::test]
async fn one_look_shows_the_set_of_the_config_for_whom_it_is_asked() {
    let fixed = Fixed::new([("10.0.0.1:1".to_owned(), 10, BTreeMap::new())]);
    let services = vec!["item".into()];
    let survey = fixed.survey(Ask::of(services)).await;
    assert!(survey.failed.is_none());
    assert_eq!(&*survey.services[0].name, "item");
    assert_eq!(survey.services[0].set.instances[0].address, "10.0.0.1:1");
    assert!(survey.services[0].leases.is_empty(), "it has no leases");
    assert!(fixed.survey(Ask::default()).await.services.is_empty());
}
