//! When an episode opens, escalates, eases, ends, and what its close makes of it: state in, verdict out.

mod episode;

pub use episode::{Band, Cooldown, Episode, EpisodeRules, Episodes, Judgement, Step, Verdict};
