//! Engines and drags as plain numbers, for snapshots.

use super::window::Window;
use super::{Anchor, MEMBERS_MAX, Member, Standing, StandingParams, Standings};
use crate::cluster::derived::{Known, date, known, reading, symbol};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct WindowImage {
    sessions: u32,
    parts: Vec<(Known, Option<f64>)>,
}

/// The state of [`Standings`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StandingsImage {
    /// What the anchor was: its kind, and its session or length.
    anchor: (u8, i64),
    dates: Vec<i32>,
    as_of: Option<i32>,
    benchmark: WindowImage,
    members: Vec<(String, WindowImage, u8)>,
}

fn number_of(anchor: Anchor) -> (u8, i64) {
    match anchor {
        Anchor::Year => (0, 0),
        Anchor::Since(session) => (1, i64::from(session.days())),
        Anchor::Trailing(n) => (2, i64::try_from(n).unwrap_or(i64::MAX)),
    }
}

impl From<&Window> for WindowImage {
    fn from(window: &Window) -> Self {
        let parts = window.parts.iter().map(|(r, weight)| (known(*r), *weight)).collect();
        Self { sessions: u32::try_from(window.sessions).unwrap_or(u32::MAX), parts }
    }
}

impl WindowImage {
    fn restore(self, anchor: Anchor) -> Window {
        let mut window = Window::new(&anchor);
        let kept = window.length.unwrap_or(1);
        let skipped = self.parts.len().saturating_sub(kept);
        let is_weight = |w: &f64| (0.0..=1.0).contains(w);
        window.parts = self.parts.into_iter().skip(skipped).map(|(r, w)| (reading(r), w.filter(is_weight))).collect();
        let told = usize::try_from(self.sessions).unwrap_or(usize::MAX);
        let is_empty = window.parts.is_empty();
        window.sessions = if window.length.is_some() || is_empty { window.parts.len() } else { told };
        window
    }
}

impl Standings {
    /// The state as plain numbers.
    pub fn image(&self) -> StandingsImage {
        let class = |class| match class {
            Standing::Neutral => 0,
            Standing::Engine => 1,
            Standing::Drag => 2,
        };
        let member =
            |(symbol, m): (&crate::domain::Symbol, &Member)| (symbol.to_string(), (&m.window).into(), class(m.class));
        StandingsImage {
            anchor: number_of(self.params.anchor),
            dates: self.dates.iter().map(|d| d.days()).collect(),
            as_of: self.as_of.map(super::SessionDate::days),
            benchmark: (&self.benchmark).into(),
            members: self.members.iter().map(member).collect(),
        }
    }

    /// Continues from an image; `None` where the parameters are refused, the image is of another anchor, or it cannot be.
    pub fn restore(params: StandingParams, image: StandingsImage) -> Option<Self> {
        let mut standings = Self::new(params)?;
        let dates_max = standings.benchmark.length.unwrap_or(1);
        let is_possible = image.dates.len() <= dates_max && image.members.len() <= MEMBERS_MAX;
        if image.anchor != number_of(params.anchor) || !is_possible {
            return None;
        }
        standings.dates = image.dates.into_iter().map(|d| date(Some(d))).collect::<Option<_>>()?;
        standings.as_of = date(image.as_of);
        standings.benchmark = image.benchmark.restore(params.anchor);
        for (name, window, class) in image.members {
            let class = *[Standing::Neutral, Standing::Engine, Standing::Drag].get(usize::from(class))?;
            standings.members.insert(symbol(&name)?, Member { window: window.restore(params.anchor), class });
        }
        Some(standings)
    }
}
