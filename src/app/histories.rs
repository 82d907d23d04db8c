//! `history build`: the history files of a group's legs, of the fragility index and of the largest losses, out of closes
//! of the past.

use super::AppError;
use super::output::Output;
use super::replay::{Settled, replay_closes};
use crate::cluster::{GroupParams, GroupView, LOSSES_KEPT, PastLoss, Verdict};
use crate::codec::{
    encode_index, encode_index_header, encode_legs, encode_legs_header, encode_loss, encode_losses_header,
};
use crate::config::Config;
use crate::domain::SessionDate;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tracing::warn;

/// What `history build` is asked.
#[derive(Clone, Debug, Default)]
pub struct HistoryOptions {
    /// Files, or `-`.
    pub inputs: Vec<PathBuf>,
    /// The group whose legs are asked for; `None`: the one that is judged by its own past.
    pub group: Option<String>,
    /// Where its legs go.
    pub legs: Option<PathBuf>,
    /// Where the counts of the fragility index go.
    pub index: Option<PathBuf>,
    /// Where the largest losses go.
    pub losses: Option<PathBuf>,
}

/// A history in the making.
struct History {
    out: Output,
    group: String,
    header: Vec<u8>,
    row: fn(SessionDate, &GroupView, &mut Vec<u8>),
    is_known: fn(&GroupView) -> bool,
}

/// Replays inputs in the order given and writes, session by session, what [`Config`] reads as `history.legs` and
/// `history.index`, and at the end `history.losses`. Sessions before the first of which something is known are left out.
///
/// # Errors
/// When no group is there to be written, an input cannot be read, or an output cannot be written.
pub fn build_history(config: &Config, options: &HistoryOptions) -> Result<(), AppError> {
    if config.params.calendar.is_none() {
        return Err(AppError::Usage("a history needs a calendar (market.calendar = \"none\")".into()));
    }
    let paths = [("--legs", &options.legs), ("--index", &options.index), ("--losses", &options.losses)];
    for (at, (one, path)) in paths.iter().enumerate() {
        let same = paths[..at].iter().find(|(_, other)| path.is_some() && other == path);
        if let Some((other, _)) = same {
            return Err(AppError::Usage(format!("{other} and {one} name the same file")));
        }
    }
    let groups = &config.params.groups;
    // Whom they are about is told before a file is touched.
    let judged = match options.legs {
        Some(_) => Some(judged(groups, options.group.as_deref())?),
        None => None,
    };
    let counted = match options.index {
        Some(_) => Some(counted(groups)?),
        None => None,
    };
    let mut histories = Vec::new();
    if let (Some(path), Some((group, universe))) = (&options.legs, judged) {
        let mut header = Vec::new();
        encode_legs_header(universe, &mut header);
        let is_known = |view: &GroupView| view.legs.iter().any(|l| l.value.is_ok());
        let (out, group) = (Output::open(path)?, group.to_owned());
        histories.push(History { out, group, header, row: encode_legs, is_known });
    }
    if let (Some(path), Some(group)) = (&options.index, counted) {
        let mut header = Vec::new();
        encode_index_header(&mut header);
        let is_known = |view: &GroupView| view.breadth.valid > 0;
        let (out, group) = (Output::open(path)?, group.to_owned());
        histories.push(History { out, group, header, row: encode_index, is_known });
    }
    let losses = options.losses.as_ref().map(|path| Output::open(path)).transpose()?;
    let Settled { closes, replayed } = replay_closes(config, &options.inputs)?;
    if replayed.refused_any() {
        warn!(refused = replayed.refused(), "records were refused, `replay --dead-letters` names them");
    }
    for history in histories {
        history.write(&closes)?;
    }
    if let Some(mut out) = losses {
        let mut line = Vec::new();
        encode_losses_header(&mut line);
        out.line(&line)?;
        for loss in largest_losses(&closes) {
            line.clear();
            encode_loss(loss, &mut line);
            out.line(&line)?;
        }
        out.finish()?;
    }
    Ok(())
}

/// The largest losses that any group has seen by the last close, largest first.
fn largest_losses(closes: &BTreeMap<SessionDate, Vec<GroupView>>) -> Vec<&PastLoss> {
    let last = closes.last_key_value().into_iter().flat_map(|(_, views)| views);
    let mut losses: Vec<&PastLoss> = last.flat_map(|v| v.loss_records.iter().map(|r| &r.loss)).collect();
    losses.sort_by(|a, b| b.usd.total_cmp(&a.usd).then_with(|| (&a.symbol, a.session).cmp(&(&b.symbol, b.session))));
    let mut seen = BTreeSet::new();
    losses.retain(|loss| seen.insert((&loss.symbol, loss.session)));
    losses.truncate(LOSSES_KEPT);
    losses
}

impl History {
    fn write(mut self, closes: &BTreeMap<SessionDate, Vec<GroupView>>) -> Result<(), AppError> {
        self.out.line(&self.header)?;
        let views = closes.iter().flat_map(|(session, views)| views.iter().map(move |v| (*session, v)));
        let of_group = views.filter(|(_, v)| *v.name == *self.group);
        let mut rows = 0_u64;
        for (session, view) in of_group.skip_while(|(_, v)| !(self.is_known)(v)) {
            let mut bytes = Vec::new();
            (self.row)(session, view, &mut bytes);
            self.out.line(&bytes)?;
            rows += 1;
        }
        if rows == 0 {
            warn!(group = %self.group, "nothing is known of any session: the file has a header and no rows");
        }
        self.out.finish()
    }
}

/// The group whose legs are written, and its universe.
fn judged<'a>(groups: &'a [GroupParams], wanted: Option<&str>) -> Result<(&'a str, &'a str), AppError> {
    let universe = |group: &'a GroupParams| match &group.verdict {
        Verdict::Composite(composite) => Some((&*group.name, &*composite.universe)),
        _ => None,
    };
    let usage = |message: String| Err(AppError::Usage(message));
    let found: Vec<(&str, &str)> = groups.iter().filter_map(universe).collect();
    let names = || found.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Some(wanted) = wanted else {
        return match found[..] {
            [only] => Ok(only),
            [] => usage("no group has legs: none has a universe without levels of its own".into()),
            _ => usage(format!("--group has to name one of the groups with legs: {}", names())),
        };
    };
    match groups.iter().find(|g| *g.name == *wanted) {
        None => usage(format!("--group: there is no group {wanted:?}; with legs there are: {}", names())),
        Some(group) => match (universe(group), &group.verdict) {
            (Some(found), _) => Ok(found),
            (None, Verdict::Bounds(_)) => usage(format!("--group: {wanted} has no legs: fixed levels judge it")),
            (None, _) => usage(format!("--group: {wanted} has no legs: it has no universe")),
        },
    }
}

/// The group that the fragility index is counted over.
fn counted(groups: &[GroupParams]) -> Result<&str, AppError> {
    let found = groups.iter().find(|g| g.index.is_some()).map(|g| &*g.name);
    found.ok_or_else(|| AppError::Usage("--index: no group has index = true".into()))
}
