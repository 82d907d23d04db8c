//! `dashboards` and `rules`: what watches a service of this build, as it stands in `deploy`.

use super::AppError;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Files that belong together.
pub struct Shipped {
    what: &'static str,
    /// Name, ending and text of each.
    files: &'static [(&'static str, &'static str)],
    ending: &'static str,
    /// A line that stands once in each file, and only once where they are printed together.
    once: Option<&'static str>,
}

/// The Grafana dashboards.
pub const DASHBOARDS: Shipped = Shipped {
    what: "dashboard",
    files: &[
        ("fragility-overview", include_str!("../../deploy/grafana/dashboards/fragility-overview.json")),
        ("fragility-market", include_str!("../../deploy/grafana/dashboards/fragility-market.json")),
        ("fragility-symbol", include_str!("../../deploy/grafana/dashboards/fragility-symbol.json")),
        ("fragility-cluster", include_str!("../../deploy/grafana/dashboards/fragility-cluster.json")),
        ("fragility-kafka", include_str!("../../deploy/grafana/dashboards/fragility-kafka.json")),
    ],
    ending: "json",
    once: None,
};

/// The rules of Prometheus.
pub const RULES: Shipped = Shipped {
    what: "file of rules",
    files: &[
        ("rules_operations", include_str!("../../deploy/prometheus/rules_operations.yml")),
        ("rules_recording", include_str!("../../deploy/prometheus/rules_recording.yml")),
        ("rules_input", include_str!("../../deploy/prometheus/rules_input.yml")),
        ("rules_delivery", include_str!("../../deploy/prometheus/rules_delivery.yml")),
        ("rules_market", include_str!("../../deploy/prometheus/rules_market.yml")),
    ],
    ending: "yml",
    once: Some("groups:\n"),
};

impl Shipped {
    /// Prints the files of these names, or all of them, or writes each into a directory and prints its path.
    ///
    /// Several dashboards are one JSON text behind the other; several files of rules are one file of rules.
    ///
    /// # Errors
    /// When a name is none of them, or something cannot be written.
    pub fn give(&self, names: &[String], dir: Option<&Path>, out: &mut impl Write) -> Result<(), AppError> {
        let chosen = self.chosen(names)?;
        if let Some(dir) = dir {
            let failed = |path: &Path, error: io::Error| AppError::Output(path.to_owned(), error);
            fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
            for (name, text) in chosen {
                let path = dir.join(format!("{name}.{}", self.ending));
                fs::write(&path, text).map_err(|e| failed(&path, e))?;
                printed(writeln!(out, "{}", path.display()))?;
            }
            return Ok(());
        }
        for (at, (_, text)) in chosen.into_iter().enumerate() {
            match self.once.filter(|_| at > 0).and_then(|line| text.split_once(line)) {
                Some((before, behind)) => printed(write!(out, "\n{before}{behind}"))?,
                None => printed(out.write_all(text.as_bytes()))?,
            }
        }
        Ok(())
    }

    fn chosen(&self, names: &[String]) -> Result<Vec<(&'static str, &'static str)>, AppError> {
        if names.is_empty() {
            return Ok(self.files.to_vec());
        }
        let mut chosen = Vec::with_capacity(names.len());
        for name in names {
            let Some(file) = self.files.iter().find(|(n, _)| n == name) else {
                let known: Vec<&str> = self.files.iter().map(|(n, _)| *n).collect();
                return Err(AppError::Usage(format!("no {} {name:?}; there are {}", self.what, known.join(", "))));
            };
            chosen.push(*file);
        }
        Ok(chosen)
    }
}

/// A reader that has seen enough, such as `head`, is no failure.
fn printed(written: io::Result<()>) -> Result<(), AppError> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(AppError::Output("-".into(), error)),
        _ => Ok(()),
    }
}
