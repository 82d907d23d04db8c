//! Aligns members in event time and hands each group its moments in order.

use super::fed::Fed;
use super::group::{Group, GroupImage, Moment};
use super::level::{GroupParams, Membership};
use super::member::{MemberAmend, MemberClose, MemberUpdate};
use super::view::GroupView;
use crate::domain::{Alert, SessionDate, Symbol, UnixNanos};
use crate::market::Calendar;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Every group, behind one watermark.
pub struct Stage {
    pub(super) groups: Vec<Group>,
    pub(super) followed: HashSet<Symbol>,
    /// Those of them that are, or were, members: for an index alone nothing waits.
    pub(super) members: HashSet<Symbol>,
    pub(super) watermark: UnixNanos,
    /// Groups that a log of their own feeds, by what they know of it.
    pub(super) fed: BTreeMap<Arc<str>, Fed>,
    /// The groups as history left them.
    pub(super) pristine: Vec<(Arc<str>, GroupImage)>,
}

impl Stage {
    /// Groups without state.
    pub fn new(groups: &[GroupParams], config_hash: &Arc<str>) -> Self {
        let around = groups.iter().filter_map(GroupParams::composite).flat_map(|c| &c.universe_members);
        let members = groups.iter().flat_map(|g| &g.members).chain(around);
        let benchmarks = groups.iter().filter_map(|g| g.benchmark.clone());
        let members: HashSet<Symbol> = members.filter_map(|m| Symbol::new(m).ok()).collect();
        let followed = members.iter().cloned().chain(benchmarks).collect();
        let groups = groups.iter().map(|g| Group::new(g.clone(), config_hash.clone())).collect();
        let (fed, pristine) = (BTreeMap::new(), Vec::new());
        Self { groups, followed, members, watermark: UnixNanos::MIN, fed, pristine }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether some group follows `symbol`.
    pub fn follows(&self, symbol: &str) -> bool {
        self.followed.contains(symbol)
    }

    /// Symbols that some group follows as members, or ever did.
    pub fn members_len(&self) -> usize {
        self.members.len()
    }

    /// Whether a symbol is one of them.
    pub fn is_member(&self, symbol: &Symbol) -> bool {
        self.members.contains(symbol)
    }

    /// Names of the groups that hold `symbol` in `session`, sorted.
    pub fn groups_of(&self, symbol: &str, session: Option<SessionDate>) -> Vec<Arc<str>> {
        let session = session.unwrap_or(SessionDate::MIN);
        let inside = self.groups.iter().filter(|g| g.holds(symbol, session));
        inside.map(|g| g.params.name.clone()).collect()
    }

    /// Names of the groups to which it matters what `symbol` does in `session`, sorted.
    pub fn followers_of(&self, symbol: &str, session: SessionDate) -> Vec<Arc<str>> {
        let following = self.groups.iter().filter(|g| g.follows(symbol, session));
        following.map(|g| g.params.name.clone()).collect()
    }

    /// Names of all groups.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.groups.iter().map(|g| g.params.name.clone()).collect()
    }

    /// Whether a group of that name is configured.
    pub fn has(&self, group: &str) -> bool {
        self.groups.iter().any(|g| *g.params.name == *group)
    }

    /// Records a membership in a group that is configured: whether it is news.
    ///
    /// `company` names the company of which the symbol is one of several share classes.
    pub fn membership(
        &mut self,
        group: &str,
        symbol: &Symbol,
        from: SessionDate,
        inside: bool,
        (company, sector): (Option<&str>, Option<&str>),
    ) -> bool {
        let (company, sector) = (company.map(Arc::from), sector.map(Arc::from));
        let membership = Membership { from, inside, company, sector };
        let mut any = false;
        for reader in self.groups.iter_mut().filter(|g| g.reads(group)) {
            if inside {
                self.followed.insert(symbol.clone());
                self.members.insert(symbol.clone());
            }
            any |= reader.set_membership(group, symbol, membership.clone());
        }
        any
    }

    /// Lets memberships of `old` go on under `to` from a session on: whether there were any.
    pub fn rename(&mut self, old: &Symbol, to: &Symbol, from: SessionDate) -> bool {
        let mut any = false;
        for group in &mut self.groups {
            any |= group.rename(old, to, from);
        }
        if any {
            // One security, followed once.
            self.followed.remove(old);
            self.followed.insert(to.clone());
            self.members.remove(old);
            self.members.insert(to.clone());
        }
        any
    }

    /// Puts other bounds on the groups there are, by name.
    pub fn reload(&mut self, groups: &[GroupParams], config_hash: &Arc<str>) {
        for group in &mut self.groups {
            if let Some(fresh) = groups.iter().find(|g| g.name == group.params.name) {
                group.reload(fresh, config_hash);
            }
        }
    }

    /// Takes a member's price of an interval.
    pub fn update(&mut self, update: &MemberUpdate) {
        // Behind the watermark its interval has been judged: it counts from the next one on.
        let at = update.at.max(self.watermark.plus(1));
        for group in &mut self.groups {
            if group.follows(update.symbol.as_str(), update.session) {
                group.schedule(at, update.clone());
            }
        }
    }

    /// Takes a member's close.
    pub fn close(&mut self, close: &MemberClose) {
        for group in &mut self.groups {
            if group.follows(close.symbol.as_str(), close.session) {
                group.take_close(close);
            }
        }
    }

    /// Takes a correction of what a member had told.
    pub fn amend(&mut self, amend: &MemberAmend) {
        for group in &mut self.groups {
            if group.follows(amend.symbol.as_str(), amend.session) {
                group.schedule_amend(amend.clone());
            }
        }
    }

    /// Judges every moment up to `watermark`. At the end of the input a session with any close is over.
    pub fn advance(
        &mut self,
        watermark: UnixNanos,
        is_end: bool,
        calendar: Option<&Calendar>,
        topic: &Arc<str>,
        alerts: &mut Vec<Alert>,
    ) {
        self.watermark = self.watermark.max(watermark);
        for group in &mut self.groups {
            group.advance(&Moment { watermark, is_end, calendar, topic }, alerts);
        }
    }

    /// Ends, without a word, one more session of one group that history closed; false when there is none left.
    pub fn settle_history(&mut self, calendar: Option<&Calendar>) -> bool {
        if self.groups.iter_mut().any(|group| group.settle_history(calendar)) {
            return true;
        }
        self.pristine = self.groups.iter().map(|g| (g.params.name.clone(), g.image())).collect();
        false
    }

    /// Every group that a log of its own feeds here, as it stands: of the others someone else knows.
    pub fn fed_views(&self) -> Vec<GroupView> {
        self.groups.iter().filter(|g| self.fed.contains_key(&g.params.name)).map(Group::view).collect()
    }

    /// Every group as it stands.
    pub fn views(&self) -> Vec<GroupView> {
        self.groups.iter().map(Group::view).collect()
    }

    /// Readings at the close of each session, by session.
    pub fn closes(&self) -> BTreeMap<SessionDate, Vec<GroupView>> {
        let mut all: BTreeMap<SessionDate, Vec<GroupView>> = BTreeMap::new();
        for view in self.groups.iter().flat_map(Group::closes) {
            if let Some(session) = view.session {
                all.entry(session).or_default().push(view.clone());
            }
        }
        all
    }

    /// The plain content, for snapshots.
    pub fn image(&self) -> (UnixNanos, Vec<(Arc<str>, GroupImage)>) {
        (self.watermark, self.groups.iter().map(|g| (g.params.name.clone(), g.image())).collect())
    }

    /// Continues from an image; groups it does not name start empty.
    pub fn restore(&mut self, watermark: UnixNanos, images: Vec<(Arc<str>, GroupImage)>) {
        self.watermark = watermark;
        for (name, image) in images {
            if let Some(group) = self.groups.iter_mut().find(|g| g.params.name == name) {
                self.followed.extend(image.members());
                self.members.extend(image.members());
                group.restore(image);
            }
        }
    }
}
