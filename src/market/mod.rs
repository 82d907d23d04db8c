//! What makes a price usable: the exchange's calendar, and each symbol's daily history with its
//! corporate actions.

mod calendar;
mod curve_learner;
mod curves;
mod history;
mod opens;
mod ruler;

pub use calendar::{Calendar, CalendarError, CalendarOverlay, Located, Moment, Session};
pub use curve_learner::{CurveLearner, GroupCurve, NoCurve};
pub use curves::Curves;
pub use history::{Close, Desk, History, HistoryImage, Measure, Reference, SIGMA_MIN, Sigma};
pub use opens::{OpenBasis, Opens};
pub use ruler::{Curve, LearnedCurve, RulerParams, VarianceClock, overnight_share};
