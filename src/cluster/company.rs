//! Share classes of one company, read as one member: a group counts companies, not lines.

use super::reading::MemberReading;
use crate::domain::{self, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one member stands for.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Company {
    pub(super) name: Arc<str>,
    /// Its classes in the group, by symbol.
    pub(super) classes: Vec<Symbol>,
}

/// The members of a group, and those of them that are companies by the symbol they go under.
pub(super) type Members = (Vec<MemberReading>, BTreeMap<Symbol, Company>);

/// Puts the lines of each company together, in the order of the symbols.
///
/// A company goes under its class of the largest market value before the session, ties under the first by symbol.
/// Its value is the sum of the classes', unknown when one is; its return is that of the known classes together,
/// weighted by value, so the change in dollars is the sum of theirs; its multiple that of the largest class that
/// has one, since there is no sigma of the whole; its first breach the earliest.
pub(super) fn merge<'a>(lines: &[MemberReading], company_of: impl Fn(&Symbol) -> Option<&'a Arc<str>>) -> Members {
    let mut members = Vec::new();
    let mut by_name: BTreeMap<&Arc<str>, Vec<&MemberReading>> = BTreeMap::new();
    for line in lines {
        match company_of(&line.symbol) {
            None => members.push(line.clone()),
            Some(name) => by_name.entry(name).or_default().push(line),
        }
    }
    let mut companies = BTreeMap::new();
    for (name, classes) in by_name {
        let whole = whole(&classes);
        let classes = classes.iter().map(|c| c.symbol.clone()).collect();
        companies.insert(whole.symbol.clone(), Company { name: name.clone(), classes });
        members.push(whole);
    }
    members.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    (members, companies)
}

/// One reading for all classes of a company; at least one.
fn whole(classes: &[&MemberReading]) -> MemberReading {
    let mut by_size = classes.to_vec();
    let value = |c: &MemberReading| c.market_value.unwrap_or(0.0);
    by_size.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.symbol.cmp(&b.symbol)));
    let lead = by_size[0];
    let first_known = |reading: fn(&MemberReading) -> domain::Reading| {
        by_size.iter().map(|c| reading(c)).find(Result::is_ok).unwrap_or_else(|| reading(lead))
    };
    let known: Vec<(f64, f64)> = classes.iter().filter_map(|c| Some((c.market_value?, c.log_return.ok()?))).collect();
    let weight: f64 = known.iter().map(|(value, _)| value).sum();
    let log_return = if classes.len() > 1 && weight > 0.0 {
        Ok(known.iter().map(|(value, r)| value / weight * r.exp_m1()).sum::<f64>().ln_1p())
    } else {
        first_known(|c| c.log_return)
    };
    MemberReading {
        symbol: lead.symbol.clone(),
        log_return,
        z: first_known(|c| c.z),
        market_value: classes.iter().map(|c| c.market_value).sum(),
        shares: if classes.len() == 1 { lead.shares } else { None },
        basis: classes.iter().filter(|c| c.log_return.is_ok()).map(|c| c.basis).min().flatten(),
        breached_at: classes.iter().filter_map(|c| c.breached_at).min(),
        source: lead.source,
        // The lines have been looked at for their age.
        fresh_until: lead.fresh_until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CloseBasis, UnixNanos, Unknown};

    fn line(symbol: &str, value: Option<f64>, log_return: domain::Reading, z: domain::Reading) -> MemberReading {
        MemberReading {
            symbol: Symbol::new(symbol).unwrap(),
            log_return,
            z,
            market_value: value,
            shares: None,
            basis: Some(CloseBasis::Official),
            breached_at: None,
            source: None,
            fresh_until: UnixNanos::MAX,
        }
    }

    /// GOOG and GOOGL are Alphabet, the rest stand for themselves.
    fn merged(lines: &[MemberReading]) -> Members {
        let alphabet: Arc<str> = "Alphabet".into();
        let name = |s: &Symbol| s.as_str().starts_with("GOOG").then_some(&alphabet);
        merge(lines, name)
    }

    #[test]
    fn two_classes_are_one_member() {
        let gap = Err(Unknown::NotYet);
        let down = (0.9_f64).ln();
        let lines = [
            line("AAPL", Some(300.0), Ok(0.01), Ok(1.0)),
            MemberReading { breached_at: Some(UnixNanos(7)), ..line("GOOG", Some(100.0), Ok(down), Ok(-4.0)) },
            MemberReading { breached_at: Some(UnixNanos(9)), ..line("GOOGL", Some(300.0), Ok(0.0), Ok(-2.0)) },
        ];
        let (members, companies) = merged(&lines);
        assert_eq!(members.iter().map(|m| m.symbol.as_str()).collect::<Vec<_>>(), ["AAPL", "GOOGL"]);
        let alphabet = &members[1];
        assert_eq!(
            (alphabet.market_value, alphabet.z, alphabet.breached_at),
            (Some(400.0), Ok(-2.0), Some(UnixNanos(7)))
        );
        // A tenth of a quarter of the value is lost: 10 of 400.
        assert!((alphabet.log_return.unwrap().exp_m1() + 0.025).abs() < 1e-15);
        assert_eq!(companies[&alphabet.symbol].classes.len(), 2);
        // A class that is not known yet leaves the other to speak for both.
        let half = [line("GOOG", Some(100.0), Ok(down), Ok(-4.0)), line("GOOGL", Some(300.0), gap, gap)];
        let (members, _) = merged(&half);
        assert!((members[0].log_return.unwrap() - down).abs() < 1e-15);
        assert_eq!((members[0].symbol.as_str(), members[0].z), ("GOOGL", Ok(-4.0)));
        // Nothing known is unknown, with the larger one's reason; and one class without a value is no value.
        let (members, _) = merged(&[line("GOOG", None, gap, gap), line("GOOGL", Some(300.0), gap, gap)]);
        assert_eq!((members[0].log_return, members[0].market_value), (gap, None));
    }

    #[test]
    fn a_company_of_one_class_is_that_class() {
        let lines = [line("GOOGL", Some(300.0), Ok(0.0123), Ok(-2.0)), line("MSFT", None, Ok(0.1), Ok(1.0))];
        let (members, companies) = merged(&lines);
        assert_eq!(members, lines);
        assert_eq!(companies.len(), 1);
    }
}
