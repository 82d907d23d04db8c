//! Histories of a group's legs, of the fragility index and of the largest losses.

use crate::cluster::{BreakRow, DayCount, GroupHistory, LEG_NAMES, LegRow, LegValues, PastLoss};
use crate::domain::{SessionDate, Symbol};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names the history that comes with the build.
pub(super) const BUILT_IN: &str = "built-in";
/// The group whose legs it holds.
pub(super) const BUILT_IN_GROUP: &str = "mag7";
const LEGS: &str = include_str!("../../data/mag7_legs_2021_2024.csv");
const INDEX: &str = include_str!("../../data/fragility_index_history_1990_2024.csv");
const LOSSES: &str = include_str!("../../data/largest_losses.csv");
/// Rows of a file read at most: some eighty years.
const ROWS_MAX: usize = 20_000;

/// The text that `name` stands for: a file's, or the one that comes with the build; nothing for no name.
fn text_of(name: &str, built_in: &str) -> Result<String, String> {
    match name {
        "" => Ok(String::new()),
        BUILT_IN => Ok(built_in.to_owned()),
        path => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}")),
    }
}

/// A row by the names of its columns.
type Row = BTreeMap<String, String>;

/// Rows of a CSV text with a header, each with its line.
fn rows(text: &str) -> Result<Vec<(u64, Row)>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for row in reader.deserialize::<Row>() {
        let row = row.map_err(|error| error.to_string())?;
        if rows.len() >= ROWS_MAX {
            return Err(format!("has more than {ROWS_MAX} rows"));
        }
        rows.push((rows.len() as u64 + 2, row));
    }
    Ok(rows)
}

fn session(line: u64, row: &Row) -> Result<SessionDate, String> {
    let text = row.get("session").ok_or("has no column session")?;
    text.parse().ok().ok_or_else(|| format!("line {line}: session is {text:?}, not a date"))
}

/// A number of a row, `None` for an empty one.
fn number(line: u64, row: &Row, column: &str) -> Result<Option<f64>, String> {
    let text = row.get(column).ok_or_else(|| format!("has no column {column}"))?;
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|n: &f64| n.is_finite());
    number.map(Some).ok_or_else(|| format!("line {line}: {column} is {text:?}, not a number"))
}

fn count(line: u64, row: &Row, column: &str) -> Result<u32, String> {
    let text = row.get(column).ok_or_else(|| format!("has no column {column}"))?;
    text.parse().map_err(|_| format!("line {line}: {column} is {text:?}, not a count"))
}

/// The legs of a group, from columns `session`, `basket_z`, `rms_z`, `turbulence`, `max_member_loss_usd`, `group_loss_usd`
/// and, after the name of its universe, `_valid`, `_up`, `_down` and `_dispersion`; and what broke, where there is a column
/// `members_breached`. An empty field is not known.
///
/// # Errors
/// What is wrong with the file, with its line.
pub(super) fn legs(name: &str, universe: &str) -> Result<GroupHistory, String> {
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for (line, row) in rows(&text_of(name, LEGS)?)? {
        let of = |column: &str| number(line, &row, column);
        let around = |column: &str| number(line, &row, &format!("{universe}_{column}"));
        let breadth = match (around("valid")?, around("up")?, around("down")?) {
            (Some(valid), Some(up), Some(down)) if valid > 0.0 => Some((up + down) / valid),
            _ => None,
        };
        let mut values: LegValues = [None; LEG_NAMES.len()];
        for (value, leg) in values.iter_mut().zip(LEG_NAMES) {
            *value = match leg {
                "basket_z" => of(leg)?.map(f64::abs),
                "breadth" => breadth,
                "dispersion" => around(leg)?,
                _ => of(leg)?,
            };
        }
        let session = session(line, &row)?;
        let breached = if row.contains_key("members_breached") { of("members_breached")? } else { None };
        if let (Some(members), Some(breadth)) = (breached, breadth) {
            broken.push(BreakRow { session, breached: members > 0.0, breadth });
        }
        found.push(LegRow { session, values });
    }
    in_order(&found, |row| row.session)?;
    Ok(GroupHistory { legs: found.into(), breaks: broken.into() })
}

/// The counts of the fragility index, from columns `session`, `universe`, `valid`, `up`, `down` and `abs_z_sum`.
///
/// # Errors
/// What is wrong with the file, with its line.
pub(super) fn index(name: &str) -> Result<Arc<[DayCount]>, String> {
    let mut found: Vec<DayCount> = Vec::new();
    for (line, row) in rows(&text_of(name, INDEX)?)? {
        let universe = row.get("universe").ok_or("has no column universe")?;
        // One name for all rows that say the same.
        let last = found.last().map(|d| &d.universe).filter(|u| ***u == **universe);
        let events = count(line, &row, "up")?.checked_add(count(line, &row, "down")?);
        let valid = count(line, &row, "valid")?;
        let events = events.filter(|e| *e <= valid);
        let universe = last.map_or_else(|| Arc::from(universe.as_str()), Arc::clone);
        let events = events.ok_or_else(|| format!("line {line}: more break than are valid"))?;
        let sum = number(line, &row, "abs_z_sum")?.filter(|sum| *sum >= 0.0);
        let sum = sum.ok_or_else(|| format!("line {line}: abs_z_sum is no sum"))?;
        found.push(DayCount::new(session(line, &row)?, universe, valid, events, sum));
    }
    in_order(&found, |day| day.session)?;
    Ok(found.into())
}

/// The largest losses of earlier years, from columns `session`, `symbol`, `loss_usd` and, where there is one, `basis`.
///
/// # Errors
/// What is wrong with the file, with its line.
pub(super) fn losses(name: &str) -> Result<Arc<[PastLoss]>, String> {
    let mut found: Vec<PastLoss> = Vec::new();
    for (line, row) in rows(&text_of(name, LOSSES)?)? {
        let symbol = row.get("symbol").ok_or("has no column symbol")?;
        let symbol = Symbol::new(symbol).map_err(|error| format!("line {line}: symbol is {symbol:?}: {error}"))?;
        let usd = number(line, &row, "loss_usd")?.filter(|usd| *usd > 0.0);
        let usd = usd.ok_or_else(|| format!("line {line}: loss_usd is no amount above 0"))?;
        let session = session(line, &row)?;
        if found.iter().any(|other| (&other.symbol, other.session) == (&symbol, session)) {
            return Err(format!("line {line}: {symbol} of {session} is told twice"));
        }
        let basis = row.get("basis").map_or("", String::as_str).into();
        found.push(PastLoss { symbol, session, usd, basis });
    }
    Ok(found.into())
}

fn in_order<T>(rows: &[T], session: impl Fn(&T) -> SessionDate) -> Result<(), String> {
    match rows.windows(2).find(|pair| session(&pair[0]) >= session(&pair[1])) {
        Some(pair) => Err(format!("{} does not come after {}", session(&pair[1]), session(&pair[0]))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_the_build_is_read() {
        let GroupHistory { legs, breaks } = legs(BUILT_IN, "top50").unwrap();
        assert_eq!((breaks.len(), breaks[0].breached, breaks[0].breadth), (965, false, 0.04));
        assert_eq!(legs.len(), 965);
        assert_eq!(legs[0].values[0], Some(1.77078));
        assert_eq!(legs[0].values[3], Some(2.0 / 50.0));
        let worst = losses(BUILT_IN).unwrap();
        assert_eq!(worst.iter().map(|l| l.usd).collect::<Vec<_>>(), [279e9, 251e9]);
        let index = index(BUILT_IN).unwrap();
        assert_eq!((index.len(), &*index[0].universe), (8_795, "large20"));
        assert!(legs_of_nothing().is_empty());
    }

    fn legs_of_nothing() -> Arc<[LegRow]> {
        legs("", "top50").unwrap().legs
    }

    #[test]
    fn a_file_that_says_nothing_sensible_is_named_with_its_line() {
        assert!(legs(BUILT_IN, "top9").unwrap_err().contains("top9_valid"));
        assert!(legs("no/such/file.csv", "top50").unwrap_err().contains("no/such/file.csv"));
        let file = |text: &str| {
            let path = std::env::temp_dir().join(format!("fragility-history-{}.csv", std::process::id()));
            std::fs::write(&path, text).unwrap();
            let said = index(path.to_str().unwrap()).unwrap_err();
            std::fs::remove_file(&path).unwrap();
            said
        };
        let head = "session,universe,valid,up,down,abs_z_sum\n";
        assert!(file(&format!("{head}2024-01-02,a,5,x,0,0\n")).contains("line 2: up is \"x\""));
        assert!(file(&format!("{head}2024-01-02,a,5,4,2,20\n")).contains("line 2: more break"));
        assert!(file(&format!("{head}2024-13-02,a,5,1,0,3\n")).contains("line 2: session"));
        let twice = format!("{head}2024-01-02,a,5,1,0,3\n2024-01-02,a,5,1,0,3\n");
        assert!(file(&twice).contains("does not come after"));
        let path = std::env::temp_dir().join(format!("fragility-losses-{}.csv", std::process::id()));
        let head = "session,symbol,loss_usd\n2024-09-03,NVDA,279e9\n";
        for (rows, said) in [
            ("", "0"),
            ("2024-09-03,NVDA,1\n", "line 3: NVDA of 2024-09-03 is told twice"),
            ("2024-09-04,NVDA,-1\n", "line 3: loss_usd is no amount above 0"),
            ("2024-09-04,,1\n", "line 3: symbol is"),
        ] {
            std::fs::write(&path, format!("{head}{rows}")).unwrap();
            let found = losses(path.to_str().unwrap());
            let told = found.map_or_else(|problem| problem, |list| (list.len() - 1).to_string());
            assert!(told.contains(said), "{told}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(file("session,valid\n2024-01-02,5\n").contains("no column universe"));
    }
}
