//! What makes a price usable: the exchange's calendar, and each symbol's daily history with its
//! corporate actions.

mod calendar;
mod history;

pub use calendar::{Calendar, CalendarError, CalendarOverlay, Located, Moment, Session};
pub use history::{Close, Desk, Flag, Flags, History, HistoryImage, Measure, Reference, ReturnMode, SIGMA_MIN, Sigma};
