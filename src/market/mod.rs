//! What makes a price usable: the exchange's calendar, each symbol's daily history with its corporate
//! actions, and which prints may move what.

mod calendar;
mod curve_learner;
mod curves;
mod history;
mod opens;
mod quarantine;
mod ruler;

pub mod eligibility;

pub use calendar::{Calendar, CalendarError, CalendarOverlay, Located, Moment, Session};
pub use curve_learner::{CurveLearner, GroupCurve, NoCurve};
pub use curves::Curves;
pub use history::{
    Close, Desk, Flag, Flags, History, HistoryImage, Measure, Published, Reference, ReturnMode, SIGMA_MIN, Sigma,
    ValueRecords,
};
pub use opens::{OpenBasis, Opens};
pub use quarantine::{Held, Quarantine, QuarantineRules};
pub use ruler::{Curve, LearnedCurve, RulerParams, VarianceClock, overnight_share};
