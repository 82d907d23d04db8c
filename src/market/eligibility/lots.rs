//! Round lots by date and price.
//!
//! Until 2025-10-31 the round lot is 100 shares; the few securities with a smaller one by their listing are
//! not told apart. From 2025-11-03 on it follows the price: the primary listing exchange averages its
//! closes over March and September and assigns the lot for the half-year from May and November. Simplified
//! here: the reference close of the session stands for that average, so a security that has crossed a bound
//! since its evaluation is judged by the lot it would get today.
//!
//! Source: Rule 600(b) of Regulation NMS, "round lot"; UTP Vendor Alert 2025-10 (dates and bounds).

use crate::domain::{Price, SessionDate};
use chrono::NaiveDate;

/// The first session with round lots by price.
const BY_PRICE_FROM: Option<NaiveDate> = NaiveDate::from_ymd_opt(2025, 11, 3);

/// Shares in a round lot of a security with this reference price: 100 up to 250 USD, 40 up to 1,000, 10 up
/// to 10,000, else 1; before 2025-11-03 always 100.
pub fn round_lot(reference: Price, session: SessionDate) -> u32 {
    if BY_PRICE_FROM.is_some_and(|from| session.date() < from) {
        return 100;
    }
    match reference.get() {
        p if p <= 250.0 => 100,
        p if p <= 1_000.0 => 40,
        p if p <= 10_000.0 => 10,
        _ => 1,
    }
}

/// Whether `size` shares are less than a round lot.
pub fn is_odd_lot(size: f64, reference: Price, session: SessionDate) -> bool {
    size < f64::from(round_lot(reference, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_lot_follows_the_price_from_november_2025_on() {
        for (price, before, after) in [
            (0.5, 100, 100),
            (250.0, 100, 100),
            (250.01, 100, 40),
            (1_000.0, 100, 40),
            (1_000.01, 100, 10),
            (10_000.0, 100, 10),
            (10_000.01, 100, 1),
            (750_000.0, 100, 1),
        ] {
            let price = Price::new(price).unwrap();
            assert_eq!(round_lot(price, "2025-10-31".parse().unwrap()), before, "{price:?}");
            assert_eq!(round_lot(price, "2025-11-03".parse().unwrap()), after, "{price:?}");
        }
    }

    #[test]
    fn an_odd_lot_is_less_than_one_round_lot() {
        let (price, day) = (Price::new(300.0).unwrap(), "2025-11-03".parse().unwrap());
        assert!(is_odd_lot(39.0, price, day) && is_odd_lot(0.1, price, day));
        assert!(!is_odd_lot(40.0, price, day) && !is_odd_lot(41.0, price, day));
    }
}
