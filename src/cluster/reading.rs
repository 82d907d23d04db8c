//! The arithmetic of a group at one moment.

use super::legs::{LEG_NAMES, PERCENTILES};
use super::level::{GroupParams, Level, LevelBounds, Verdict};
use super::member::{MemberClose, MemberUpdate};
use super::universe::UniverseReading;
use crate::domain::{self, CloseBasis, Direction, Leg, LegRank, Symbol, UnixNanos, Unknown};
use crate::estimators::Turbulence;

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
    /// Shares behind it; `None` where they are not known, or of several classes.
    pub shares: Option<f64>,
    /// Where its close comes from; `None` while the session runs.
    pub basis: Option<CloseBasis>,
    /// First breach of the session.
    pub breached_at: Option<UnixNanos>,
    /// Partition and offset of its newest price.
    pub source: Option<(i32, i64)>,
    /// Until when its price stands for the present.
    pub fresh_until: UnixNanos,
}

impl From<&MemberUpdate> for MemberReading {
    fn from(u: &MemberUpdate) -> Self {
        Self {
            symbol: u.symbol.clone(),
            log_return: u.log_return,
            z: u.z,
            market_value: u.market_value,
            shares: u.shares,
            basis: None,
            breached_at: u.breached_at,
            source: u.source,
            fresh_until: u.fresh_until,
        }
    }
}

impl From<&MemberClose> for MemberReading {
    fn from(c: &MemberClose) -> Self {
        Self {
            symbol: c.symbol.clone(),
            log_return: c.log_return,
            z: c.z,
            market_value: c.market_value,
            shares: c.shares,
            basis: c.basis,
            breached_at: c.breached_at,
            source: c.source,
            fresh_until: UnixNanos::MAX,
        }
    }
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

    /// What it gained in market value, in US dollars: `value (exp(r) - 1)`.
    pub(super) fn change(&self) -> Option<f64> {
        Some(self.market_value? * self.log_return.ok()?.exp_m1())
    }

    /// A member of which the session has heard nothing.
    pub(super) fn not_yet(symbol: Symbol, market_value: Option<f64>) -> Self {
        let gap = Err(Unknown::NotYet);
        Self {
            symbol,
            log_return: gap,
            z: gap,
            market_value,
            shares: None,
            basis: None,
            breached_at: None,
            source: None,
            fresh_until: UnixNanos::MAX,
        }
    }
}

/// Where a leg stands in its history, or why that is not known.
pub(crate) type Rank = Result<LegRank, Unknown>;

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
    /// How unusual the members' returns are together.
    pub turbulence: Result<Turbulence, Unknown>,
    /// Largest loss of a member in US dollars; a gain is below zero.
    pub max_member_loss: domain::Reading,
    /// Loss of all members known.
    pub group_loss: domain::Reading,
    /// What breadth and dispersion are read over.
    pub universe: Option<UniverseReading>,
    /// Where the legs stand, for a level from percentiles.
    pub ranks: [Rank; LEG_NAMES.len()],
    /// Highest level whose bounds are reached; `None` when too few legs are known to say.
    pub level: Option<Level>,
}

/// Members at or beyond the first tier; for none, enough of them have to be known.
pub(crate) fn in_breach(members: &[MemberReading], params: &GroupParams) -> Result<u32, Unknown> {
    let known: Vec<f64> = members.iter().filter_map(|m| m.z.ok()).collect();
    let beyond = known.iter().filter(|z| z.abs() >= params.breach_at).count();
    let is_enough = known.len() as f64 >= params.coverage_min * members.len() as f64;
    match u32::try_from(beyond) {
        _ if members.is_empty() => Err(Unknown::NoMember),
        Ok(0) if !is_enough => Err(Unknown::Coverage),
        Ok(count) => Ok(count),
        Err(_) => Ok(u32::MAX),
    }
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
    // The loss of one that did not move is 0, not -0.
    let largest = members.iter().filter_map(MemberReading::change).map(|c| 0.0 - c).max_by(f64::total_cmp);
    let mut reading = Reading {
        basket_return,
        basket_z,
        rms_z,
        members_in_breach,
        coverage,
        turbulence: Err(Unknown::NotComputed),
        max_member_loss: weights.and_then(|_| largest.ok_or(Unknown::NoMember)),
        group_loss: weights.map(|_| 0.0 - change_of(members)),
        universe: None,
        ranks: [Err(Unknown::NotComputed); LEG_NAMES.len()],
        level: None,
    };
    reading.level = reading.judge(params);
    reading
}

impl Reading {
    /// The values of the seven legs, in their order.
    pub fn values(&self) -> [domain::Reading; LEG_NAMES.len()] {
        let of = |part: fn(&UniverseReading) -> domain::Reading| match &self.universe {
            Some(universe) => part(universe),
            None => Err(Unknown::NotComputed),
        };
        [
            self.basket_z,
            self.rms_z,
            self.turbulence.map(|t| t.value),
            of(|u| u.breadth),
            of(|u| u.dispersion),
            self.max_member_loss,
            self.group_loss,
        ]
    }

    /// Looks up where each leg stands, and judges anew.
    pub(crate) fn rank_by(&mut self, params: &GroupParams, rank: impl Fn(usize, f64) -> Rank) {
        let values = self.values();
        self.ranks = std::array::from_fn(|leg| values[leg].and_then(|v| rank(leg, magnitude(leg, v))));
        self.level = self.judge(params);
    }

    /// The legs with the bounds of `level`.
    pub(crate) fn legs(&self, params: &GroupParams, level: Level) -> Vec<Leg> {
        match &params.verdict {
            Verdict::Unjudged => Vec::new(),
            Verdict::Bounds(levels) => self.bounded_legs(&levels[usize::from(level.number().max(1)) - 1]),
            Verdict::Composite(_) => self.ranked_legs(),
        }
    }

    fn bounded_legs(&self, bounds: &LevelBounds) -> Vec<Leg> {
        let leg = |name, value: domain::Reading, threshold: f64| Leg {
            name,
            value,
            rank: None,
            threshold: Ok(threshold),
            reached: value.is_ok_and(|v| v.abs() >= threshold),
        };
        vec![
            leg("basket_z", self.basket_z, bounds.basket_z),
            leg("rms_z", self.rms_z, bounds.rms_z),
            leg("members_in_breach", self.members_in_breach, bounds.members),
        ]
    }

    fn ranked_legs(&self) -> Vec<Leg> {
        let values = self.values();
        let leg = |at: usize| Leg {
            name: LEG_NAMES[at],
            value: values[at],
            rank: Some(self.ranks[at]),
            threshold: self.ranks[at].map(|r| r.bounds[0]),
            reached: self.is_at(at, 0),
        };
        (0..LEG_NAMES.len()).map(leg).collect()
    }

    /// Legs at their 95th percentile, and all of them, where the level comes from percentiles.
    pub(crate) fn legs_at(&self, params: &GroupParams) -> Option<(usize, usize)> {
        params.composite()?;
        Some(((0..LEG_NAMES.len()).filter(|leg| self.is_at(*leg, 0)).count(), LEG_NAMES.len()))
    }

    fn is_at(&self, leg: usize, bound: usize) -> bool {
        self.ranks[leg].is_ok_and(|r| r.percentile() >= PERCENTILES[bound])
    }

    pub(crate) fn judge(&self, params: &GroupParams) -> Option<Level> {
        match &params.verdict {
            Verdict::Unjudged => None,
            Verdict::Bounds(levels) => self.judge_by(levels),
            Verdict::Composite(_) => {
                let at = |bound| (0..LEG_NAMES.len()).filter(|leg| self.is_at(*leg, bound)).count();
                Level::of_legs(self.ranks.iter().filter(|r| r.is_ok()).count(), at(0), at(1))
            }
        }
    }

    fn judge_by(&self, levels: &[LevelBounds; 3]) -> Option<Level> {
        for level in [Level::Critical, Level::Alert, Level::Watch] {
            let bounds = &levels[usize::from(level.number()) - 1];
            if self.bounded_legs(bounds).iter().filter(|l| l.reached).count() >= bounds.legs {
                return Some(level);
            }
        }
        let known = [self.basket_z, self.rms_z, self.members_in_breach].iter().filter(|l| l.is_ok()).count();
        (known >= levels[0].legs).then_some(Level::Calm)
    }
}

/// What of a leg is compared with its history: of the basket's multiple the size.
pub(crate) fn magnitude(leg: usize, value: f64) -> f64 {
    if leg == 0 { value.abs() } else { value }
}

/// What the members known gained in market value, in US dollars: `sum value_i (exp(r_i) - 1)`.
pub(crate) fn change_of(members: &[MemberReading]) -> f64 {
    members.iter().filter_map(MemberReading::change).sum()
}

/// What each member adds to the simple return of the basket: `w_i (exp(r_i) - 1)`, over the members known.
pub(crate) fn contributions(members: &[MemberReading]) -> Vec<domain::Reading> {
    let known: f64 = members.iter().filter(|m| m.log_return.is_ok()).filter_map(|m| m.market_value).sum();
    let of = |m: &MemberReading| {
        let value = m.market_value.ok_or(Unknown::NoWeights)?;
        m.log_return.map(|r| value / known * r.exp_m1())
    };
    members.iter().map(of).collect()
}

/// The direction that a stay begins with: the sign of the basket, or of the largest multiple where that is not known.
pub(crate) fn direction_of(reading: &Reading, members: &[MemberReading]) -> Direction {
    let largest = || {
        let known = members.iter().filter_map(|m| m.z.ok());
        known.max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0)
    };
    Direction::of(reading.basket_return.unwrap_or_else(|_| largest()))
}
