//! `topics`: the topics, settings and rights that a configuration needs, held against those that Kafka has.
//!
//! `wanted` and `rights` say what should be, `compare` what differs: pure, over what `admin` has looked up.

mod admin;
mod compare;
#[cfg(test)]
mod manifests;
mod native;
mod rights;
#[cfg(test)]
mod tests;
mod wanted;

use super::AppError;
use crate::clock;
use crate::config::Config;
use admin::Admin;
use compare::{Act, Line, Verdict, compare_rights, compare_topic};
use rights::{WantedRights, wanted_rights};
use std::io::{self, Write};
use std::time::Duration;
use wanted::{Wanted, wanted_topics};

/// What was done may take so long until every broker tells it.
const SEEN_TIMEOUT: Duration = Duration::from_secs(15);
const SEEN_WAIT: Duration = Duration::from_millis(200);

/// Writes what differs and what is right, a line each, and changes nothing; whether nothing differs.
///
/// # Errors
/// When the configuration asks for what cannot be, no broker answers, or one refuses to tell.
pub async fn plan_topics(config: &Config, out: &mut impl Write, err: &mut impl Write) -> Result<bool, AppError> {
    let cluster = Cluster::open(config)?;
    let lines = cluster.compared().await?;
    for line in &lines {
        write_line(out, line)?;
    }
    let (due, left) = counts(&lines);
    let _ = writeln!(err, "{due} to do, {left} left as they are");
    Ok(due + left == 0)
}

/// Does what [`plan_topics`] says, and writes each line of it once it is done; whether nothing differs any more.
///
/// # Errors
/// As [`plan_topics`]; when something would be refused, before anything is changed; and when something could not be done.
pub async fn apply_topics(config: &Config, out: &mut impl Write, err: &mut impl Write) -> Result<bool, AppError> {
    let cluster = Cluster::open(config)?;
    let lines = cluster.compared().await?;
    let (due, left) = counts(&lines);
    if cluster.each_step(&lines, true, &mut |line, result| tell(&mut io::sink(), err, line, result)).await? > 0 {
        return Err(AppError::Failed("nothing was changed".into()));
    }
    let failures = cluster.each_step(&lines, false, &mut |line, result| tell(out, err, line, result)).await?;
    if failures > 0 {
        return Err(AppError::Failed(format!("{failures} of {due} could not be done")));
    }
    cluster.await_seen(&lines).await?;
    let _ = writeln!(err, "{due} done, {left} left as they are");
    Ok(left == 0)
}

fn write_line(out: &mut impl Write, line: &Line) -> Result<(), AppError> {
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        // What is begun is not left half done because nobody reads on.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(AppError::Output("-".into(), error)),
        _ => Ok(()),
    }
}

fn tell(out: &mut impl Write, err: &mut impl Write, line: &Line, result: Result<(), String>) -> Result<(), AppError> {
    match result {
        Ok(()) => write_line(out, line),
        Err(why) => {
            let _ = writeln!(err, "refused: {line}: {why}");
            Ok(())
        }
    }
}

/// Lines with something to do, and those that differ and stay.
fn counts(lines: &[Line]) -> (usize, usize) {
    let due = lines.iter().filter(|line| line.act().is_some()).count();
    (due, lines.iter().filter(|line| line.is_difference()).count() - due)
}

/// Whether two lines are one request: a topic's settings change at once, as its policy may delete what its retention
/// would have kept.
fn belong_together(a: &Line, b: &Line) -> bool {
    match (a.act(), b.act()) {
        (Some(Act::Set { topic: a, .. }), Some(Act::Set { topic: b, .. })) => a == b,
        (Some(Act::Grant(_)), Some(Act::Grant(_))) => true,
        _ => false,
    }
}

struct Cluster {
    admin: Admin,
    topics: Vec<Wanted>,
    rights: Vec<WantedRights>,
}

impl Cluster {
    fn open(config: &Config) -> Result<Self, AppError> {
        let topics = wanted_topics(&config.kafka).map_err(AppError::Usage)?;
        Ok(Self { admin: Admin::open(&config.kafka)?, topics, rights: wanted_rights(config) })
    }

    async fn compared(&self) -> Result<Vec<Line>, AppError> {
        let mut lines = Vec::new();
        for topic in &self.topics {
            compare_topic(topic, self.admin.topic(&topic.name).await?.as_ref(), &mut lines);
        }
        if self.rights.is_empty() {
            return Ok(lines);
        }
        let are_kept = self.admin.keeps_rights().await?;
        for wanted in &self.rights {
            let found = if are_kept { Some(self.admin.rights(&wanted.principal)?) } else { None };
            compare_rights(wanted, found.as_ref(), &mut lines);
        }
        Ok(lines)
    }

    /// Carries every line out, or tries it; how many were refused. One that is refused keeps no other from being done.
    async fn each_step(
        &self,
        lines: &[Line],
        is_trial: bool,
        told: &mut impl FnMut(&Line, Result<(), String>) -> Result<(), AppError>,
    ) -> Result<usize, AppError> {
        let mut refused = 0;
        for step in lines.chunk_by(belong_together) {
            if step.iter().all(|line| line.act().is_none()) {
                step.iter().try_for_each(|line| told(line, Ok(())))?;
                continue;
            }
            let results = self.admin.carry_out(step, is_trial).await;
            for (line, result) in step.iter().zip(results) {
                refused += usize::from(result.is_err());
                told(line, result)?;
            }
        }
        Ok(refused)
    }

    /// Waits until the cluster tells what was done, so that a plan made next finds it.
    async fn await_seen(&self, done: &[Line]) -> Result<(), AppError> {
        if done.iter().all(|line| line.act().is_none()) {
            return Ok(());
        }
        let until = clock::monotonic() + SEEN_TIMEOUT;
        loop {
            let lines = self.compared().await?;
            let Some(line) = lines.iter().find(|line| matches!(line.verdict, Verdict::Do(_))) else { return Ok(()) };
            if clock::monotonic() > until {
                return Err(AppError::Failed(format!(
                    "done, and the brokers do not tell so within {SEEN_TIMEOUT:?}: {line}"
                )));
            }
            tokio::time::sleep(SEEN_WAIT).await;
        }
    }
}
