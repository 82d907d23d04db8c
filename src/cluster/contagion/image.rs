//! What contagion keeps of earlier sessions, as plain numbers for snapshots.

use super::excitation::{EVENTS_MAX, Excitation};
use super::follow::{FollowUp, Forecast, SCORED_KEPT, Scored, Sessions};
use super::lead::{Breach, LagCounts};
use super::lift::LiftWindow;
use super::{BREACHES_MAX, Contagion, ContagionParams};
use crate::domain::{self, SessionDate, Symbol, UnixNanos, Unknown};
use crate::estimators::{FitRefusal, HawkesParams};
use serde::{Deserialize, Serialize};

/// Contagion as plain numbers; its parameters stand elsewhere.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ContagionImage {
    session: Option<i32>,
    /// Bit 0: a member broke; bit 1: it was broad.
    lift: Vec<u8>,
    others: Vec<u8>,
    seen_within: Option<i32>,
    follow: FollowImage,
    last: Option<(i64, Vec<BreachImage>)>,
    lags: [u64; 4],
    excitation: ExcitationImage,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct FollowImage {
    /// Count, broad, sum: of all sessions, of those after shocks.
    all: (u32, u32, f64),
    followed: (u32, u32, f64),
    shock: Option<i32>,
    open: Option<ForecastImage>,
    scored: u32,
    lapsed: u32,
    errors: [f64; 4],
    newest: Vec<(ForecastImage, f64)>,
}

/// Session, breadth, probability, and the two of the base.
type ForecastImage = (i32, [f64; 4]);

/// Symbol, time, multiple or why it is not known, whether a member.
type BreachImage = (String, i64, Result<f64, u8>, bool);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct ExcitationImage {
    clock: Option<f64>,
    since: f64,
    events: Vec<(f64, bool)>,
    fresh: u32,
    fitted: Option<(Vec<f64>, Vec<f64>, f64)>,
    refused: Option<u8>,
    lines: [u32; 2],
    length: f64,
}

fn date(days: i32) -> SessionDate {
    SessionDate::from_days(days).unwrap_or(SessionDate::MIN)
}

fn forecast_image(f: &Forecast) -> ForecastImage {
    (f.session.days(), [f.breadth, f.broad_probability, f.base_breadth, f.base_probability])
}

fn forecast((session, numbers): ForecastImage) -> Option<Forecast> {
    let [breadth, broad_probability, base_breadth, base_probability] = numbers;
    let is_sound = numbers.iter().all(|n| n.is_finite());
    is_sound.then(|| Forecast { session: date(session), breadth, broad_probability, base_breadth, base_probability })
}

fn sessions((count, broad, sum): (u32, u32, f64)) -> Sessions {
    let is_sound = broad <= count && sum.is_finite();
    if is_sound { Sessions { count, broad, sum } } else { Sessions::default() }
}

impl FollowUp {
    fn image(&self) -> FollowImage {
        let plain = |s: Sessions| (s.count, s.broad, s.sum);
        FollowImage {
            all: plain(self.all),
            followed: plain(self.followed),
            shock: self.shock.map(SessionDate::days),
            open: self.open.as_ref().map(forecast_image),
            scored: self.scored,
            lapsed: self.lapsed,
            errors: self.errors,
            newest: self.newest.iter().map(|s| (forecast_image(&s.forecast), s.breadth)).collect(),
        }
    }

    fn restore(image: FollowImage) -> Self {
        let scored = |(image, breadth): (ForecastImage, f64)| {
            forecast(image).filter(|_| breadth.is_finite()).map(|forecast| Scored { forecast, breadth })
        };
        let are_errors = image.errors.iter().all(|e| *e >= 0.0 && e.is_finite());
        Self {
            all: sessions(image.all),
            followed: sessions(image.followed),
            shock: image.shock.map(date),
            open: image.open.and_then(forecast),
            scored: if are_errors { image.scored } else { 0 },
            lapsed: image.lapsed,
            errors: if are_errors { image.errors } else { [0.0; 4] },
            newest: image.newest.into_iter().filter_map(scored).take(SCORED_KEPT).collect(),
        }
    }
}

impl Excitation {
    fn image(&self) -> ExcitationImage {
        let params = |p: &HawkesParams| (p.mu().to_vec(), p.alpha().to_vec(), p.beta());
        ExcitationImage {
            clock: self.clock,
            since: self.since,
            events: self.events.iter().copied().collect(),
            fresh: self.fresh,
            fitted: self.fitted.as_ref().map(params),
            refused: self.refused.map(FitRefusal::number),
            lines: self.lines,
            length: self.length,
        }
    }

    /// Goes on from an image; from nothing where its times are none that can be.
    fn restore(image: ExcitationImage) -> Self {
        let end = image.clock.unwrap_or(0.0);
        let is_sound = (0.0..=f64::MAX).contains(&end)
            && (0.0..=end).contains(&image.since)
            && (0.0..=f64::MAX).contains(&image.length)
            && image.events.len() <= EVENTS_MAX
            && image.events.iter().all(|(time, _)| (image.since..=end).contains(time))
            && image.events.is_sorted_by(|a, b| a.0 <= b.0);
        if !is_sound {
            return Self::default();
        }
        let params = |(mu, alpha, beta)| HawkesParams::new(mu, alpha, beta).ok().filter(|p| p.kinds() == 2);
        Self {
            clock: image.clock,
            since: image.since,
            events: image.events.into(),
            fresh: image.fresh,
            fitted: image.fitted.and_then(params),
            refused: image.refused.and_then(FitRefusal::from_number),
            lines: image.lines,
            length: image.length,
        }
    }
}

impl Contagion {
    /// The plain content, for snapshots.
    pub fn image(&self) -> ContagionImage {
        let breach = |b: &Breach| (b.symbol.to_string(), b.at.0, b.z.map_err(Unknown::number), b.is_member);
        let last = |(open, list): &(UnixNanos, Vec<Breach>)| (open.0, list.iter().map(breach).collect());
        ContagionImage {
            session: self.session.map(SessionDate::days),
            lift: self.lift.image(),
            others: self.others.image(),
            seen_within: self.seen_within.map(SessionDate::days),
            follow: self.follow.image(),
            last: self.last.as_ref().map(last),
            lags: self.lags.0,
            excitation: self.excitation.image(),
        }
    }

    /// Continues from an image; what in it cannot be is left out.
    pub fn restore(params: ContagionParams, image: ContagionImage) -> Self {
        let z = |z: Result<f64, u8>| -> domain::Reading {
            match z {
                Ok(z) if z.is_finite() => Ok(z),
                Ok(_) => Err(Unknown::NotYet),
                Err(number) => Err(Unknown::from_number(number).unwrap_or(Unknown::NotYet)),
            }
        };
        let breach = |(symbol, at, multiple, is_member): BreachImage| {
            let symbol = Symbol::new(&symbol).ok()?;
            Some(Breach { symbol, at: UnixNanos(at), z: z(multiple), is_member })
        };
        let last = |(open, list): (i64, Vec<BreachImage>)| {
            (UnixNanos(open), list.into_iter().filter_map(breach).take(BREACHES_MAX).collect())
        };
        Self {
            params,
            session: image.session.map(date),
            lift: LiftWindow::restore(&image.lift),
            others: LiftWindow::restore(&image.others),
            seen_within: image.seen_within.map(date),
            follow: FollowUp::restore(image.follow),
            last: image.last.map(last),
            lags: LagCounts(image.lags),
            excitation: Excitation::restore(image.excitation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot may be any bytes of the right shape.
    #[test]
    fn what_cannot_be_is_left_out() {
        let mut image = Contagion::new(ContagionParams::default()).image();
        image.lift = vec![255; 2_000];
        image.follow.all = (1, 2, 0.5);
        image.follow.errors = [f64::NAN; 4];
        image.follow.scored = u32::MAX;
        image.follow.open = Some((i32::MIN, [f64::INFINITY; 4]));
        image.lags = [u64::MAX; 4];
        image.last =
            Some((i64::MIN, vec![("X".into(), i64::MAX, Ok(f64::NAN), true), (String::new(), 0, Err(200), true)]));
        image.excitation.events = vec![(5.0, true), (1.0, false)];
        image.excitation.fitted = Some((vec![-1.0; 2], vec![0.0; 4], 1.0));
        let restored = Contagion::restore(ContagionParams::default(), image);
        let view = restored.view();
        assert_eq!((view.follow_through.scored, view.follow_through.open), (0, None));
        assert_eq!(restored.excitation, Excitation::default());
        assert_eq!(view.lead_lag.unwrap().initiator.unwrap().as_str(), "X");
        assert_eq!(restored.lift.image().len(), 504);
        assert!(view.lags.shares().is_some());
    }
}
