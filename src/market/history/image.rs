//! A history as plain lists: for snapshots, and to put two histories of one security together.

use super::{CLOSES_KEPT, Desk, History, LONG_WINDOW, Published, ValueRecords, value_of};
use crate::domain::{CloseBasis, DividendKind, Price, SessionDate};
use crate::estimators::RecursiveModes;
use crate::market::Calendar;

/// A desk's own volatility is from here to there.
const SIGMA_LEAST: f64 = 1e-9;
const SIGMA_MOST: f64 = 100.0;

/// The plain content of a [`History`], for snapshots.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct HistoryImage {
    /// Closes by session, and whether the session has been measured.
    pub closes: Vec<(SessionDate, Price, CloseBasis, Published)>,
    /// Known returns of sessions before, oldest first.
    pub older: Vec<f64>,
    /// What the modes without a window keep of the returns before those.
    pub recursive: RecursiveModes,
    /// The largest changes of market value in the sessions of those returns.
    pub records: ValueRecords,
    /// Open, high and low by session.
    pub ranges: Vec<(SessionDate, [Price; 3])>,
    /// Splits by ex-date.
    pub splits: Vec<(SessionDate, f64)>,
    /// Cash dividends by ex-date.
    pub cash: Vec<(SessionDate, f64)>,
    /// Spin-offs by ex-date.
    pub spin_offs: Vec<(SessionDate, f64)>,
    /// First prices by session.
    pub firsts: Vec<(SessionDate, f64)>,
    /// Share counts by session.
    pub shares: Vec<(SessionDate, f64)>,
    /// Desk reference for every session.
    pub desk: Option<Desk>,
    /// Desk references by session.
    pub desk_by_session: Vec<(SessionDate, Desk)>,
}

impl HistoryImage {
    /// What it says up to `from`, exclusive, and from there on. What names no session is of before.
    pub fn split_at(&self, from: SessionDate) -> (Self, Self) {
        type Numbers = Vec<(SessionDate, f64)>;
        let numbers = |list: &Numbers| -> (Numbers, Numbers) { list.iter().partition(|(s, _)| *s < from) };
        let (closes, splits) = (self.closes.iter().partition(|(s, ..)| *s < from), numbers(&self.splits));
        let (cash, spin_offs, firsts) = (numbers(&self.cash), numbers(&self.spin_offs), numbers(&self.firsts));
        let ranges: (Vec<_>, Vec<_>) = self.ranges.iter().partition(|(s, _)| *s < from);
        let (shares, desks) = (numbers(&self.shares), self.desk_by_session.iter().partition(|(s, _)| *s < from));
        let before = Self {
            closes: closes.0,
            older: self.older.clone(),
            recursive: self.recursive,
            records: self.records.clone(),
            ranges: ranges.0,
            splits: splits.0,
            cash: cash.0,
            spin_offs: spin_offs.0,
            firsts: firsts.0,
            shares: shares.0,
            desk: self.desk,
            desk_by_session: desks.0,
        };
        let after = Self {
            closes: closes.1,
            older: Vec::new(),
            recursive: RecursiveModes::default(),
            records: ValueRecords::default(),
            ranges: ranges.1,
            splits: splits.1,
            cash: cash.1,
            spin_offs: spin_offs.1,
            firsts: firsts.1,
            shares: shares.1,
            desk: None,
            desk_by_session: desks.1,
        };
        (before, after)
    }

    /// What it says about one session.
    #[must_use]
    pub fn of(&self, session: SessionDate) -> Self {
        let of = |list: &[(SessionDate, f64)]| list.iter().filter(|(s, _)| *s == session).copied().collect();
        Self {
            closes: self.closes.iter().filter(|(s, ..)| *s == session).copied().collect(),
            ranges: self.ranges.iter().filter(|(s, _)| *s == session).copied().collect(),
            splits: of(&self.splits),
            cash: of(&self.cash),
            spin_offs: of(&self.spin_offs),
            firsts: of(&self.firsts),
            shares: of(&self.shares),
            ..Self::default()
        }
    }
}

impl History {
    /// The plain content.
    pub fn image(&self) -> HistoryImage {
        HistoryImage {
            closes: self.closes.iter().map(|c| (c.session, c.price, c.basis, c.published)).collect(),
            older: self.older.iter().copied().collect(),
            recursive: self.recursive,
            records: self.records.clone(),
            ranges: self.ranges.clone(),
            splits: self.actions.splits.clone(),
            cash: self.actions.cash.clone(),
            spin_offs: self.actions.spin_offs.clone(),
            firsts: self.firsts.clone(),
            shares: self.shares.clone(),
            desk: self.desk,
            desk_by_session: self.desk_by_session.clone(),
        }
    }

    /// Whether an image knows more returns before the closes than this history does.
    fn goes_back_less(&self, image: &HistoryImage) -> bool {
        let known = |recursive: &RecursiveModes, older: usize| recursive.returns.saturating_add(older as u64);
        known(&self.recursive, self.older.len()) < known(&image.recursive, image.older.len())
    }

    /// What `image` knows and this history does not; where both know something, this has the last word.
    pub fn news(&self, image: &HistoryImage) -> HistoryImage {
        let unknown = |list: &[(SessionDate, f64)], known: &[(SessionDate, f64)]| {
            list.iter().filter(|(s, _)| value_of(known, *s).is_none()).copied().collect()
        };
        let is_news = |(s, _, basis, _): &&(SessionDate, Price, CloseBasis, Published)| {
            self.close(*s).is_none_or(|c| c.basis < *basis)
        };
        let goes_back = self.goes_back_less(image);
        let desks = image.desk_by_session.iter().filter(|(s, _)| value_of(&self.desk_by_session, *s).is_none());
        HistoryImage {
            closes: image.closes.iter().filter(is_news).copied().collect(),
            older: if goes_back { image.older.clone() } else { Vec::new() },
            recursive: if goes_back { image.recursive } else { RecursiveModes::default() },
            records: if goes_back { image.records.clone() } else { ValueRecords::default() },
            ranges: image.ranges.iter().filter(|(s, _)| value_of(&self.ranges, *s).is_none()).copied().collect(),
            splits: unknown(&image.splits, &self.actions.splits),
            cash: unknown(&image.cash, &self.actions.cash),
            spin_offs: unknown(&image.spin_offs, &self.actions.spin_offs),
            firsts: unknown(&image.firsts, &self.firsts),
            shares: unknown(&image.shares, &self.shares),
            desk: image.desk.filter(|_| self.desk.is_none()),
            desk_by_session: desks.copied().collect(),
        }
    }

    /// Adds the records of `image`; those it knows change nothing, and those that no record can say are left out.
    pub fn absorb(&mut self, calendar: Option<&Calendar>, image: &HistoryImage) {
        let within = |low: f64, high: f64| move |(_, value): &&(SessionDate, f64)| (low..=high).contains(value);
        for (session, ratio) in image.splits.iter().filter(within(1e-6, 1e6)) {
            self.set_split(calendar, *session, *ratio);
        }
        for (kind, list) in [(DividendKind::Cash, &image.cash), (DividendKind::SpinOff, &image.spin_offs)] {
            for (session, amount) in list.iter().filter(within(0.0, 1e9)) {
                self.set_dividend(calendar, *session, kind, *amount);
            }
        }
        for (session, price) in image.firsts.iter().filter(|(_, price)| Price::new(*price).is_ok()) {
            self.set_first(calendar, *session, *price);
        }
        for (session, shares) in image.shares.iter().filter(within(f64::MIN_POSITIVE, f64::MAX)) {
            self.set_shares(*session, *shares);
        }
        if self.closes.len() < CLOSES_KEPT && self.goes_back_less(image) {
            let from = image.older.len().saturating_sub(LONG_WINDOW);
            self.older = image.older[from..].iter().copied().filter(|r| r.is_finite()).collect();
            self.recursive = image.recursive;
            self.records = image.records.checked();
        }
        for (session, range) in &image.ranges {
            self.set_range(*session, *range);
        }
        for (session, price, basis, published) in &image.closes {
            self.set_close(calendar, *session, *price, *basis);
            self.set_published(*session, *published);
        }
        let is_ruler = |desk: &Desk| (SIGMA_LEAST..=SIGMA_MOST).contains(&desk.sigma);
        for (session, desk) in image.desk_by_session.iter().filter(|(_, desk)| is_ruler(desk)) {
            self.set_desk(Some(*session), *desk);
        }
        if let Some(desk) = image.desk.filter(is_ruler) {
            self.set_desk(None, desk);
        }
    }
}
