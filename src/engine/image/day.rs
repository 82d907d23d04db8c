//! What a symbol remembers for the time of day, and learned curves, as plain numbers.

use super::bounds::{self, amount, is_event_time, is_price};
use super::date;
use crate::domain::{CURVE_BUCKETS, CurveTarget, Price, Symbol, UnixNanos};
use crate::engine::day::{BarSpan, DayState};
use crate::engine::realized::FiveMinutes;
use crate::engine::state::SymbolState;
use crate::engine::survival::{FORECASTS_KEPT, Forecasts, UNITS};
use crate::estimators::{SessionReturns, WindowMoves};
use crate::market::{Curve, LearnedCurve, OpenBasis};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Prices by ring and slot, first price and last roll.
pub(super) type MovesImage = Option<([[f64; 11]; 3], i64, i64)>;

/// Start, end, open, and whether no other price fell into it.
pub(super) type BarImage = Option<(i64, i64, f64, bool)>;

pub(super) fn moves_image(moves: Option<&WindowMoves>) -> MovesImage {
    moves.map(|m| {
        let (rings, from, rolled) = m.parts();
        (rings, from.0, rolled.0)
    })
}

/// The moves; none where a price or an instant is none.
pub(super) fn moves(image: &MovesImage) -> Option<Box<WindowMoves>> {
    let (rings, from, rolled) = (*image)?;
    let is_possible =
        rings.iter().flatten().all(|price| is_price(*price)) && is_event_time(from) && is_event_time(rolled);
    is_possible.then(|| Box::new(WindowMoves::from_parts(rings, UnixNanos(from), UnixNanos(rolled))))
}

pub(super) fn bar_image(bar: Option<&BarSpan>) -> BarImage {
    bar.map(|b| (b.start.0, b.end.0, b.open.get(), b.is_alone))
}

pub(super) fn bar(image: &BarImage) -> Option<BarSpan> {
    let (start, end, open, is_alone) = (*image)?;
    Some(BarSpan { start: UnixNanos(start), end: UnixNanos(end), open: Price::new(open).ok()?, is_alone })
}

/// First price's time, price in force, end of the return at hand, returns, and whether prices stood too long.
pub(super) type ReturnsImage = (i64, f64, i64, Vec<f64>, bool);

pub(super) fn returns_image(r: &SessionReturns) -> ReturnsImage {
    (r.first.0, r.base, r.end.0, r.returns.clone(), r.is_coarse)
}

/// The returns; none where one of them, the price or an instant is none.
pub(super) fn returns((first, base, end, returns, is_coarse): &ReturnsImage) -> Option<SessionReturns> {
    let is_possible = is_event_time(*first)
        && is_event_time(*end)
        && amount(*base) > 0.0
        && returns.len() <= SessionReturns::MOST
        && returns.iter().all(|r| r.is_finite());
    let (first, end) = (UnixNanos(*first), UnixNanos(*end));
    is_possible.then(|| SessionReturns { first, base: *base, end, returns: returns.clone(), is_coarse: *is_coarse })
}

/// Forecasts by episode that are shares of one.
fn forecasts(list: &[(u32, u32)]) -> Vec<(u32, u32)> {
    list.iter().filter(|(_, units)| *units <= UNITS).take(FORECASTS_KEPT).copied().collect()
}

/// Opening prices, the last seconds, five-minute returns, and forecasts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct DayImage {
    quiet_until: i64,
    /// Session, price, and whether a day bar or daily history said so.
    opens: Vec<(i32, f64, bool)>,
    moves: MovesImage,
    bar: BarImage,
    returns_before: Vec<(i32, ReturnsImage)>,
    returns_today: Option<ReturnsImage>,
    forecasts: Vec<(u32, u32)>,
    settled_forecasts: Option<(i32, Vec<(u32, u32)>)>,
}

/// A learned curve.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct CurveImage {
    name: String,
    is_symbol: bool,
    from: i32,
    shares: [f64; CURVE_BUCKETS],
    overnight: Option<f64>,
    sessions: u32,
}

impl From<(&CurveTarget, &LearnedCurve)> for CurveImage {
    fn from((target, learned): (&CurveTarget, &LearnedCurve)) -> Self {
        let (name, is_symbol) = match target {
            CurveTarget::Group(name) => (name.clone(), false),
            CurveTarget::Symbol(symbol) => (symbol.to_string(), true),
        };
        Self {
            name,
            is_symbol,
            from: learned.from.days(),
            shares: *learned.curve.shares(),
            overnight: learned.overnight,
            sessions: u32::try_from(learned.sessions).unwrap_or(u32::MAX),
        }
    }
}

impl CurveImage {
    pub(super) fn restore(self) -> Option<(CurveTarget, LearnedCurve)> {
        let target = if self.is_symbol {
            CurveTarget::Symbol(Symbol::new(&self.name).ok()?)
        } else {
            CurveTarget::Group(self.name)
        };
        let curve = Arc::new(Curve::new(self.shares)?);
        let overnight = self.overnight.filter(|share| (0.0..=1.0).contains(share));
        let sessions = usize::try_from(self.sessions).unwrap_or(usize::MAX);
        Some((target, LearnedCurve { from: date(self.from), curve, overnight, sessions }))
    }
}

impl From<&SymbolState> for DayImage {
    fn from(state: &SymbolState) -> Self {
        let DayState { opens, moves, bar, returns: FiveMinutes { before, today } } = &state.cold.day;
        let forecasts = &state.cold.forecasts;
        Self {
            quiet_until: state.quiet_until.0,
            opens: opens.records().iter().map(|(s, p, b)| (s.days(), p.get(), *b == OpenBasis::Day)).collect(),
            moves: moves_image(moves.as_deref()),
            bar: bar_image(bar.as_ref()),
            returns_before: before.iter().map(|(s, r)| (s.days(), returns_image(r))).collect(),
            returns_today: today.as_deref().map(returns_image),
            forecasts: forecasts.open.clone(),
            settled_forecasts: forecasts.settled.as_ref().map(|(s, list)| (s.days(), list.clone())),
        }
    }
}

impl DayImage {
    /// Continues from the image; opening prices that reference records said meanwhile stay where the image has none. A first
    /// price is the market's, and what the market said of it since is in the image.
    pub(super) fn restore(&self, state: &mut SymbolState) {
        state.quiet_until = UnixNanos(self.quiet_until);
        let day = &mut state.cold.day;
        day.opens = day.opens.without_first_prices();
        for (session, price, is_day) in &self.opens {
            let basis = if *is_day { OpenBasis::Day } else { OpenBasis::FirstPrice };
            if let Ok(price) = Price::new(*price) {
                day.opens.set(date(*session), price, basis);
            }
        }
        day.moves = moves(&self.moves);
        day.bar = bar(&self.bar);
        day.returns = FiveMinutes {
            before: self.returns_before.iter().filter_map(|(s, r)| Some((date(*s), returns(r)?))).collect(),
            today: self.returns_today.as_ref().and_then(returns).map(Box::new),
        };
        state.cold.forecasts = Forecasts {
            open: forecasts(&self.forecasts),
            settled: self.settled_forecasts.as_ref().map(|(s, list)| (date(*s), forecasts(list))),
        };
        bounds::hold(state);
    }
}
