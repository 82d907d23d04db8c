//! Vendors' condition numbers to the letters of the tapes.
//!
//! Polygon: names and numbers of its list of trade conditions (`/v3/reference/conditions`). The letters of 1 to 10
//! are the `sip_mapping` of that list; the others follow from the name by the tapes' own tables (CTS and UTP
//! output specifications). Finnhub: names and numbers of the list its documentation links to; it has no letters.
//! A letter stands for a tape only where that tape has it in that meaning: B is an average price on tapes A and B
//! and a bunched trade on tape C. What has no letter, and what is not listed, becomes `?` and the number.

use crate::domain::{ConditionCode, Tape};

/// Number, letter on tapes A and B (CTS), letter on tape C (UTP); a blank where there is none.
type Row = (u64, char, char);

/// Not in the table on purpose: 6 CAP election, 26 opened, 32 sold out and 35 stock option, whose letters are
/// history and mean something else today.
const POLYGON: [Row; 37] = [
    (0, '@', '@'),  // Regular Sale
    (1, ' ', 'A'),  // Acquisition
    (2, 'B', 'W'),  // Average Price Trade
    (3, 'E', ' '),  // Automatic Execution
    (4, ' ', 'B'),  // Bunched Trade
    (5, ' ', 'G'),  // Bunched Sold Trade
    (7, 'C', 'C'),  // Cash Sale
    (8, '6', '6'),  // Closing Prints
    (9, 'X', 'X'),  // Cross Trade
    (10, '4', '4'), // Derivatively Priced
    (11, ' ', 'D'), // Distribution
    (12, 'T', 'T'), // Form T, extended hours
    (13, 'U', 'U'), // Extended hours, sold out of sequence
    (14, 'F', 'F'), // Intermarket Sweep
    (15, 'M', 'M'), // Market Center Official Close
    (16, 'Q', 'Q'), // Market Center Official Open
    (17, 'O', 'O'), // Market Center Opening Trade
    (18, '5', '5'), // Market Center Reopening Trade
    (19, '6', '6'), // Market Center Closing Trade
    (20, 'N', 'N'), // Next Day
    (21, 'H', 'H'), // Price Variation Trade
    (22, 'P', 'P'), // Prior Reference Price
    (23, 'K', 'K'), // Rule 155 Trade (AMEX)
    (24, 'K', ' '), // Rule 127 (NYSE)
    (25, 'O', 'O'), // Opening Prints
    (27, ' ', '1'), // Stopped Stock (regular trade)
    (28, '5', '5'), // Re-Opening Prints
    (29, 'R', 'R'), // Seller
    (30, 'L', 'L'), // Sold Last
    (33, 'Z', 'Z'), // Sold (out of sequence)
    (34, ' ', 'S'), // Split Trade
    (36, ' ', 'Y'), // Yellow Flag Regular Trade
    (37, 'I', 'I'), // Odd Lot Trade
    (38, '9', '9'), // Corrected Consolidated Close
    (52, 'V', 'V'), // Contingent Trade
    (53, '7', '7'), // Qualified Contingent Trade
    // Polygon lists it as `trade_thru_exempt`, beside the sale conditions: it takes nothing from a price.
    (TRADE_THROUGH_EXEMPT, ' ', ' '),
];

/// The number under which both vendors say that Rule 611 did not apply.
const TRADE_THROUGH_EXEMPT: u64 = 41;

/// Number and letter. Trades carry no tape, so letters that differ between tapes are left out: 4 bunched trade.
/// 11 CAP election, 27 stock option, 31 stopped stock, 38 placeholder and 40 opened have no letter of today.
const FINNHUB: [(u64, char); 35] = [
    (1, '@'),  // Regular
    (2, 'A'),  // Acquisition
    (3, 'W'),  // Average Price Trade
    (5, 'C'),  // Cash Sale
    (6, 'D'),  // Distribution
    (7, 'E'),  // Automatic Execution
    (8, 'F'),  // Intermarket Sweep Order
    (9, 'G'),  // Bunched Sold
    (10, 'H'), // Price Variation Trade
    (12, 'I'), // Odd Lot Trade
    (13, 'K'), // Rule 127
    (14, 'K'), // Rule 155
    (15, 'L'), // Sold Last
    (16, 'M'), // Market Center Official Close
    (17, 'N'), // Next Day
    (18, 'O'), // Market Center Opening Trade
    (19, 'O'), // Opening Prints
    (20, 'Q'), // Market Center Official Open
    (21, 'P'), // Prior Reference Price
    (22, 'R'), // Seller
    (23, 'S'), // Split Trade
    (24, 'T'), // Form T
    (25, 'U'), // Extended hours, sold out of sequence
    (26, 'V'), // Contingent Trade
    (28, 'X'), // Cross Trade
    (29, 'Y'), // Yellow Flag
    (30, 'Z'), // Sold (out of sequence)
    (32, '4'), // Derivatively Priced
    (33, '5'), // Market Center Re-opening Trade
    (34, '5'), // Re-opening Prints
    (35, '6'), // Market Center Closing Trade
    (36, '6'), // Closing Prints
    (37, '7'), // Qualified Contingent Trade
    (39, '9'), // Corrected Consolidated Close
    (TRADE_THROUGH_EXEMPT, ' '),
];

/// The code of a Polygon condition on a tape; `None` for what is no sale condition. Without a tape, only letters
/// that both tapes have in this meaning stand.
pub(super) fn polygon(number: u64, tape: Option<Tape>) -> Option<ConditionCode> {
    if number == TRADE_THROUGH_EXEMPT {
        return None;
    }
    let row = POLYGON.iter().find(|row| row.0 == number);
    let letter = row.and_then(|(_, cts, utp)| match tape {
        Some(Tape::A | Tape::B) => Some(*cts),
        Some(Tape::C) => Some(*utp),
        Some(Tape::Other) | None => (cts == utp).then_some(*cts),
    });
    code(letter, number)
}

/// The code of a Finnhub condition; `None` for what is no sale condition.
pub(super) fn finnhub(number: u64) -> Option<ConditionCode> {
    if number == TRADE_THROUGH_EXEMPT {
        return None;
    }
    code(FINNHUB.iter().find(|row| row.0 == number).map(|row| row.1), number)
}

/// A letter, or `?` and the number: at most three digits of it, and `?` alone beyond.
fn code(letter: Option<char>, number: u64) -> Option<ConditionCode> {
    let text = match letter.filter(|l| *l != ' ') {
        Some(letter) => letter.to_string(),
        None if number < 1_000 => format!("?{number}"),
        None => "?".to_owned(),
    };
    ConditionCode::new(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_polygon(number: u64, expected: [&str; 3]) {
        let tapes = [Some(Tape::A), Some(Tape::C), None];
        let got = tapes.map(|tape| polygon(number, tape).map_or(String::new(), |c| c.as_str().to_owned()));
        assert_eq!(got, expected, "{number}");
    }

    #[test]
    fn letters_follow_the_tape() {
        check_polygon(0, ["@", "@", "@"]);
        check_polygon(1, ["?1", "A", "?1"]);
        check_polygon(2, ["B", "W", "?2"]);
        check_polygon(4, ["?4", "B", "?4"]);
        check_polygon(6, ["?6", "?6", "?6"]);
        check_polygon(37, ["I", "I", "I"]);
        check_polygon(41, ["", "", ""]);
        check_polygon(60, ["?60", "?60", "?60"]);
        check_polygon(1_234, ["?", "?", "?"]);
    }

    #[test]
    fn no_number_stands_twice() {
        let mut numbers: Vec<u64> = POLYGON.iter().map(|r| r.0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), POLYGON.len());
        assert!(FINNHUB.windows(2).all(|w| w[0].0 < w[1].0));
    }
}
