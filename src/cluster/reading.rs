//! The arithmetic of a group at one moment.

use super::level::{GroupParams, Level};
use crate::domain::{self, CloseBasis, Direction, Leg, SessionDate, Symbol, UnixNanos, Unknown};
use std::sync::Arc;

/// One member as the group sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct MemberReading {
    /// Which.
    pub symbol: Symbol,
    /// Log return of the session so far, or why it is not known.
    pub log_return: domain::Reading,
    /// Its multiple, or why it is not known.
    pub z: domain::Reading,
    /// Market value before the session, in USD.
    pub market_value: Option<f64>,
    /// Where its close comes from; `None` while the session runs.
    pub basis: Option<CloseBasis>,
    /// First breach of the session.
    pub breached_at: Option<UnixNanos>,
    /// Partition and offset of its newest price.
    pub source: Option<(i32, i64)>,
    /// Until when its price stands for the present.
    pub fresh_until: UnixNanos,
}

impl MemberReading {
    /// The member as of `at`: a price too old to stand for the present is not known.
    #[must_use]
    pub(super) fn as_of(&self, at: UnixNanos) -> Self {
        if at <= self.fresh_until {
            return self.clone();
        }
        let gone = |reading: domain::Reading| reading.and(Err(Unknown::Stale));
        Self { log_return: gone(self.log_return), z: gone(self.z), ..self.clone() }
    }
}

impl MemberReading {
    /// A member of which the session has heard nothing.
    pub(super) fn not_yet(symbol: Symbol, market_value: Option<f64>) -> Self {
        let gap = Err(Unknown::NotYet);
        Self {
            symbol,
            log_return: gap,
            z: gap,
            market_value,
            basis: None,
            breached_at: None,
            source: None,
            fresh_until: UnixNanos::MAX,
        }
    }
}

/// A group at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// `ln(1 + sum w_i (exp(r_i) - 1))`, weights by market value over the members known.
    pub basket_return: domain::Reading,
    /// Basket return over the sample sigma of the 21 basket returns before.
    pub basket_z: domain::Reading,
    /// `sqrt(sum w_i z_i^2)`.
    pub rms_z: domain::Reading,
    /// Members at or beyond the first tier.
    pub members_in_breach: domain::Reading,
    /// Share of the group's weight with a known return.
    pub coverage: domain::Reading,
    /// Highest level whose bounds are reached; `None` when too few legs are known to say.
    pub level: Option<Level>,
}

/// A group as readers see it.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupView {
    /// Its name.
    pub name: Arc<str>,
    /// Session at hand.
    pub session: Option<SessionDate>,
    /// Level, `UNKNOWN` included.
    pub level: &'static str,
    /// 0 to 3, or -1 for unknown.
    pub level_number: i8,
    /// Share of weight known.
    pub coverage: domain::Reading,
    /// Basket return.
    pub basket_return: domain::Reading,
    /// Legs of the verdict.
    pub legs: Vec<Leg>,
    /// Members with their multiples.
    pub members: Vec<(Symbol, domain::Reading)>,
}

/// Reads a group off its members, in the order given.
///
/// `basket_sigma` is the sample standard deviation of the 21 basket returns before the session.
pub(crate) fn read(params: &GroupParams, members: &[MemberReading], basket_sigma: domain::Reading) -> Reading {
    let total: Option<f64> = members.iter().map(|m| m.market_value).sum();
    let told = members.iter().filter(|m| m.log_return.is_ok()).filter_map(|m| m.market_value);
    // A sum of nothing is -0.
    let known = told.sum::<f64>() + 0.0;
    let coverage = match total {
        None => Err(Unknown::NoWeights),
        Some(total) if total > 0.0 => Ok(known / total),
        Some(_) => Err(Unknown::NoMember),
    };
    let weights: domain::Reading = match coverage {
        Err(reason) => Err(reason),
        Ok(share) if share < params.coverage_min || known <= 0.0 => Err(Unknown::Coverage),
        Ok(_) => Ok(known),
    };
    let basket_return = weights.map(|known| {
        let gain: f64 =
            members.iter().filter_map(|m| Some(m.market_value? / known * m.log_return.ok()?.exp_m1())).sum();
        gain.ln_1p()
    });
    let basket_z = basket_return.and_then(|r| Ok(r / basket_sigma?));
    let rms_z = weights.and_then(|known| {
        let term = |m: &MemberReading| Some((m.market_value?, m.log_return.ok()?, m.z));
        let squares = members.iter().filter_map(term).map(|(value, _, z)| z.map(|z| value / known * z * z));
        squares.sum::<domain::Reading>().map(f64::sqrt)
    });
    let judged = members.iter().filter(|m| m.z.is_ok()).count();
    let members_in_breach = if judged == 0 {
        Err(Unknown::NoMember)
    } else {
        Ok(members.iter().filter(|m| m.z.is_ok_and(|z| z.abs() >= params.breach_at)).count() as f64)
    };
    let mut reading = Reading { basket_return, basket_z, rms_z, members_in_breach, coverage, level: None };
    reading.level = reading.judge(params);
    reading
}

impl Reading {
    /// The legs with the bounds of `level`.
    pub(crate) fn legs(&self, params: &GroupParams, level: Level) -> Vec<Leg> {
        let bounds = &params.levels[usize::from(level.number().max(1)) - 1];
        let leg = |name, value: domain::Reading, threshold: f64| Leg {
            name,
            value,
            threshold,
            reached: value.is_ok_and(|v| v.abs() >= threshold),
        };
        vec![
            leg("basket_z", self.basket_z, bounds.basket_z),
            leg("rms_z", self.rms_z, bounds.rms_z),
            leg("members_in_breach", self.members_in_breach, bounds.members),
        ]
    }

    pub(crate) fn judge(&self, params: &GroupParams) -> Option<Level> {
        for level in [Level::Critical, Level::Alert, Level::Watch] {
            let reached = self.legs(params, level).iter().filter(|l| l.reached).count();
            if reached >= params.levels[usize::from(level.number()) - 1].legs {
                return Some(level);
            }
        }
        let known = [self.basket_z, self.rms_z, self.members_in_breach].iter().filter(|l| l.is_ok()).count();
        (known >= params.levels[0].legs).then_some(Level::Calm)
    }
}

/// What the members known gained in market value, in US dollars: `sum value_i (exp(r_i) - 1)`.
pub(crate) fn change_of(members: &[MemberReading]) -> f64 {
    members.iter().filter_map(|m| Some(m.market_value? * m.log_return.ok()?.exp_m1())).sum()
}

/// The direction that a stay begins with: the sign of the basket, or of the largest multiple where that is not known.
pub(crate) fn direction_of(reading: &Reading, members: &[MemberReading]) -> Direction {
    let largest = || {
        let known = members.iter().filter_map(|m| m.z.ok());
        known.max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0)
    };
    Direction::of(reading.basket_return.unwrap_or_else(|_| largest()))
}
