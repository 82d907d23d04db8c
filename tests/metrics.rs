//! The metric reference against the metrics, and the metrics against the conventions of Prometheus.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use fragility::telemetry::{Metrics, metric_reference};
use std::collections::BTreeMap;

mod harness;

#[test]
fn the_page_is_what_the_build_says() {
    let said = metric_reference(&Metrics::new().unwrap());
    let page = harness::text("docs/metrics.md");
    let (_, table) = page.split_once("<!-- fragility metrics -->\n").unwrap();
    assert_eq!(table, said, "docs/metrics.md has to end with what `fragility metrics` prints");
}

/// What is exposed is listed, under the same type and help; a counter is at 0 before its first event.
#[test]
fn what_is_exposed_is_listed() {
    let metrics = Metrics::new().unwrap();
    let listed: BTreeMap<&str, _> = metrics.made().iter().map(|m| (m.name.as_str(), m)).collect();
    assert_eq!(listed.len(), metrics.made().len(), "a name stands twice");
    let text = String::from_utf8(metrics.text().unwrap()).unwrap() + &metrics.symbol_series.text(&[]);
    let mut seen = 0;
    for line in text.lines().filter(|l| l.starts_with("# ") && !l.contains(" process_")) {
        let [_, what, name, rest] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let info = listed.get(name).unwrap_or_else(|| panic!("{name} is exposed and not listed"));
        assert_eq!(rest, if what == "HELP" { &*info.help } else { info.kind }, "{line}");
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
    assert!(
        text.contains("fragility_alerts_total{entity_type=\"cluster\",kind=\"escalate\",severity=\"CRITICAL\"} 0\n")
    );
}

#[test]
fn names_and_labels_are_as_prometheus_has_them() {
    for info in Metrics::new().unwrap().made() {
        let what = &info.name;
        let is_snake = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        assert!(what.starts_with("fragility_") && is_snake(what), "{what}");
        assert_eq!(what.ends_with("_total"), info.kind == "counter", "{what}");
        assert!(
            info.labels.iter().all(|l| is_snake(l) && !["le", "quantile", "job", "instance"].contains(&&**l)),
            "{what}"
        );
        assert!(info.help.ends_with('.') && info.help.len() > 10, "{what}: {}", info.help);
        assert!(
            !["_ms", "_millis", "_percent", "_kb"].iter().any(|unit| what.trim_end_matches("_total").ends_with(unit)),
            "{what}: base units"
        );
    }
}
