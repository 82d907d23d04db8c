//! Groups of securities: the basket of their moves, its size in its own sigmas, and the level that follows.
//!
//! A group sees its members at a fixed spacing in event time and decides once the watermark has passed, so
//! its verdict is the same however members are spread over partitions. Levels come from the percentiles of seven
//! legs within their own past ([`LEG_NAMES`]), or from fixed bounds on three; a leg that is not known is not reached.
//! A group is also counted: how many of its securities break, and what that makes of the year ([`YearToDate`]).
//!
//! A group is told of its members by the lane that reads all of them, or by a log of its own that every lane writes and
//! one of them reads ([`MemberRecord`]).

mod company;
mod contagion;
pub mod derived;
mod fed;
mod group;
mod index;
mod legs;
mod level;
mod losses;
mod member;
mod panel;
mod reading;
mod roster;
mod sentence;
mod stage;
mod surface;
mod universe;
mod view;

pub use contagion::{
    Breach, BroadShare, ConditionalLift, Contagion, ContagionDay, ContagionImage, ContagionParams, ContagionView,
    ExcitationReading, FollowThrough, Follower, Forecast, KindReading, LAG_MINUTES, LagCounts, LeadLag, Scored,
    lead_lag,
};
pub use fed::{FedImage, Taken};
pub use group::{Group, GroupImage};
pub use index::{DayCount, Leader, YearToDate};
pub(crate) use legs::OBSERVATIONS_MIN;
pub use legs::{DayRow, LEG_NAMES, LegRow, LegValues};
pub use level::{BreakRow, Composite, GroupHistory, GroupParams, Level, LevelBounds, Verdict};
pub use losses::{LOSSES_KEPT, Loss, LossRecord, PastLoss};
pub use member::{MemberAmend, MemberClose, MemberEvent, MemberRecord, MemberUpdate};
pub use reading::{MemberReading, Reading};
pub(crate) use reading::{Rank, change_of, contributions, direction_of, magnitude, read};
pub(crate) use sentence::GroupSentence;
pub use stage::Stage;
pub use surface::{PathView, SurfaceView, SurfaceWindow};
pub(crate) use universe::read_universe;
pub use universe::{Tally, UniverseReading};
pub use view::GroupView;
