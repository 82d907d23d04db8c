//! Gauges whose series are replaced together.

use prometheus::GaugeVec;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A gauge family that shows what was last said of it and nothing older: a series that is not said again goes.
///
/// No series goes and comes back while it is said, so that no scrape falls between.
pub struct Family {
    gauges: GaugeVec,
    shown: Mutex<BTreeSet<Vec<String>>>,
}

impl Family {
    pub(super) fn new(gauges: GaugeVec) -> Self {
        Self { gauges, shown: Mutex::default() }
    }

    /// Begins to say everything anew; what was not said by the end of the round goes.
    pub fn round(&self) -> Round<'_> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        Round { gauges: &self.gauges, shown, said: BTreeSet::new() }
    }
}

/// All series of a family, said once more.
pub struct Round<'a> {
    gauges: &'a GaugeVec,
    shown: MutexGuard<'a, BTreeSet<Vec<String>>>,
    said: BTreeSet<Vec<String>>,
}

impl Round<'_> {
    /// Says one.
    pub fn set(&mut self, labels: &[&str], value: f64) {
        self.gauges.with_label_values(labels).set(value);
        self.said.insert(labels.iter().map(|l| (*l).to_owned()).collect());
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        for gone in self.shown.difference(&self.said) {
            let labels: Vec<&str> = gone.iter().map(String::as_str).collect();
            // One that is gone already is no failure.
            let _ = self.gauges.remove_label_values(&labels);
        }
        *self.shown = std::mem::take(&mut self.said);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Opts;
    use prometheus::core::Collector;

    #[test]
    fn what_is_not_said_again_goes() {
        let family = Family::new(GaugeVec::new(Opts::new("level", "Level."), &["cluster"]).unwrap());
        let say = |names: &[&str]| {
            let mut round = family.round();
            for name in names {
                round.set(&[name], 1.0);
            }
        };
        let shown = || {
            let metrics = family.gauges.collect().remove(0).take_metric();
            let mut names: Vec<String> = metrics.iter().map(|m| m.get_label()[0].value().to_owned()).collect();
            names.sort();
            names
        };
        say(&["mag7", "banks"]);
        assert_eq!(shown(), ["banks", "mag7"]);
        say(&["mag7"]);
        assert_eq!(shown(), ["mag7"]);
        say(&[]);
        assert!(family.gauges.collect().is_empty() || shown().is_empty());
    }
}
