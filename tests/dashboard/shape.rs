//! What Grafana, and the person in front of it, needs of the file.

use std::collections::HashSet;

use serde_json::Value;

use crate::{dashboard, list, metrics, queries, read, text};

/// Where the files stand in Grafana's container.
const MOUNT: &str = "/etc/grafana/tidegate";

fn is_row(panel: &Value) -> bool {
    text(panel, "type") == "row"
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    let dashboard = dashboard();
    assert_eq!(text(&dashboard, "uid"), "tidegate-overview");
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    for panel in list(&dashboard, "panels") {
        let title = text(panel, "title");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "id of {title}");
        assert!(!title.is_empty() && titles.insert(title), "title {title:?}");
        if is_row(panel) {
            continue;
        }
        assert!(text(panel, "description").len() > 20, "{title}");
        assert!(
            !text(&panel["fieldConfig"]["defaults"], "unit").is_empty(),
            "{title}"
        );
        assert!(list(panel, "targets").count() > 0, "{title}");
        for from in list(panel, "targets").chain([panel]) {
            assert_eq!(text(&from["datasource"], "uid"), "${datasource}", "{title}");
        }
    }
}

#[test]
fn no_panel_lies_over_another() {
    let mut taken = HashSet::new();
    for panel in list(&dashboard(), "panels") {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                let title = text(panel, "title");
                assert!(taken.insert((x, y)), "{title} at column {x}, line {y}");
            }
        }
    }
}

#[test]
fn every_metric_is_in_the_docs() {
    let (dashboard, docs) = (dashboard(), read("docs/metrics.md"));
    let variables = list(&dashboard["templating"], "list").map(|it| text(it, "definition"));
    let queries = queries(&dashboard);
    let of_panels = queries.iter().map(|query| &*query.expression);
    let mut seen = HashSet::new();
    for metric in of_panels.chain(variables).flat_map(metrics) {
        let known = docs.contains(&format!("`{metric}`"));
        assert!(known, "{metric} is not in docs/metrics.md");
        seen.insert(metric.to_owned());
    }
    assert!(seen.len() > 20, "{seen:?}");
}

#[test]
fn every_query_follows_the_variables_and_the_scrape_interval() {
    for query in queries(&dashboard()) {
        let expression = &query.expression;
        for filter in [r#"job=~"$job""#, r#"instance=~"$instance""#] {
            assert!(expression.contains(filter), "{}: {filter}", query.at);
        }
        let ranges = expression.matches('[').count();
        let given = expression.matches("[$__rate_interval]").count();
        assert_eq!(ranges, given, "{}", query.at);
        for label in query.legend.split("{{").skip(1) {
            let label = label.split_once("}}").unwrap().0;
            let kept = |by: &str| by.split(')').next().unwrap().contains(label);
            let mut groups = expression.split("by (").skip(1);
            assert!(groups.any(kept), "{}: no label {label}", query.at);
        }
    }
}

#[test]
fn the_variables_exist_and_choose_everything_at_first() {
    let dashboard = dashboard();
    let variables: Vec<_> = list(&dashboard["templating"], "list").collect();
    let names: Vec<_> = variables.iter().map(|it| text(it, "name")).collect();
    assert_eq!(names, ["datasource", "job", "instance", "service"]);
    for variable in &variables[1..] {
        assert_eq!(variable["multi"], true);
        assert_eq!(variable["includeAll"], true);
        assert_eq!(variable["current"]["value"][0], "$__all");
    }
}

/// The value of the only line `key: value` in a YAML file.
fn yaml(path: &str, key: &str) -> String {
    let file = read(path);
    let start = format!("{key}: ");
    let mut values = file
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(&start));
    let value = values
        .next()
        .unwrap_or_else(|| panic!("{path} has no {key}"));
    assert_eq!(values.next(), None, "{path}: {key}");
    value.to_owned()
}

#[test]
fn what_is_provisioned_stands_where_the_documents_mount_it() {
    const DASHBOARDS: &str = "grafana/provisioning/dashboards/tidegate.yaml";
    const DATASOURCES: &str = "grafana/provisioning/datasources/prometheus.yaml";
    assert_eq!(yaml(DASHBOARDS, "path"), MOUNT);
    assert_eq!(yaml(DASHBOARDS, "type"), "file");
    assert_eq!(yaml(DATASOURCES, "type"), "prometheus");
    assert_eq!(yaml(DATASOURCES, "isDefault"), "true");
    for document in ["README.md", "README.zh-CN.md", "grafana/README.md"] {
        let said = read(document);
        assert!(said.contains(&format!("/grafana:{MOUNT}")), "{document}");
        let url = yaml(DATASOURCES, "url");
        let variable = url.trim_start_matches('$');
        assert!(said.contains(&format!("-e {variable}=")), "{document}");
        // Every path that a container is told is one of this repository's.
        for path in said.split(MOUNT).skip(1) {
            let file: String = path
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "/._-".contains(*c))
                .collect();
            let here = format!("{}/grafana{file}", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&here).exists(), "{document}: {here}");
        }
    }
}
