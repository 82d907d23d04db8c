//! The largest one-day losses of market value: those seen, and those told of earlier years.

use crate::domain::{CloseBasis, SessionDate, Symbol};
use std::sync::Arc;

/// Losses kept.
pub const LOSSES_KEPT: usize = 20;

/// A one-day loss of a company.
#[derive(Clone, PartialEq, Debug)]
pub struct Loss {
    /// Its symbol; of several share classes that of the largest.
    pub symbol: Symbol,
    /// The company, where records name one.
    pub company: Option<Arc<str>>,
    /// When.
    pub session: SessionDate,
    /// Loss of market value in US dollars.
    pub usd: f64,
    /// Log return of the session.
    pub log_return: f64,
    /// Market value before it.
    pub market_value: f64,
    /// Shares behind it; `None` where they are not known, or of several classes.
    pub shares: Option<f64>,
    /// Where the close comes from; `None` while the session runs.
    pub basis: Option<CloseBasis>,
    /// Its place among all seen and all told of earlier sessions, the largest is 1.
    pub rank: u32,
}

/// A loss of an earlier year that a history tells.
#[derive(Clone, PartialEq, Debug)]
pub struct PastLoss {
    /// Whose.
    pub symbol: Symbol,
    /// When.
    pub session: SessionDate,
    /// Loss of market value in US dollars.
    pub usd: f64,
    /// What it was measured by, in the history's own word.
    pub basis: Arc<str>,
}

/// A line of the table of the largest losses.
#[derive(Clone, PartialEq, Debug)]
pub struct LossRecord {
    /// Place, from 1.
    pub rank: u32,
    /// The loss.
    pub loss: PastLoss,
    /// Whether a history tells it; it was seen otherwise.
    pub is_told: bool,
}

/// The largest losses, largest first.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct LossBook {
    /// Those seen; their rank stands with the session that is asked for.
    kept: Vec<Loss>,
    told: Arc<[PastLoss]>,
}

impl LossBook {
    pub(super) fn new(told: Arc<[PastLoss]>) -> Self {
        Self { kept: Vec::new(), told }
    }

    /// The same history with nothing seen yet.
    pub(super) fn emptied(&self) -> Self {
        Self::new(self.told.clone())
    }

    pub(super) fn kept(&self) -> &[Loss] {
        &self.kept
    }

    /// Takes a session's loss of a company.
    pub(super) fn keep(&mut self, loss: Loss) {
        self.kept.retain(|l| (&l.symbol, l.session) != (&loss.symbol, loss.session));
        let at = self.kept.partition_point(|l| l.usd >= loss.usd);
        self.kept.insert(at, loss);
        self.kept.truncate(LOSSES_KEPT);
    }

    /// Those of a session as they would stand with these losses of it.
    pub(super) fn with(&self, session: SessionDate, losses: impl Iterator<Item = Loss>) -> Vec<Loss> {
        let mut all = self.clone();
        losses.for_each(|loss| all.keep(loss));
        all.of(session)
    }

    /// Those of one session.
    pub(super) fn of(&self, session: SessionDate) -> Vec<Loss> {
        let told: Vec<&PastLoss> = self.told_before(session).collect();
        let ranked = (1..).zip(&self.kept).filter(|(_, loss)| loss.session == session);
        let rank = |(place, loss): (u32, &Loss)| {
            let above = told.iter().filter(|t| t.usd > loss.usd).count();
            Loss { rank: place.saturating_add(u32::try_from(above).unwrap_or(u32::MAX)), ..loss.clone() }
        };
        ranked.map(rank).collect()
    }

    /// What the history tells of sessions before `session` and nobody here has seen.
    fn told_before(&self, session: SessionDate) -> impl Iterator<Item = &PastLoss> {
        let is_seen = |t: &PastLoss| self.kept.iter().any(|l| (&l.symbol, l.session) == (&t.symbol, t.session));
        self.told.iter().filter(move |t| t.session < session && !is_seen(t))
    }

    /// The largest of all up to `session`, largest first.
    pub(super) fn table(&self, session: SessionDate) -> Vec<LossRecord> {
        let seen = self.kept.iter().map(|l| {
            let basis = l.basis.map_or("provisional", CloseBasis::name).into();
            (PastLoss { symbol: l.symbol.clone(), session: l.session, usd: l.usd, basis }, false)
        });
        let mut all: Vec<(PastLoss, bool)> = seen.chain(self.told_before(session).map(|t| (t.clone(), true))).collect();
        all.sort_by(|(a, _), (b, _)| b.usd.total_cmp(&a.usd));
        all.truncate(LOSSES_KEPT);
        (1..).zip(all).map(|(rank, (loss, is_told))| LossRecord { rank, loss, is_told }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str) -> SessionDate {
        text.parse().unwrap()
    }

    fn loss(symbol: &str, session: &str, usd: f64) -> Loss {
        Loss {
            symbol: Symbol::new(symbol).unwrap(),
            company: None,
            session: on(session),
            usd,
            log_return: -0.1,
            market_value: 10.0 * usd,
            shares: Some(10.0),
            basis: None,
            rank: 0,
        }
    }

    fn told(symbol: &str, session: &str, usd: f64) -> PastLoss {
        PastLoss { symbol: Symbol::new(symbol).unwrap(), session: on(session), usd, basis: "press".into() }
    }

    #[test]
    fn a_loss_has_its_place() {
        let mut book = LossBook::new(Arc::from([]));
        book.keep(loss("A", "2024-09-03", 279.0));
        book.keep(loss("A", "2025-01-27", 593.0));
        book.keep(loss("B", "2025-01-27", 90.0));
        // Said again, it stands once.
        book.keep(loss("A", "2025-01-27", 592.0));
        let of = book.of(on("2025-01-27"));
        assert_eq!(of.iter().map(|l| (l.usd, l.rank)).collect::<Vec<_>>(), [(592.0, 1), (90.0, 3)]);
    }

    #[test]
    fn what_a_history_tells_counts_once_and_only_before_the_session() {
        let mut book = LossBook::new([told("A", "2024-09-03", 279.0), told("M", "2022-02-03", 251.0)].into());
        book.keep(loss("A", "2025-01-27", 593.0));
        book.keep(loss("B", "2025-01-27", 244.0));
        let ranks = |book: &LossBook, day: &str| book.of(on(day)).iter().map(|l| l.rank).collect::<Vec<_>>();
        assert_eq!(ranks(&book, "2025-01-27"), [1, 4]);
        // Seen here by another count, it does not stand twice.
        book.keep(loss("A", "2024-09-03", 278.9));
        assert_eq!(ranks(&book, "2025-01-27"), [1, 4]);
        assert_eq!(ranks(&book, "2024-09-03"), [2], "only the largest of the other was before it");
        let table = book.table(on("2025-01-27"));
        let lines: Vec<_> = table.iter().map(|r| (r.rank, r.loss.usd, r.is_told)).collect();
        assert_eq!(lines, [(1, 593.0, false), (2, 278.9, false), (3, 251.0, true), (4, 244.0, false)]);
        assert_eq!(ranks(&book.emptied(), "2025-01-27"), [0; 0]);
    }
}
