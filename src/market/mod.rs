//! What makes a price usable: the exchange's calendar, each symbol's daily history with its corporate
//! actions, and which prints may move what.

mod calendar;
mod history;
mod quarantine;

pub mod eligibility;

pub use calendar::{Calendar, CalendarError, CalendarOverlay, Located, Moment, Session};
pub use history::{Close, Desk, History, HistoryImage, Measure, Reference, SIGMA_MIN, Sigma};
pub use quarantine::{Held, Quarantine, QuarantineRules};
