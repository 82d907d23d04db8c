//! The sentence of a symbol's alert, from the alert's own fields.

use crate::domain::{Alert, AlertKind, AlertState, SessionDate};
use std::fmt;

/// One English sentence for people; every number in it stands in its own field too.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Sentence<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: AlertKind,
    pub(crate) state: AlertState,
    pub(crate) tier: f64,
    /// Unrounded.
    pub(crate) z: Option<f64>,
    pub(crate) simple_return: Option<f64>,
    pub(crate) price: Option<f64>,
    pub(crate) reference: Option<f64>,
    pub(crate) session: Option<SessionDate>,
    pub(crate) suspected_split: Option<f64>,
}

impl<'a> Sentence<'a> {
    pub(super) fn of(alert: &'a Alert) -> Self {
        let reference = alert.reference.as_ref().ok();
        Self {
            id: alert.entity.id(),
            kind: alert.kind,
            state: alert.state,
            tier: alert.tier,
            z: alert.z.ok(),
            simple_return: alert.simple_return.ok(),
            price: alert.price.ok(),
            reference: reference.map(|r| r.price),
            session: alert.session,
            suspected_split: reference.and_then(|r| r.suspected_split),
        }
    }

    fn verb(&self) -> String {
        match (self.kind, self.state) {
            (AlertKind::Open, _) => "has moved".to_owned(),
            (AlertKind::Escalate, _) => format!("has reached tier {} with", self.tier),
            (AlertKind::Update, _) => "stands at".to_owned(),
            (AlertKind::Deescalate, _) => format!("has eased to tier {} at", self.tier),
            (AlertKind::Close, AlertState::Expired) => "ended its session without a verdict, last at".to_owned(),
            (AlertKind::Close, _) => "has ended its move and stands at".to_owned(),
            (AlertKind::Confirm, _) => "closed with a move of".to_owned(),
            (AlertKind::Fade, _) => "did not hold its move and closed at".to_owned(),
            (AlertKind::Correct, _) => "was corrected to".to_owned(),
            (AlertKind::Retract, _) => "never made the move reported; it stands at".to_owned(),
        }
    }
}

/// Four decimals at most, none that say nothing.
fn shown(price: f64) -> f64 {
    (price * 1e4).round() / 1e4
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.id, self.verb())?;
        match self.z {
            Some(z) => write!(f, "{z:+.2} sigma")?,
            None => f.write_str("an unknown number of sigma")?,
        }
        if let Some(r) = self.simple_return {
            write!(f, " ({:+.2} %)", r * 100.0)?;
        }
        if let Some(session) = self.session {
            write!(f, " on {session}")?;
        }
        match (self.price, self.reference) {
            (Some(price), Some(reference)) => write!(f, ", {} against {}", shown(price), shown(reference))?,
            (None, Some(reference)) => write!(f, ", unknown against {}", shown(reference))?,
            (_, None) => {}
        }
        if let Some(ratio) = self.suspected_split {
            let (new, old) = if ratio >= 1.0 { (ratio, 1.0) } else { (1.0, 1.0 / ratio) };
            let looks = "no record says so, but it looks like a split of";
            write!(f, "; {looks} {} for {}", shown(new), shown(old))?;
        }
        f.write_str(".")
    }
}
