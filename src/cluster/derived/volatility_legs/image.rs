//! The legs as plain numbers, for snapshots.

use super::{LONG, Leg, Past, SYMBOLS_MAX, VolatilityLegs};
use crate::cluster::derived::{date, symbol};
use crate::domain::{SessionDate, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct LegImage {
    holdings: Vec<(String, f64)>,
    level: f64,
    peak: f64,
}

/// The state of [`VolatilityLegs`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct VolatilityLegsImage {
    anchor: i32,
    from: Option<i32>,
    last: Option<i32>,
    sorted: Option<(i32, u32)>,
    legs: Option<[LegImage; 2]>,
    is_broken: bool,
    past: Vec<(String, Vec<f64>, u32)>,
}

impl From<&Leg> for LegImage {
    fn from(leg: &Leg) -> Self {
        let holdings = leg.holdings.iter().map(|(symbol, held)| (symbol.to_string(), *held)).collect();
        Self { holdings, level: leg.level, peak: leg.peak }
    }
}

impl LegImage {
    fn restore(self) -> Option<Leg> {
        let is_positive = |x: f64| x > 0.0 && x.is_finite();
        let held = |(name, held): (String, f64)| Some((symbol(&name)?, Some(held).filter(|h| is_positive(*h))?));
        let is_possible = self.holdings.len() <= SYMBOLS_MAX && is_positive(self.level) && self.peak >= self.level;
        let holdings = self.holdings.into_iter().map(held).collect::<Option<_>>()?;
        is_possible.then_some(Leg { holdings, level: self.level, peak: self.peak })
    }
}

impl VolatilityLegs {
    /// The state as plain numbers.
    pub fn image(&self) -> VolatilityLegsImage {
        let past = |(symbol, p): (&Symbol, &Past)| (symbol.to_string(), p.returns.iter().copied().collect(), p.absent);
        VolatilityLegsImage {
            anchor: self.anchor.days(),
            from: self.from.map(SessionDate::days),
            last: self.last.map(SessionDate::days),
            sorted: self.sorted.map(|(session, n)| (session.days(), u32::try_from(n).unwrap_or(u32::MAX))),
            legs: self.legs.as_ref().map(|[low, high]| [low.into(), high.into()]),
            is_broken: self.is_broken,
            past: self.past.iter().map(past).collect(),
        }
    }

    /// Continues from an image; `None` where it is of another anchor, or cannot be.
    pub fn restore(anchor: SessionDate, image: VolatilityLegsImage) -> Option<Self> {
        if image.anchor != anchor.days() || image.past.len() > SYMBOLS_MAX {
            return None;
        }
        let mut past = BTreeMap::new();
        for (name, returns, absent) in image.past {
            if returns.len() > LONG || !returns.iter().all(|r| r.is_finite()) {
                return None;
            }
            past.insert(symbol(&name)?, Past { returns: returns.into(), absent });
        }
        let legs = match image.legs {
            Some([low, high]) => Some([low.restore()?, high.restore()?]),
            None => None,
        };
        let sorted = image.sorted.and_then(|(days, n)| Some((date(Some(days))?, usize::try_from(n).ok()?)));
        let (from, last) = (date(image.from), date(image.last));
        Some(Self { anchor, from, last, sorted, legs, is_broken: image.is_broken, past })
    }
}
