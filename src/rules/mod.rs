//! When an episode opens, escalates, eases, ends, and what its close makes of it: state in, verdict out.

mod episode;
mod reconcile;

pub use episode::{Band, Cooldown, Episode, EpisodeRules, Episodes, Judgement, Step, Verdict, WAITING_MAX};
pub use reconcile::{Amended, Told, reconcile};
