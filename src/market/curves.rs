//! Diurnal curves that were learned, by group or symbol, and from when each of them holds.

use super::ruler::LearnedCurve;
use crate::domain::{CurveTarget, SessionDate};
use std::collections::BTreeMap;

/// Curves kept of one target; the one with the oldest start goes.
const CURVES_KEPT: usize = 64;

/// Learned curves by what they are about.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Curves(BTreeMap<CurveTarget, Vec<LearnedCurve>>);

impl Curves {
    /// Records a curve; false when nothing changes.
    pub fn set(&mut self, target: &CurveTarget, curve: LearnedCurve) -> bool {
        let list = self.0.entry(target.clone()).or_default();
        match list.binary_search_by_key(&curve.from, |c| c.from) {
            Ok(at) if list[at] == curve => return false,
            Ok(at) => list[at] = curve,
            Err(0) if list.len() >= CURVES_KEPT => return false,
            Err(at) => {
                list.insert(at, curve);
                if list.len() > CURVES_KEPT {
                    list.remove(0);
                }
            }
        }
        true
    }

    /// The curve of `target` that holds in `session`.
    pub fn in_force(&self, target: &CurveTarget, session: SessionDate) -> Option<&LearnedCurve> {
        let list = self.0.get(target)?;
        list.get(list.partition_point(|c| c.from <= session).checked_sub(1)?)
    }

    /// Every record, in order.
    pub fn records(&self) -> impl Iterator<Item = (&CurveTarget, &LearnedCurve)> {
        self.0.iter().flat_map(|(target, list)| list.iter().map(move |c| (target, c)))
    }

    /// Adds a curve unless one of the same start is known.
    pub fn absorb(&mut self, target: &CurveTarget, curve: LearnedCurve) {
        let is_known = self.0.get(target).is_some_and(|l| l.iter().any(|c| c.from == curve.from));
        if !is_known {
            self.set(target, curve);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Curve;
    use std::sync::Arc;

    #[test]
    fn the_newest_start_not_after_the_session_holds() {
        let mut curves = Curves::default();
        let target = CurveTarget::Group("g".into());
        let day = |n: i32| SessionDate::from_days(20_000 + n).unwrap();
        let curve = |n: i32, sessions| LearnedCurve {
            from: day(n),
            curve: Arc::new(Curve::default()),
            overnight: None,
            sessions,
        };
        assert!(curves.set(&target, curve(10, 63)));
        assert!(!curves.set(&target, curve(10, 63)));
        assert!(curves.set(&target, curve(5, 64)));
        let held = |n| curves.in_force(&target, day(n)).map(|c| c.sessions);
        assert_eq!([held(4), held(5), held(9), held(10), held(99)], [None, Some(64), Some(64), Some(63), Some(63)]);
        assert_eq!(curves.in_force(&CurveTarget::Group("h".into()), day(10)), None);
        for n in 0..200 {
            curves.set(&target, curve(n, 1));
        }
        assert_eq!(curves.records().count(), CURVES_KEPT);
        let before = curves.clone();
        curves.absorb(&target, curve(199, 7));
        assert_eq!(curves, before);
    }
}
