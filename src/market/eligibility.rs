//! Which prints may move what: sale conditions, odd lots, extended hours.
//!
//! A [`Table`] says for each tape and condition whether a print that carries it may set the last price, the
//! session's high and low, and the volume. Conditions combine by bitwise "or" of what they forbid, so that
//! the strictest wins, another condition never permits more, and their order cannot matter. A condition the
//! table does not know forbids prices and is reported. Judging allocates nothing and reads nothing.
//!
//! Deliberately absent: quotes. Where a desk would ask for the middle of bid and ask to agree, this asks
//! for several prints and venues ([`ExtendedGate`]).

mod gate;
mod lots;
mod rule;
mod verdict;

pub use gate::{ExtendedGate, GateParams, VENUES_KEPT, venue_key};
pub use lots::{is_odd_lot, round_lot};
pub use rule::{Permission, Role, Rule, When};
pub use verdict::{Class, Eligibility};

use crate::domain::{ConditionCode, Conditions, Phase, Tape, UnixNanos};
use rule::{COLUMNS, EXTENDED_SHIFT, FIRST_SHIFT, NEWEST_SHIFT, ODD_LOT_CELL, UNKNOWN, UNKNOWN_CELL};
use std::collections::BTreeMap;
use std::fmt;

/// Rows of the table in memory: the four tapes, and prints that name none.
const ROWS: usize = 5;
const NO_TAPE: usize = 4;
/// The tapes that are read together for a print that names none.
const CONSOLIDATED: std::ops::Range<usize> = 0..3;

/// Rules that do not make a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// Nothing is listed.
    Empty,
    /// A rule names no tape.
    NoTape(ConditionCode),
    /// Two rules of one tape and code.
    Twice(Tape, ConditionCode),
    /// Conditional without saying when, or saying when without being conditional.
    When(ConditionCode),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no condition is listed"),
            Self::NoTape(code) => write!(f, "condition {code:?} names no tape"),
            Self::Twice(tape, code) => write!(f, "condition {code:?} stands twice for tape {}", tape.name()),
            Self::When(code) => write!(f, "condition {code:?}: `when` and \"conditional\" go together"),
        }
    }
}

impl std::error::Error for TableError {}

/// What is known when a print is judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// Event time of the print.
    pub ts: UnixNanos,
    /// Where in the exchange day that is.
    pub phase: Phase,
    /// Event time of the print that set the session's last price; `None`: it has none yet.
    pub last_at: Option<UnixNanos>,
    /// The security's round lot in shares, see [`round_lot`]; `None`: sizes are not looked at.
    pub round_lot: Option<u32>,
}

/// Sale conditions by tape.
#[derive(Clone, PartialEq)]
pub struct Table {
    version: String,
    /// One-byte codes, by tape and code.
    cells: Box<[[u32; 128]; ROWS]>,
    /// Longer codes.
    long: BTreeMap<(usize, ConditionCode), u32>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Table {
    /// Lays the rules out.
    ///
    /// A print that names no tape is judged by all three consolidated tapes: a condition is what every tape
    /// that knows it says; where they differ, the strictest of them, and unknown.
    ///
    /// # Errors
    /// When there is no rule, one names no tape, two name the same tape and code, or a rule is conditional
    /// and does not say when, or the reverse.
    pub fn new(version: &str, rules: &[Rule]) -> Result<Self, TableError> {
        if rules.is_empty() {
            return Err(TableError::Empty);
        }
        let mut listed: BTreeMap<(usize, ConditionCode), u32> = BTreeMap::new();
        for rule in rules {
            let cell = rule.cell()?;
            if rule.tapes.is_empty() {
                return Err(TableError::NoTape(rule.code));
            }
            for tape in &rule.tapes {
                if listed.insert((row(Some(*tape)), rule.code), cell).is_some() {
                    return Err(TableError::Twice(*tape, rule.code));
                }
            }
        }
        for rule in rules {
            let mut known = CONSOLIDATED.filter_map(|tape| listed.get(&(tape, rule.code)).copied());
            if let Some(one) = known.next() {
                let cell = known.fold(one, |all, cell| all | cell | if cell == one { 0 } else { UNKNOWN });
                listed.insert((NO_TAPE, rule.code), cell);
            }
        }
        let mut cells = Box::new([[UNKNOWN_CELL; 128]; ROWS]);
        let mut long = BTreeMap::new();
        for ((row, code), cell) in listed {
            match code.single() {
                Some(byte) => cells[row][usize::from(byte & 0x7f)] = cell,
                None => {
                    long.insert((row, code), cell);
                }
            }
        }
        Ok(Self { version: version.to_owned(), cells, long })
    }

    /// The version of the table.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Judges one print by tape, conditions and size. No condition is a regular sale; a size below the
    /// round lot makes an odd lot where the print carries a tape or a condition: bare prices of a feed that
    /// knows neither are left alone.
    ///
    /// O(conditions), no allocation; a print without tape and conditions needs no call.
    pub fn judge(
        &self,
        tape: Option<Tape>,
        conditions: &Conditions,
        size: Option<f64>,
        context: &Context,
    ) -> Eligibility {
        let row = row(tape);
        let mut found = conditions.as_slice().iter().fold(0, |all, code| all | self.cell(row, *code));
        if let Some(last_at) = context.last_at {
            found |= (found >> FIRST_SHIFT) & COLUMNS;
            if context.ts < last_at {
                found |= (found >> NEWEST_SHIFT) & COLUMNS;
            }
        }
        if context.phase == Phase::Regular {
            found |= (found >> EXTENDED_SHIFT) & COLUMNS;
        }
        let says_what_it_is = tape.is_some() || !conditions.is_empty();
        if says_what_it_is && size.zip(context.round_lot).is_some_and(|(size, lot)| size < f64::from(lot)) {
            found |= ODD_LOT_CELL;
        }
        Eligibility(found)
    }

    #[inline]
    fn cell(&self, row: usize, code: ConditionCode) -> u32 {
        match code.single() {
            Some(byte) => self.cells[row][usize::from(byte & 0x7f)],
            None => self.long.get(&(row, code)).copied().unwrap_or(UNKNOWN_CELL),
        }
    }
}

fn row(tape: Option<Tape>) -> usize {
    match tape {
        Some(Tape::A) => 0,
        Some(Tape::B) => 1,
        Some(Tape::C) => 2,
        Some(Tape::Other) => 3,
        None => NO_TAPE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixNanos = UnixNanos(1_000);

    fn code(text: &str) -> ConditionCode {
        ConditionCode::new(text).unwrap()
    }

    fn rule(tapes: &[Tape], text: &str, permissions: [Permission; 3], when: Option<When>, role: Option<Role>) -> Rule {
        let [last, high_low, volume] = permissions;
        Rule { tapes: tapes.to_vec(), code: code(text), last, high_low, volume, when, role }
    }

    fn table() -> Table {
        use Permission::{Conditional, No, Yes};
        let rules = [
            rule(&[Tape::A, Tape::C], "@", [Yes; 3], None, None),
            rule(&[Tape::A], "B", [No, No, Yes], None, None),
            rule(&[Tape::C], "B", [Yes; 3], None, None),
            rule(&[Tape::A, Tape::C], "Z", [Conditional, Yes, Yes], Some(When::First), None),
            rule(&[Tape::A, Tape::C], "L", [Conditional, Yes, Yes], Some(When::Newest), None),
            rule(
                &[Tape::A, Tape::C],
                "T",
                [Conditional, Conditional, Yes],
                Some(When::ExtendedHours),
                Some(Role::Extended),
            ),
            rule(&[Tape::A, Tape::C], "5", [Yes; 3], None, Some(Role::Reopening)),
            rule(&[Tape::A], "9", [Yes, Yes, No], None, Some(Role::CorrectedClose)),
            rule(&[Tape::A], "AVG", [No, No, Yes], None, None),
        ];
        Table::new("test", &rules).unwrap()
    }

    fn context() -> Context {
        Context { ts: AT, phase: Phase::Regular, last_at: Some(UnixNanos(900)), round_lot: Some(100) }
    }

    fn judge(tape: Option<Tape>, codes: &[&str], context: &Context) -> Eligibility {
        let mut conditions = Conditions::NONE;
        for text in codes {
            assert!(conditions.push(code(text)));
        }
        table().judge(tape, &conditions, Some(100.0), context)
    }

    /// Last, high and low, volume, decides.
    fn check(got: Eligibility, expected: [bool; 4]) {
        assert_eq!([got.last(), got.high_low(), got.volume(), got.decides()], expected, "{got:?}");
    }

    #[test]
    fn the_strictest_condition_wins() {
        let (c, a) = (context(), Some(Tape::A));
        check(judge(a, &[], &c), [true; 4]);
        check(judge(a, &["@"], &c), [true; 4]);
        check(judge(a, &["@", "B"], &c), [false, false, true, false]);
        check(judge(a, &["Z", "5"], &c), [false, true, true, false]);
        assert!(judge(a, &["@", "5"], &c).is_reopening() && judge(a, &["5", "B"], &c).is_auction());
        check(judge(a, &["@", "AVG"], &c), [false, false, true, false]);
        assert!(!judge(a, &["AVG"], &c).unknown_condition());
    }

    #[test]
    fn one_code_two_meanings() {
        let c = context();
        check(judge(Some(Tape::C), &["B"], &c), [true; 4]);
        check(judge(Some(Tape::A), &["B"], &c), [false, false, true, false]);
        let without_tape = judge(None, &["B"], &c);
        check(without_tape, [false, false, true, false]);
        assert!(without_tape.unknown_condition());
        assert!(!judge(None, &["@", "T"], &c).unknown_condition(), "every tape that knows them agrees");
    }

    #[test]
    fn what_is_not_listed_is_reported_and_moves_volume_alone() {
        let c = context();
        for (tape, text) in [
            (Some(Tape::A), "?"),
            (Some(Tape::Other), "@"),
            (Some(Tape::C), "AVG"),
            (None, "ABCD"),
            (Some(Tape::B), "@"),
        ] {
            let got = judge(tape, &[text], &c);
            check(got, [false, false, true, false]);
            assert!(got.unknown_condition(), "{tape:?} {text}");
        }
    }

    #[test]
    fn conditional_prices_need_what_is_known_of_the_session() {
        let a = Some(Tape::A);
        let (later, first) = (context(), Context { last_at: None, ..context() });
        let overtaken = Context { last_at: Some(UnixNanos(1_001)), ..context() };
        check(judge(a, &["Z"], &later), [false, true, true, false]);
        // It sets the first last price there is, and still decides nothing: it is of an earlier moment.
        check(judge(a, &["Z"], &first), [true, true, true, false]);
        check(judge(a, &["L"], &later), [true; 4]);
        check(judge(a, &["L"], &first), [true; 4]);
        check(judge(a, &["L"], &Context { last_at: Some(AT), ..later }), [true; 4]);
        check(judge(a, &["L"], &overtaken), [false, true, true, false]);
        check(judge(a, &["9"], &later), [true, true, false, false]);
    }

    #[test]
    fn extended_hours_prints_are_prices_outside_the_regular_session() {
        for phase in [Phase::Pre, Phase::Post, Phase::Overnight] {
            let got = judge(Some(Tape::A), &["@", "T"], &Context { phase, ..context() });
            check(got, [true; 4]);
            assert_eq!(got.class(), Class::Extended);
        }
        let got = judge(Some(Tape::A), &["@", "T"], &context());
        check(got, [false, false, true, false]);
        assert_eq!(judge(Some(Tape::A), &["@"], &context()).class(), Class::Regular);
    }

    #[test]
    fn a_size_below_the_round_lot_counts_where_the_print_says_what_it_is() {
        let (c, table) = (context(), table());
        let mut regular = Conditions::NONE;
        assert!(regular.push(code("@")));
        for (tape, conditions, size, lot, odd) in [
            (Some(Tape::A), Conditions::NONE, Some(99.0), Some(100), true),
            (None, regular, Some(99.0), Some(100), true),
            (Some(Tape::A), regular, Some(0.5), Some(1), true),
            (Some(Tape::A), regular, Some(100.0), Some(100), false),
            (Some(Tape::A), regular, None, Some(100), false),
            (Some(Tape::A), regular, Some(1.0), None, false),
            (None, Conditions::NONE, Some(1.0), Some(100), false),
        ] {
            let got = table.judge(tape, &conditions, size, &Context { round_lot: lot, ..c });
            assert_eq!(got.is_odd_lot(), odd, "{tape:?} {conditions:?} {size:?} {lot:?}");
            check(got, if odd { [false, false, true, false] } else { [true; 4] });
        }
    }

    #[test]
    fn rules_that_contradict_themselves_are_refused() {
        use Permission::{Conditional, No, Yes};
        let refused = |rules: &[Rule]| Table::new("test", rules).unwrap_err();
        let good = rule(&[Tape::A], "@", [Yes; 3], None, None);
        assert_eq!(refused(&[]), TableError::Empty);
        assert_eq!(refused(&[rule(&[], "@", [Yes; 3], None, None)]), TableError::NoTape(code("@")));
        assert_eq!(refused(&[good.clone(), good]), TableError::Twice(Tape::A, code("@")));
        let when = TableError::When(code("Z"));
        assert_eq!(refused(&[rule(&[Tape::A], "Z", [Conditional, Yes, Yes], None, None)]), when);
        assert_eq!(refused(&[rule(&[Tape::A], "Z", [No, Yes, Yes], Some(When::First), None)]), when);
    }
}
