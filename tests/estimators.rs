//! The estimators against other implementations, on real days and simulated sessions, and against the truth
//! where it is known. See `golden/README.md` for how the expected values were made.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the agreement found, shown by `--nocapture`")]

mod harness;
mod simulated;

use fragility::domain::{Price, SessionDate, Unknown};
use fragility::estimators::{
    DailyBar, DailyModes, Day, DecayFactor, DiurnalFactor, Ewma, GarchParams, LeeMykland, Mode, ModeParams,
    RM2006_AVERAGES, Realized, RecursiveModes, RiskMetrics2006, ShockRule, TimeConstant, VarianceRate,
    garman_klass_gap_variance, lee_mykland_window, mad_sigma, sample_sigma, trimmed_sigma, winsorized_sigma,
    zero_centred_mad_sigma, zero_mean_sigma,
};
use fragility::market::SIGMA_MIN;
use harness::{date, text};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// For tables of 12 digits: half a unit of the last is 5e-12 of a number that begins with 1.
const TWELVE_DIGITS: f64 = 5.1e-12;

/// For tables of 15 and more digits: rounding in sums of up to 5,402 terms, and in R's running sums. The largest
/// gap found is 1e-13.
const FULL: f64 = 1e-12;

/// Days of a symbol that the engine keeps.
const KEPT: usize = 64;

/// Relative gaps by name, largest only, and the largest allowed.
struct Gaps {
    allowed: f64,
    worst: BTreeMap<String, f64>,
}

impl Gaps {
    fn new(allowed: f64) -> Self {
        Self { allowed, worst: BTreeMap::new() }
    }

    fn check(&mut self, name: &str, what: &str, got: Option<f64>, expected: &str) {
        let expected: Option<f64> = (!expected.is_empty()).then(|| expected.parse().unwrap());
        match (got, expected) {
            (None, None) => {}
            (Some(g), Some(e)) => {
                let gap = if g.to_bits() == e.to_bits() { 0.0 } else { (g / e - 1.0).abs() };
                assert!(gap <= self.allowed, "{what} {name}: got {g}, expected {e}");
                let worst = self.worst.entry(name.to_owned()).or_default();
                *worst = worst.max(gap);
            }
            _ => panic!("{what} {name}: got {got:?}, expected {expected:?}"),
        }
    }
}

impl Drop for Gaps {
    /// The agreement that `docs/estimators.md` states.
    fn drop(&mut self) {
        for (name, worst) in &self.worst {
            println!("{name}: {worst:.1e} of {:.1e}", self.allowed);
        }
    }
}

fn price(x: f64) -> Price {
    Price::new(x).unwrap()
}

/// Each symbol's days, with splits divided out.
fn long_histories() -> BTreeMap<String, Vec<Day>> {
    let text = text("data/megacaps30_ohlcv_1999_2021.csv.zst");
    let (header, rows) = text.split_once('\n').unwrap();
    assert_eq!(header, "session,symbol,open,high,low,close,volume,dividend_amount,split_coefficient");
    let mut days: BTreeMap<String, Vec<Day>> = BTreeMap::new();
    let mut closes: BTreeMap<String, f64> = BTreeMap::new();
    for row in rows.lines() {
        let cells: Vec<&str> = row.split(',').collect();
        let number = |at: usize| cells[at].parse::<f64>().unwrap();
        let close = number(5);
        let before = closes.insert(cells[1].to_owned(), close);
        let bar = DailyBar::new(
            price(number(2)),
            price(number(3)),
            price(number(4)),
            price(close),
            before.map(|b| price(b / number(8))),
        );
        days.entry(cells[1].to_owned()).or_default().push(Day {
            session: date(cells[0]),
            log_return: before.map(|b| (close * number(8) / b).ln()),
            bar: Some(bar.unwrap()),
        });
    }
    days
}

fn garch() -> GarchParams {
    GarchParams::new(2e-6, 0.08, 0.90).unwrap()
}

fn params() -> ModeParams {
    ModeParams { garch: Some(garch()), ..ModeParams::default() }
}

/// All modes and variants of a symbol, by session: only the last 64 days are at hand, older returns are folded.
fn every_session(days: &[Day]) -> Vec<(SessionDate, BTreeMap<&'static str, Option<f64>>)> {
    let params = params();
    let mut older = RecursiveModes::default();
    let mut out = Vec::new();
    for (at, today) in days.iter().enumerate() {
        let start = at.saturating_sub(KEPT);
        if let Some(gone) = start.checked_sub(1).and_then(|gone| days[gone].log_return) {
            older.update(&params, gone);
        }
        let kept = &days[start..=at];
        let modes = DailyModes::before(today.session, &params, &older, kept);
        let mut row: BTreeMap<_, _> = modes.iter().map(|(mode, reading)| (mode.name(), reading.ok())).collect();
        let returns: Vec<f64> = days[start..at].iter().filter_map(|d| d.log_return).collect();
        let window = returns.len().checked_sub(21).map(|from| &returns[from..]);
        row.insert("mad_zero", window.and_then(|w| zero_centred_mad_sigma(w).ok()));
        row.insert("winsorized", winsorized_sigma(&returns, params.shock));
        let bars: Vec<DailyBar> =
            days[start..at].iter().rev().filter_map(|d| d.bar).filter(|b| b.gap().is_some()).take(21).collect();
        let with_gap = (bars.len() == 21).then(|| garman_klass_gap_variance(&bars)).flatten();
        row.insert("garman_klass_gap", with_gap.map(f64::sqrt));
        out.push((today.session, row));
    }
    out
}

#[test]
fn every_mode_of_thirty_long_histories_is_that_of_others() {
    let table = text("tests/golden/daily_modes.csv.zst");
    let mut rows = table.lines();
    let names: Vec<&str> = rows.next().unwrap().split(',').skip(2).collect();
    assert_eq!(names.len(), Mode::ALL.len() + 3);
    let mut expected: BTreeMap<(&str, SessionDate), Vec<&str>> = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        expected.insert((cells[1], date(cells[0])), cells[2..].to_vec());
    }
    let totals = text("tests/golden/daily_modes_totals.csv");
    let mut totals: BTreeMap<(&str, &str), Vec<&str>> = totals
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect::<Vec<_>>())
        .map(|cells| ((cells[0], cells[1]), cells[2..].to_vec()))
        .collect();
    let (mut gaps, mut in_total, mut shown) = (Gaps::new(TWELVE_DIGITS), Gaps::new(FULL), 0);
    let histories = long_histories();
    for (symbol, days) in &histories {
        let mut sums: BTreeMap<&str, (usize, f64, f64)> = BTreeMap::new();
        for (session, row) in every_session(days) {
            if let Some(cells) = expected.get(&(symbol.as_str(), session)) {
                shown += 1;
                for (name, cell) in names.iter().zip(cells) {
                    gaps.check(name, &format!("{symbol} {session}"), row[name], cell);
                }
            }
            for (name, value) in row {
                let sum = sums.entry(name).or_default();
                if let Some(value) = value {
                    *sum = (sum.0 + 1, sum.1 + value, sum.2.max(value));
                }
            }
        }
        // Every session there is, if not one by one.
        for (name, (count, sum, max)) in sums {
            let cells = totals.remove(&(symbol.as_str(), name)).unwrap();
            assert_eq!(count.to_string(), cells[0], "{symbol} {name} count");
            in_total.check(name, &format!("{symbol} sum"), Some(sum), cells[1]);
            in_total.check(name, &format!("{symbol} max"), Some(max), cells[2]);
        }
    }
    assert_eq!((shown, totals.len()), (expected.len(), 0));
    assert!(shown > 7_000);
}

/// arch's own models, with the starting values that it takes from the whole sample.
#[test]
fn recursive_filters_are_those_of_arch_from_the_same_start() {
    let histories = long_histories();
    let table = text("tests/golden/arch_filters.csv");
    let mut expected: BTreeMap<(&str, &str), Vec<(&str, &str)>> = BTreeMap::new();
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        expected.entry((cells[0], cells[1])).or_default().push((cells[2], cells[3]));
    }
    assert_eq!(expected.len(), 6);
    let mixture = RiskMetrics2006::default();
    let mut gaps = Gaps::new(FULL);
    for ((symbol, mode), rows) in expected {
        let starts: Vec<f64> =
            rows.iter().filter(|(p, _)| p.starts_with("start")).map(|(_, v)| v.parse().unwrap()).collect();
        let full = |squares: f64| Ewma { squares, weight: 1.0 };
        let mut ewma = full(starts[0]);
        let mut averages = [Ewma::default(); RM2006_AVERAGES];
        if mode == "rm2006" {
            assert_eq!(starts.len(), RM2006_AVERAGES);
            averages.iter_mut().zip(&starts).for_each(|(average, start)| *average = full(*start));
        }
        // arch takes the start for both the variance and the square before the sample.
        let mut variance = garch().next_variance(starts[0], starts[0].sqrt());
        let returns: Vec<f64> = histories[symbol].iter().filter_map(|d| d.log_return).collect();
        let places: BTreeMap<usize, &str> =
            rows.iter().filter_map(|(place, value)| Some((place.parse().ok()?, *value))).collect();
        assert!(places.len() > 50);
        for (t, r) in returns.iter().enumerate() {
            if let Some(value) = places.get(&t) {
                let got = match mode {
                    "ewma_94" => ewma.variance(),
                    "rm2006" => mixture.variance(&averages),
                    _ => Some(variance),
                };
                gaps.check(mode, &format!("{symbol} {t}"), got, value);
            }
            ewma.update(DecayFactor::DAILY, *r);
            mixture.update(&mut averages, *r);
            variance = garch().next_variance(variance, *r);
        }
    }
}

/// IBM 2025-01-30, from the shipped closes: 13.9 canonical multiples, 12.2 by the median deviation.
#[test]
fn a_known_day_by_the_median_deviation() {
    let text = text("data/us_top50_daily_2024q4_2025q1.csv");
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
    let (symbol, session, close) = (column("symbol"), column("date"), column("close"));
    let closes: Vec<f64> = text
        .lines()
        .map(|row| row.split(',').collect::<Vec<_>>())
        .filter(|cells| cells[symbol] == "IBM" && cells[session] <= "2025-01-30")
        .map(|cells| cells[close].parse().unwrap())
        .collect();
    let returns: Vec<f64> = closes.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
    let (today, before) = returns.split_last().unwrap();
    let window = &before[before.len() - 21..];
    assert_eq!(format!("{:.1}", today / sample_sigma(window).unwrap()), "13.9");
    assert_eq!(format!("{:.1}", today / mad_sigma(window).unwrap()), "12.2");
}

#[test]
fn the_rule_for_shocks_has_the_ruler_of_the_canonical_event() {
    assert_eq!(ShockRule::default(), ShockRule::new(3.0, SIGMA_MIN).unwrap());
}

#[test]
fn realized_measures_of_simulated_sessions_are_those_of_numpy() {
    let bars = simulated::bars();
    let mut gaps = Gaps::new(FULL);
    let mut seen = 0;
    for row in simulated::sessions() {
        let returns = &bars[&(row.scenario.clone(), row.session)];
        let sums = Realized::of(&returns.iter().map(|b| b.log_return).collect::<Vec<_>>());
        let test = sums.jump_test().unwrap();
        for (name, got) in [
            ("variance", sums.variance()),
            ("bipower_variation", sums.bipower_variation()),
            ("bipower_variation_uncorrected", sums.bipower_variation_uncorrected()),
            ("jump_variation", sums.jump_variation()),
            ("min_variance", sums.min_variance()),
            ("median_variance", sums.median_variance()),
            ("tripower_quarticity", sums.tripower_quarticity()),
            ("tripower_quarticity_uncorrected", sums.tripower_quarticity_uncorrected()),
            ("z", Some(test.z)),
            ("p_value", Some(test.p_value)),
        ] {
            gaps.check(name, &format!("{} {}", row.scenario, row.session), got, &row.cells[name]);
        }
        seen += 1;
    }
    assert_eq!(seen, 75);
}

#[test]
fn lee_mykland_of_simulated_bars_is_that_of_numpy() {
    let mut gaps = Gaps::new(TWELVE_DIGITS);
    let mut known = 0;
    let mut last = None;
    let mut test = LeeMykland::new(lee_mykland_window(78)).unwrap();
    for ((scenario, session), bars) in simulated::bars() {
        if last.replace(scenario.clone()) != Some(scenario.clone()) {
            test = LeeMykland::new(lee_mykland_window(78)).unwrap();
        }
        for (at, bar) in bars.iter().enumerate() {
            let got = test.update(bar.log_return, DiurnalFactor::new(bar.diurnal).unwrap());
            gaps.check("lee_mykland", &format!("{scenario} {session} {at}"), got.ok(), &bar.lee_mykland);
            known += usize::from(got.is_ok());
        }
    }
    assert_eq!(known, 3 * (25 * 78 - 140));
}

#[test]
fn the_variance_rate_of_irregular_ticks_is_the_weighted_mean_of_their_intervals() {
    let mut gaps = Gaps::new(FULL);
    let mut rate = VarianceRate::default();
    let text = text("tests/golden/variance_rate.csv");
    for (at, row) in text.lines().skip(1).enumerate() {
        let cells: Vec<&str> = row.split(',').collect();
        assert!(rate.update(cells[0].parse().unwrap(), TimeConstant::new(30.0).unwrap(), cells[1].parse().unwrap()));
        gaps.check("variance_rate", &format!("tick {at}"), rate.per_second(), cells[2]);
    }
}

/// A known return that is neither tiny nor absurd, or none.
fn daily_return() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![8 => (-0.2..0.2_f64).prop_map(Some), 1 => Just(Some(0.0)), 1 => Just(None)]
}

/// A bar as four offsets from a level, and the close before.
fn prices() -> impl Strategy<Value = [f64; 5]> {
    (1.0..5e4_f64, proptest::array::uniform5(0.9..1.1_f64)).prop_map(|(level, offsets)| {
        let [a, b, c, d, before] = offsets.map(|o| o * level);
        let (low, high) = (a.min(b).min(c).min(d), a.max(b).max(c).max(d));
        [a, high, low, d, before]
    })
}

fn day(n: usize, log_return: Option<f64>, [open, high, low, close, before]: [f64; 5], scale: f64) -> Day {
    let at = |x: f64| price(x * scale);
    let bar = DailyBar::new(at(open), at(high), at(low), at(close), Some(at(before)));
    let session = SessionDate::from_days(i32::try_from(n).unwrap()).unwrap();
    Day { session, log_return, bar: Some(bar.unwrap()) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn modes_do_not_depend_on_where_the_list_begins_nor_on_the_size_of_prices(
        rows in proptest::collection::vec((daily_return(), prices()), 90..140),
        begin in 0_usize..20,
        power in -20..20_i32,
    ) {
        let days = |scale: f64| -> Vec<Day> {
            rows.iter().enumerate().map(|(n, (r, p))| day(n, *r, *p, scale)).collect()
        };
        let (days, scaled) = (days(1.0), days(2.0_f64.powi(power)));
        let params = params();
        let after = SessionDate::from_days(1_000).unwrap();
        let whole = DailyModes::before(after, &params, &RecursiveModes::default(), &days);
        let mut older = RecursiveModes::default();
        days[..begin].iter().filter_map(|d| d.log_return).for_each(|r| older.update(&params, r));
        // A snapshot between, with its parts on their own.
        let RecursiveModes { returns, ewma_94, rm2006, garch } = older;
        let restored = RecursiveModes { returns, ewma_94, rm2006, garch };
        let cut = DailyModes::before(after, &params, &restored, &scaled[begin..]);
        for (mode, reading) in whole.iter() {
            prop_assert_eq!(cut.get(mode), reading, "{}", mode.name());
            prop_assert!(reading.is_ok_and(|sigma| (0.0..1.0).contains(&sigma)) || reading == Err(Unknown::Warming));
        }
    }

    #[test]
    fn deviations_do_not_know_up_from_down_nor_today_from_yesterday(
        returns in proptest::collection::vec(-0.2..0.2_f64, 1..64),
        power in -30..30_i32,
    ) {
        let scale = 2.0_f64.powi(power);
        let turned: Vec<f64> = returns.iter().rev().map(|r| -r * scale).collect();
        // Orders of magnitude alone: nothing is rounded, whatever the order.
        prop_assert_eq!(mad_sigma(&turned).map(|s| s / scale), mad_sigma(&returns));
        prop_assert_eq!(zero_centred_mad_sigma(&turned).map(|s| s / scale), zero_centred_mad_sigma(&returns));
        let (a, b) = (zero_mean_sigma(&turned).unwrap() / scale, zero_mean_sigma(&returns).unwrap());
        prop_assert!((a / b - 1.0).abs() < 1e-14);
        if let Some(sigma) = sample_sigma(&returns) {
            prop_assert!(sigma <= b * (returns.len() as f64 / (returns.len() - 1) as f64).sqrt() * (1.0 + 1e-14));
        }
    }

    #[test]
    fn without_shocks_trimming_changes_nothing_and_it_is_never_wider_than_cutting_back(
        returns in proptest::collection::vec(-0.03..0.03_f64, 42..64),
        shock in 0.5..2.0_f64,
    ) {
        let never = ShockRule::new(1e9, 0.0).unwrap();
        prop_assert_eq!(trimmed_sigma(&returns, never), sample_sigma(&returns[returns.len() - 21..]));
        prop_assert_eq!(winsorized_sigma(&returns, never), sample_sigma(&returns[returns.len() - 21..]));
        // A shock on the last day is as if it had not been, today and in ten days.
        let rule = ShockRule::default();
        let drift: f64 = returns[returns.len() - 20..].iter().sum();
        for sign in [1.0, -1.0] {
            let mut shaken = returns.clone();
            shaken.push(sign * shock);
            prop_assert_eq!(trimmed_sigma(&shaken, rule), trimmed_sigma(&returns, rule));
            if let (Some(kept), Some(cut)) = (trimmed_sigma(&shaken, rule), winsorized_sigma(&shaken, rule)) {
                prop_assert!(cut < sample_sigma(&shaken[shaken.len() - 21..]).unwrap());
                // One that goes along with a strong drift may, cut back, lie nearer to the mean than the day that it
                // pushes out of the window.
                prop_assert!(kept < cut || sign * drift > 0.0);
            }
        }
    }

    #[test]
    fn realized_sums_do_not_depend_on_batches_and_scale_by_squares(
        returns in proptest::collection::vec(prop_oneof![9 => -0.01..0.01_f64, 1 => Just(0.0)], 3..100),
        cut in 0_usize..100,
        power in -8..8_i32,
    ) {
        let whole = Realized::of(&returns);
        let (first, second) = returns.split_at(cut.min(returns.len()));
        let mut sums = Realized::of(first);
        for r in second { sums.push(*r); }
        prop_assert_eq!(sums, whole);
        let scale = 2.0_f64.powi(power);
        let scaled = Realized::of(&returns.iter().map(|r| -r * scale).collect::<Vec<_>>());
        for (scaled, plain) in [
            (scaled.variance(), whole.variance()),
            (scaled.bipower_variation(), whole.bipower_variation()),
            (scaled.min_variance(), whole.min_variance()),
            (scaled.median_variance(), whole.median_variance()),
        ] {
            prop_assert_eq!(scaled.map(|v| v / (scale * scale)), plain);
        }
        if let (Ok(a), Ok(b)) = (scaled.jump_test(), whole.jump_test()) {
            // The power of 4/3 is not exact.
            prop_assert!((a.z - b.z).abs() <= 1e-12 * b.z.abs().max(1.0));
            prop_assert!((0.0..=1.0).contains(&a.p_value));
        }
    }

    #[test]
    fn lee_mykland_is_its_formula_and_a_stored_state_goes_on_to_the_same_bits(
        returns in proptest::collection::vec(prop_oneof![4 => -0.01..0.01_f64, 1 => Just(0.0), 1 => -9.0..9.0_f64], 1..150),
        window in 3_usize..40,
        cut in 0_usize..150,
    ) {
        let mut test = LeeMykland::new(window).unwrap();
        for (i, r) in returns.iter().enumerate() {
            if i == cut {
                test = LeeMykland::from_image(test.image()).unwrap();
            }
            let got = test.update(*r, DiurnalFactor::NONE);
            if i + 1 < window {
                prop_assert_eq!(got, Err(Unknown::Warming));
                continue;
            }
            let sum: f64 = returns[i + 1 - window..i].windows(2).map(|pair| (pair[0] * pair[1]).abs()).sum();
            if sum > 0.0 {
                let expected = r / (sum / (window - 2) as f64).sqrt();
                prop_assert!((got.unwrap() - expected).abs() <= 1e-14 * expected.abs());
            } else {
                prop_assert_eq!(got, Err(Unknown::InsufficientVariance));
            }
        }
        let mut unbroken = LeeMykland::new(window).unwrap();
        for r in &returns {
            let _ = unbroken.update(*r, DiurnalFactor::NONE);
        }
        prop_assert_eq!(unbroken, test);
    }

    #[test]
    fn a_rate_does_not_depend_on_how_an_instant_is_cut_up(
        ticks in proptest::collection::vec((1_i64..5_000_000_000, -64..64_i32, -64..64_i32), 1..60),
    ) {
        let tau = TimeConstant::new(10.0).unwrap();
        let (mut whole, mut parts) = (VarianceRate::default(), VarianceRate::default());
        for (dt, a, b) in ticks {
            // Sums of these are exact.
            let (a, b) = (f64::from(a) / 65_536.0, f64::from(b) / 65_536.0);
            prop_assert!(whole.update(dt, tau, a + b));
            prop_assert!(parts.update(dt, tau, a) && parts.update(0, tau, b));
            prop_assert_eq!(whole, parts);
        }
    }
}
