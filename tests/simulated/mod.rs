//! Simulated sessions: those in the golden tables, and more of the same kind from a generator of its own, for
//! what only many of them can show.

use super::harness::text;
use fragility::estimators::{DiurnalFactor, JumpThreshold, LeeMykland, Realized, lee_mykland_window};
use std::collections::BTreeMap;

/// One bar of a golden session.
pub(crate) struct SimulatedBar {
    pub(crate) log_return: f64,
    pub(crate) diurnal: f64,
    pub(crate) lee_mykland: String,
}

/// One golden session.
pub(crate) struct SimulatedSession {
    pub(crate) scenario: String,
    pub(crate) session: usize,
    pub(crate) cells: BTreeMap<String, String>,
}

fn table(path: &str) -> Vec<BTreeMap<String, String>> {
    let text = text(path);
    let mut rows = text.lines();
    let names: Vec<&str> = rows.next().unwrap().split(',').collect();
    rows.map(|row| names.iter().zip(row.split(',')).map(|(n, c)| ((*n).to_owned(), c.to_owned())).collect()).collect()
}

pub(crate) fn bars() -> BTreeMap<(String, usize), Vec<SimulatedBar>> {
    let mut bars: BTreeMap<_, Vec<SimulatedBar>> = BTreeMap::new();
    for row in table("tests/golden/intraday_bars.csv.zst") {
        bars.entry((row["scenario"].clone(), row["session"].parse().unwrap())).or_default().push(SimulatedBar {
            log_return: row["log_return"].parse().unwrap(),
            diurnal: row["diurnal"].parse().unwrap(),
            lee_mykland: row["lee_mykland"].clone(),
        });
    }
    bars
}

pub(crate) fn sessions() -> Vec<SimulatedSession> {
    table("tests/golden/intraday_sessions.csv")
        .into_iter()
        .map(|cells| SimulatedSession {
            scenario: cells["scenario"].clone(),
            session: cells["session"].parse().unwrap(),
            cells,
        })
        .collect()
}

/// A pseudo-random stream with a seed of its own: splitmix64, Box and Muller.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn gaussian(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// How many of how many.
#[derive(Default, Clone, Copy)]
struct Share {
    hits: u32,
    of: u32,
}

impl Share {
    fn count(&mut self, hit: bool) {
        self.hits += u32::from(hit);
        self.of += 1;
    }

    /// Within four standard errors of a share that was itself found on so many sessions.
    fn check(self, what: &str, expected: f64, sessions: f64) {
        let got = f64::from(self.hits) / f64::from(self.of);
        let error = (expected * (1.0 - expected) * (1.0 / f64::from(self.of) + 1.0 / sessions)).sqrt();
        assert!((got - expected).abs() < 4.0 * error, "{what}: {got} of {}, expected {expected}", self.of);
        println!("{what}: {got:.4}, numpy {expected:.4}");
    }
}

const SESSIONS: u32 = 4_000;

/// Rates and mean ratios of `scenario` (see `golden/intraday.py`) as this crate finds them on paths of its own,
/// against those that numpy found on other paths.
fn check_scenario(scenario: &str, seed: u64) {
    let expected: BTreeMap<String, (f64, f64)> = table("tests/golden/intraday_rates.csv")
        .into_iter()
        .filter(|row| row["scenario"] == scenario)
        .map(|row| (row["what"].clone(), (row["value"].parse().unwrap(), row["sessions"].parse().unwrap())))
        .collect();
    let factors: Vec<f64> = bars()[&(scenario.to_owned(), 0)].iter().map(|b| b.diurnal).collect();
    let n = factors.len();
    let threshold = JumpThreshold::new(n, 0.01).unwrap();
    let window = lee_mykland_window(u32::try_from(n).unwrap());
    let (mut seasonal, mut plain) = (LeeMykland::new(window).unwrap(), LeeMykland::new(window).unwrap());
    let mut random = Random(seed);
    let mut log_sigma = if scenario == "flat" { 0.0 } else { 0.35 * random.gaussian() };
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    let mut ratios: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..SESSIONS {
        let sigma = 0.015 * log_sigma.exp();
        let mut returns: Vec<f64> = factors.iter().map(|f| random.gaussian() * f * sigma / (n as f64).sqrt()).collect();
        if scenario != "flat" {
            log_sigma = 0.97 * log_sigma + 0.35 * (1.0_f64 - 0.97 * 0.97).sqrt() * random.gaussian();
        }
        let mut jump = None;
        if scenario == "jumps" && random.unit() < 0.5 {
            let at = random.below(n);
            returns[at] += if random.unit() < 0.5 { 0.8 * sigma } else { -0.8 * sigma };
            jump = Some(at);
        }
        let kind = if jump.is_some() { "power" } else { "size" };
        let mut count = |name: &str, hit: bool| shares.entry(format!("{name}_{kind}")).or_default().count(hit);
        let sums = Realized::of(&returns);
        count("bns", sums.jump_test().unwrap().p_value < 0.01);
        let calmed: Vec<f64> = returns.iter().zip(&factors).map(|(r, f)| r / f).collect();
        count("bns_deseasoned", Realized::of(&calmed).jump_test().unwrap().p_value < 0.01);
        let (mut said, mut said_plain) = (Vec::new(), Vec::new());
        for (r, f) in returns.iter().zip(&factors) {
            let spoke = |reading: fragility::domain::Reading| reading.is_ok_and(|l| threshold.is_jump(l));
            said.push(spoke(seasonal.update(*r, DiurnalFactor::new(*f).unwrap())));
            said_plain.push(spoke(plain.update(*r, DiurnalFactor::NONE)));
        }
        let outcome = |said: &[bool]| jump.map_or(said.contains(&true), |at| said[at]);
        count("lm", outcome(&said));
        count("lm_seasonless", outcome(&said_plain));
        let truth = sigma * sigma;
        for (name, value) in [
            ("variance_ratio", sums.variance()),
            ("bipower_variation_ratio", sums.bipower_variation()),
            ("min_variance_ratio", sums.min_variance()),
            ("median_variance_ratio", sums.median_variance()),
        ] {
            ratios.entry(name).or_default().push(value.unwrap() / truth);
        }
    }
    for (name, share) in &shares {
        let (value, sessions) = expected[name];
        share.check(&format!("{scenario} {name}"), value, sessions);
    }
    for (name, ratios) in &ratios {
        let of = ratios.len() as f64;
        let mean = ratios.iter().sum::<f64>() / of;
        let variance = ratios.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / (of - 1.0);
        let (value, sessions) = expected[*name];
        let error = (variance * (1.0 / of + 1.0 / sessions)).sqrt();
        assert!((mean - value).abs() < 4.0 * error, "{scenario} {name}: {mean}, expected {value}");
        println!("{scenario} {name}: {mean:.4}, numpy {value:.4}");
        if scenario == "flat" {
            // Here every measure is the integrated variance, and the factors are all there is between them.
            assert!((mean - 1.0).abs() < 4.0 * (variance / of).sqrt(), "{name}: {mean}");
        }
    }
    assert_eq!(shares.len() + ratios.len(), expected.len());
}

#[test]
fn without_season_and_jumps_every_measure_is_the_integrated_variance() {
    check_scenario("flat", 1);
}

#[test]
fn a_season_is_divided_out() {
    check_scenario("seasonal", 2);
}

#[test]
fn jumps_are_found_as_often_as_elsewhere() {
    check_scenario("jumps", 3);
}
