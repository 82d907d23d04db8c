//! The metric reference, out of the metrics themselves.

use super::Metrics;
use std::fmt::Write;

/// Every metric of the service as a table in Markdown, sorted by name; those of the process itself apart.
pub fn metric_reference(metrics: &Metrics) -> String {
    let mut lines: Vec<String> = metrics
        .made()
        .iter()
        .map(|m| {
            let labels: Vec<String> = m.labels.iter().map(|l| format!("`{l}`")).collect();
            format!("| `{}` | {} | {} | {} |", m.name, m.kind, labels.join(" "), m.help)
        })
        .collect();
    lines.sort();
    let mut text = String::from("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for line in lines {
        // Writing into memory cannot fail.
        let _ = writeln!(text, "{line}");
    }
    text
}
