//! Plays the days into the demo's broker, no faster than they are read.

use super::days::Days;
use crate::clock;
use crate::domain::{NANOS_PER_SEC, SessionDate};
use crate::lane::Shared;
use crate::market::{Calendar, Session};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Records sent and not read yet: the demo's broker keeps a few MiB a partition and drops the rest.
const AHEAD_MAX: u64 = 10_000;
/// Spacing of heartbeats in market time.
const HEARTBEAT: i64 = 30 * NANOS_PER_SEC;
/// Longest wait for the service to be ready, or to catch up.
const PATIENCE: Duration = Duration::from_mins(1);

/// How fast market time passes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Pace {
    /// Slow where something happens: the day before, the day, the week after, the rest.
    Story,
    /// Market seconds per second.
    Speed(f64),
    /// As fast as it is read.
    Max,
}

impl Pace {
    pub(super) fn read(text: Option<&str>) -> Result<Self, String> {
        match text {
            None => Ok(Self::Story),
            Some("max") => Ok(Self::Max),
            Some(text) => match text.parse::<f64>() {
                Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(Self::Speed(speed)),
                _ => Err(format!("--speed is {text:?}, must be market seconds per second above 0, or max")),
            },
        }
    }

    fn speed(self, session: SessionDate) -> Option<f64> {
        let full_day_in = |secs: f64| Some(23_400.0 / secs);
        match self {
            Self::Max => None,
            Self::Speed(speed) => Some(speed),
            Self::Story => match session.to_string().as_str() {
                "2025-01-24" => full_day_in(6.0),
                "2025-01-27" => full_day_in(20.0),
                day if day < "2025-02-01" => full_day_in(5.0),
                _ => full_day_in(0.8),
            },
        }
    }
}

/// The feed of the demo.
pub(super) struct Feed {
    days: Days,
    calendar: Arc<Calendar>,
    producer: BaseProducer,
    partitions: i32,
    pace: Pace,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    sent: u64,
    sequence: BTreeMap<String, u64>,
}

impl Feed {
    pub(super) fn new(
        days: Days,
        calendar: Arc<Calendar>,
        brokers: &str,
        partitions: i32,
        pace: Pace,
        shared: Arc<Shared>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, String> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("linger.ms", "5")
            .set("partitioner", "murmur2_random")
            .create()
            .map_err(|e| format!("demo producer: {e}"))?;
        Ok(Self { days, calendar, producer, partitions, pace, shared, stop, sent: 0, sequence: BTreeMap::new() })
    }

    /// Plays every day.
    pub(super) fn play(mut self) -> Result<(), String> {
        self.wait_until("the service to be ready", |shared, _| shared.ready().is_ok())?;
        for date in self.days.played() {
            let Some(session) = self.calendar.session(date).copied() else { continue };
            if self.is_stopped() {
                return Ok(());
            }
            self.play_day(&session)?;
            self.wait_until("the day to be read", |shared, sent| shared.metrics.taken() >= sent)?;
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn play_day(&mut self, session: &Session) -> Result<(), String> {
        let _ = writeln!(std::io::stdout(), "\n-- {} -- real closes, simulated path between them", session.date);
        let ticks = self.days.paths(session);
        let started = clock::monotonic();
        let speed = self.pace.speed(session.date);
        let mut beat = session.open.0;
        self.heartbeats(beat)?;
        for tick in ticks {
            while tick.ts >= beat + HEARTBEAT {
                beat += HEARTBEAT;
                self.heartbeats(beat)?;
            }
            self.keep_pace(started, speed, tick.ts - session.open.0);
            if self.is_stopped() {
                return Ok(());
            }
            let sequence = self.sequence.entry(tick.symbol.clone()).or_default();
            *sequence += 1;
            let value = format!(
                r#"{{"type":"tick","symbol":"{}","ts":{},"price":{:.2},"seq":{sequence},"feed":"simulated"}}"#,
                tick.symbol, tick.ts, tick.price,
            );
            self.send(Some(&tick.symbol), None, &value)?;
        }
        let closes: Vec<(String, super::days::DayClose)> =
            self.days.closes(session.date).map(|(s, d)| (s.clone(), *d)).collect();
        for (symbol, day) in closes {
            let value =
                format!(r#"{{"type":"close","symbol":"{symbol}","session":"{}","price":{}}}"#, session.date, day.close);
            self.send(Some(&symbol), None, &value)?;
            if let Some(shares) = day.shares {
                let value = format!(
                    r#"{{"type":"shares","symbol":"{symbol}","session":"{}","shares_outstanding":{shares}}}"#,
                    session.date
                );
                self.send(Some(&symbol), None, &value)?;
            }
        }
        // Past the lateness bound, so that groups see the close.
        self.heartbeats(session.close.0 + 60 * NANOS_PER_SEC)
    }

    fn heartbeats(&mut self, ts: i64) -> Result<(), String> {
        let value = format!(r#"{{"type":"heartbeat","ts":{ts}}}"#);
        for partition in 0..self.partitions {
            self.send(None, Some(partition), &value)?;
        }
        Ok(())
    }

    fn send(&mut self, key: Option<&str>, partition: Option<i32>, value: &str) -> Result<(), String> {
        let mut record = BaseRecord::<str, str>::to("market").payload(value);
        if let Some(key) = key {
            record = record.key(key);
        }
        if let Some(partition) = partition {
            record = record.partition(partition);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(format!("demo feed: {error}")),
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(256) {
            self.producer.poll(Duration::ZERO);
            while self.sent > self.shared.metrics.taken() + AHEAD_MAX && !self.is_stopped() {
                self.producer.poll(Duration::from_millis(2));
            }
        }
        Ok(())
    }

    /// Waits until the market has come as far as `into_session` says.
    fn keep_pace(&self, started: Instant, speed: Option<f64>, into_session: i64) {
        let Some(speed) = speed else { return };
        let due = started + Duration::from_secs_f64(into_session as f64 / NANOS_PER_SEC as f64 / speed);
        loop {
            let left = due.saturating_duration_since(clock::monotonic());
            if left < Duration::from_millis(1) || self.is_stopped() {
                return;
            }
            // The producer's own events are served while waiting.
            self.producer.poll(left.min(Duration::from_millis(20)));
        }
    }

    fn wait_until(&self, what: &str, is_done: impl Fn(&Shared, u64) -> bool) -> Result<(), String> {
        let until = clock::monotonic() + PATIENCE;
        let _ = self.producer.flush(Duration::from_secs(5));
        while !is_done(&self.shared, self.sent) {
            if self.is_stopped() {
                return Ok(());
            }
            if clock::monotonic() > until {
                return Err(format!("demo: waited a minute for {what}"));
            }
            self.producer.poll(Duration::from_millis(10));
        }
        Ok(())
    }
}
