//! One world from one seed: what is written when, who runs, who stops, what breaks.

use super::broker::Broker;
use super::dice::Dice;
use super::expected::{Expected, expect};
use super::market;
use super::member::{Instance, Turned, disk};
use super::plan::{Fate, Fault};
use super::rules::{Rules, config};
use super::sabotage::Sabotage;
use super::source::Wire;
use super::watch::Watch;
use fragility::config::Config;
use fragility::domain::UnixNanos;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

/// What kind of world a seed makes, where it is not left to the seed.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Choice {
    pub(crate) rules: Option<Rules>,
    pub(crate) is_exact: Option<bool>,
    pub(crate) sabotage: Sabotage,
    /// One operation fails, and nothing else goes wrong.
    pub(crate) at: Option<(u64, Fault)>,
    pub(crate) is_calm: bool,
    /// How symbols come to other partitions.
    pub(crate) moves: Moves,
    /// Disks hold snapshots of a run that came to the end, while the group stands at the beginning.
    pub(crate) is_ahead: bool,
}

/// How symbols come to other partitions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Moves {
    /// The log gets more of them in one world of four.
    #[default]
    Drawn,
    /// It gets more in every world.
    Grows,
    /// And once again soon after.
    GrowsTwice,
    /// Keys go to others of as many.
    ChangesKeys,
    /// Securities go by other names, in partitions of others.
    Renames,
}

/// What a world has seen.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) worlds: u64,
    pub(crate) beats: u64,
    pub(crate) alerts: usize,
    pub(crate) repeats: u64,
    pub(crate) operations: u64,
    pub(crate) faults: u64,
    pub(crate) rebalances: u64,
    pub(crate) kills: u64,
    pub(crate) turns: u64,
    pub(crate) failures: u64,
    /// Partitions brought back, in the last lives of their processes: from a snapshot, and from the whole log.
    pub(crate) from_snapshots: u64,
    pub(crate) from_logs: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.beats += other.beats;
        self.alerts += other.alerts;
        self.repeats += other.repeats;
        self.operations += other.operations;
        self.faults += other.faults;
        self.rebalances += other.rebalances;
        self.kills += other.kills;
        self.turns += other.turns;
        self.failures += other.failures;
        self.from_snapshots += other.from_snapshots;
        self.from_logs += other.from_logs;
    }
}

struct World {
    me: Weak<Self>,
    config: Arc<Config>,
    broker: Rc<RefCell<Broker>>,
    fate: Fate,
    dice: RefCell<Dice>,
    members: Vec<RefCell<Instance>>,
    expected: Expected,
    watch: RefCell<Watch>,
    depth: Cell<u32>,
    /// The first thing that was found wrong while others went on inside a call.
    wrong: RefCell<Option<String>>,
    seen: RefCell<Seen>,
    backups: RefCell<Vec<super::sink::Kept>>,
    is_calm: bool,
    trace: bool,
}

/// Runs the world of a seed.
pub(crate) fn run(seed: u64, choice: Choice) -> Result<Seen, String> {
    let (world, about) = make(seed, choice)?;
    world.live().map_err(|wrong| format!("{about}: {wrong}"))?;
    let plan = world.fate.plan();
    let brought = |from: &str| -> u64 {
        let of = |m: &RefCell<Instance>| m.borrow().shared.metrics.restores.with_label_values(&[from]).get();
        world.members.iter().map(of).sum()
    };
    let (from_snapshots, from_logs) = (brought("snapshot"), brought("log"));
    let counted = world.seen.take();
    Ok(Seen {
        worlds: 1,
        alerts: world.expected.alerts_len(),
        repeats: world.watch.borrow().repeats,
        beats: world.watch.borrow().beats,
        operations: plan.operations,
        faults: plan.faults,
        rebalances: world.broker.borrow().group.rebalances,
        from_snapshots,
        from_logs,
        ..counted
    })
}

/// What the disk of a world without faults holds at its end.
fn leftovers(seed: u64, choice: Choice) -> Result<super::sink::Kept, String> {
    let (world, about) = make(seed, Choice { is_calm: true, is_ahead: false, ..choice })?;
    world.live().map_err(|wrong| format!("{about}, without faults: {wrong}"))?;
    Ok(world.members[0].borrow().store.copy())
}

fn make(seed: u64, choice: Choice) -> Result<(Rc<World>, String), String> {
    let mut dice = Dice::new(seed);
    // Drawn in any case: what follows must be the same.
    let (drawn, drawn_exact) = (Rules::ALL[dice.index(Rules::ALL.len())], dice.permille(500));
    let has_renames = choice.moves == Moves::Renames;
    let wanted = choice.rules.or(has_renames.then_some(Rules::Sessions));
    let (rules, is_exact) = (wanted.unwrap_or(drawn), choice.is_exact.unwrap_or(drawn_exact));
    let mut config = config(rules, is_exact);
    // A name is taken with a session.
    let pace = if has_renames { 8 } else { 1 };
    let mut script = market::write(&mut dice.split(), rules, pace);
    // Drawn apart, so that other worlds stay what they are.
    let mut growth = Dice::new(!seed);
    let changes_keys = choice.moves == Moves::ChangesKeys && rules.may_grow();
    if rules.may_grow() && !changes_keys && !has_renames && (choice.moves != Moves::Drawn || seed % 4 == 1) {
        market::grow(&mut script, &mut growth, choice.moves == Moves::GrowsTwice);
    }
    if has_renames {
        market::rename(&mut script, &mut growth);
    }
    if changes_keys {
        market::change_keys(&mut script, &mut growth);
    }
    if changes_keys || has_renames {
        config = Arc::new(Config { shared_interval: Duration::from_secs(1), ..(*config).clone() });
    }
    let expected = expect(&config, &script);
    let mut broker = Broker::new(dice.split(), script);
    broker.sabotage = choice.sabotage;
    broker.group.is_eager = dice.permille(300);
    broker.group.has_single_owner = rules.has_groups();
    let is_calm = choice.is_calm || choice.at.is_some();
    let slowest = if dice.permille(100) { 6_000 } else { 400 };
    broker.delay_max = if dice.permille(300) || is_calm { 0 } else { dice.between(1, slowest) * 1_000_000 };
    let rate = if is_calm { 0 } else { [0, 20, 100, 300][dice.index(4)] };
    let fate = Fate::new(dice.split(), rate, choice.at);
    let broker = Rc::new(RefCell::new(broker));
    let count = if is_calm { 1 } else { 1 + dice.index(3) };
    let mut members: Vec<_> = (0..count).map(|n| Instance::new(n, disk(&fate, &broker), &broker)).collect();
    // A place for whoever is started in another's stead.
    let mut stand_in = Instance::new(count, disk(&fate, &broker), &broker);
    stand_in.is_retired = true;
    members.push(stand_in);
    if choice.is_ahead || (!is_calm && dice.permille(30)) {
        let kept = leftovers(seed, Choice { rules: Some(rules), is_exact: Some(is_exact), ..choice })?;
        for member in &members {
            member.store.restore(kept.clone());
        }
    }
    // What others have is known by their snapshots.
    if seed % 7 == 5 || choice.moves == Moves::ChangesKeys || has_renames {
        let common = Arc::new(disk(&fate, &broker));
        for member in &mut members {
            member.common = Some(common.clone());
        }
    }
    let members = members.into_iter().map(RefCell::new).collect();
    let world = Rc::new_cyclic(|me| World {
        me: me.clone(),
        config,
        broker,
        fate,
        dice: RefCell::new(dice),
        members,
        expected,
        watch: RefCell::new(Watch::new(is_exact)),
        depth: Cell::new(0),
        wrong: RefCell::new(None),
        seen: RefCell::default(),
        backups: RefCell::default(),
        is_calm,
        trace: super::setting("FRAGILITY_SIM_TRACE").is_some(),
    });
    let kind = if is_exact { "exactly once" } else { "at least once" };
    Ok((world, format!("{rules:?}, {kind}")))
}

impl World {
    fn roll<T>(&self, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut self.dice.borrow_mut())
    }

    fn live(&self) -> Result<(), String> {
        let is_calm = self.is_calm;
        let steps = self.roll(|d| if is_calm { 12 } else { d.between(30, 120) });
        for _ in 0..steps {
            if is_calm { self.calm_step() } else { self.step() }?;
            self.look()?;
            self.let_keys_change()?;
        }
        self.drain()
    }

    /// Before keys go to other partitions nothing goes wrong for a while: everyone is there, and snapshots know all symbols.
    fn let_keys_change(&self) -> Result<(), String> {
        if !self.broker.borrow().waits_for_keys() {
            return Ok(());
        }
        self.say(|| "calm, before keys change".into());
        let rate = self.fate.set_rate(0);
        let (is_up, delay_max) = {
            let broker = &mut *self.broker.borrow_mut();
            (std::mem::replace(&mut broker.is_up, true), std::mem::take(&mut broker.delay_max))
        };
        for round in 0..600 {
            if round > 150 && self.broker.borrow().is_all_committed() {
                break;
            }
            for who in 0..self.members.len() {
                self.turn(who, false)?;
                self.look()?;
            }
            let ms = if round % 4 == 0 { 1_500 } else { 120 };
            self.broker.borrow_mut().pass(Duration::from_millis(ms));
        }
        self.fate.set_rate(rate);
        let mut broker = self.broker.borrow_mut();
        (broker.is_up, broker.delay_max) = (is_up, delay_max);
        broker.changed += 1;
        drop(broker);
        self.say(|| "keys change".into());
        Ok(())
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            #[expect(clippy::print_stderr, reason = "asked for")]
            {
                eprintln!("{:>9} ms: {}", self.broker.borrow().now / 1_000_000, what());
            }
        }
    }

    fn look(&self) -> Result<(), String> {
        if let Some(wrong) = self.wrong.borrow_mut().take() {
            return Err(wrong);
        }
        for member in &self.members {
            if let Ok(member) = member.try_borrow() {
                member.check_accounts()?;
            }
        }
        self.watch.borrow_mut().look(&self.broker.borrow(), &self.expected)
    }

    fn calm_step(&self) -> Result<(), String> {
        self.produce();
        self.turn(0, false)?;
        self.broker.borrow_mut().pass(Duration::from_millis(90));
        Ok(())
    }

    fn step(&self) -> Result<(), String> {
        let (kind, who) = self.roll(|d| (d.below(1000), d.index(self.members.len())));
        match kind {
            0..=579 => self.turn(who, false)?,
            580..=719 => self.produce(),
            720..=879 => {
                let ms = self.roll(|d| if d.permille(100) { d.between(1, 12_000) } else { d.between(1, 400) });
                let mut broker = self.broker.borrow_mut();
                let before = broker.group.rebalances;
                broker.pass(Duration::from_millis(ms.unsigned_abs()));
                // What shakes a group shakes the broker.
                if broker.group.rebalances > before && self.roll(|d| d.permille(150)) {
                    broker.is_up = false;
                }
            }
            880..=904 => self.kill(who),
            905..=924 => self.stand_still(who),
            925..=939 => self.turn(who, true)?,
            // What was said since a time is told apart by clocks.
            940..=959 if self.broker.borrow().sabotage.forgets_offsets() => {}
            940..=959 => self.clock_jump(who),
            960..=979 => self.meddle_with_disk(who),
            _ => {
                let mut broker = self.broker.borrow_mut();
                broker.is_up ^= true;
                let is_up = broker.is_up;
                drop(broker);
                self.say(|| format!("broker up: {is_up}"));
            }
        }
        Ok(())
    }

    /// Producers write on.
    fn produce(&self) {
        let mut broker = self.broker.borrow_mut();
        if broker.script.moves() {
            let more = (0..broker.written.len()).map(|_| self.roll(|d| d.index(8))).sum();
            broker.write_on(more);
            return;
        }
        for p in 0..broker.written.len() {
            let more = self.roll(|d| d.index(8));
            broker.written[p] = (broker.written[p] + more).min(broker.script.partitions[p].len());
        }
    }

    fn kill(&self, who: usize) {
        self.say(|| format!("kill {who}"));
        self.members[who].borrow_mut().kill(&self.broker);
        self.comes_back(who);
    }

    /// Where and when a killed process is started again.
    fn comes_back(&self, who: usize) {
        let Ok(mut member) = self.members[who].try_borrow_mut() else { return };
        self.seen.borrow_mut().kills += 1;
        let (wait, is_elsewhere) = self.roll(|d| (d.between(0, 15_000) * 1_000_000, d.permille(150)));
        member.until = self.broker.borrow().now + wait;
        if is_elsewhere {
            self.say(|| format!("{who} comes back on another machine"));
            member.store = Arc::new(disk(&self.fate, &self.broker));
        }
    }

    fn stand_still(&self, who: usize) {
        let mut member = self.members[who].borrow_mut();
        if member.lane.is_none() || member.is_stopped || member.is_retired {
            return;
        }
        self.say(|| format!("{who} stands still"));
        member.is_stopped = true;
        let wait = self.roll(|d| d.between(0, 30_000) * 1_000_000);
        let mut broker = self.broker.borrow_mut();
        member.until = broker.now + wait;
        let now = broker.now;
        broker.stop(member.client, true);
        broker.group.silence(member.client, now, false);
        drop(broker);
        self.replace(who, &mut member);
    }

    /// Now and then someone takes a process that stands still for dead, and starts it once more under its name.
    fn replace(&self, who: usize, member: &mut Instance) {
        let last = self.members.len() - 1;
        let Ok(mut stand_in) = self.members[last].try_borrow_mut() else { return };
        if who == last || !stand_in.is_retired || !self.roll(|d| d.permille(300)) {
            return;
        }
        self.say(|| format!("{last} is started in its stead"));
        stand_in.is_retired = false;
        stand_in.name.clone_from(&member.name);
        stand_in.until = self.broker.borrow().now;
        stand_in.store.restore(member.store.copy());
        member.is_replaced = true;
    }

    fn goes_on(&self, member: &mut Instance) {
        self.say(|| format!("{} goes on", member.name));
        member.is_stopped = false;
        let mut broker = self.broker.borrow_mut();
        broker.was_order_kept &= broker.in_flight(member.client) == 0;
        broker.stop(member.client, false);
        broker.group.speak(member.client);
    }

    fn clock_jump(&self, who: usize) {
        let hours = self.roll(|d| d.between(-48, 48));
        let member = self.members[who].borrow();
        let now = fragility::clock::Clock::Manual(member.clock.clone()).now();
        member.clock.jump(UnixNanos(now.0 + hours * 3_600_000_000_000));
    }

    fn meddle_with_disk(&self, who: usize) {
        let member = self.members[who].borrow();
        let mut backups = self.backups.borrow_mut();
        let what = self.roll(|d| d.below(5));
        self.say(|| format!("disk of {who}: {what}"));
        match what {
            0 | 1 => backups.push(member.store.copy()),
            2 => {
                if let Some(kept) = backups.pop() {
                    member.store.restore(kept);
                }
            }
            3 => member.store.damage(&mut |_, _, slot| {
                if let Some(bytes) = slot.as_mut().filter(|b| !b.is_empty())
                    && self.roll(|d| d.permille(400))
                {
                    let at = self.roll(|d| d.index(bytes.len()));
                    if self.roll(|d| d.permille(500)) { bytes.truncate(at) } else { bytes[at] ^= 0x10 }
                }
            }),
            _ => member.store.damage(&mut |_, _, slot| {
                if self.roll(|d| d.permille(300)) {
                    *slot = None;
                }
            }),
        }
    }

    /// One turn of a member; a process that is down and due is started.
    fn turn(&self, who: usize, is_last: bool) -> Result<(), String> {
        let Ok(mut member) = self.members[who].try_borrow_mut() else { return Ok(()) };
        if member.is_retired || member.until > self.broker.borrow().now {
            return Ok(());
        }
        if member.is_stopped {
            self.goes_on(&mut member);
        }
        if member.lane.is_none() {
            self.say(|| format!("{who} starts"));
            let me = self.me.clone();
            let client = self.broker.borrow_mut().connect();
            let meanwhile = Rc::new(move || {
                if let Some(world) = me.upgrade() {
                    world.meanwhile();
                }
            });
            let wire = Wire { broker: self.broker.clone(), fate: self.fate.clone(), meanwhile, client };
            let references = self.broker.borrow().script.references.clone();
            member.start(&self.config, &references, wire);
        }
        self.seen.borrow_mut().turns += 1;
        let turned = member.turn(is_last, &self.broker)?;
        let now = self.broker.borrow().now;
        if member.is_replaced && !matches!(turned, Turned::Fine) {
            // It is not started again.
            member.is_retired = true;
            return Ok(());
        }
        match turned {
            Turned::Fine => {}
            Turned::Failed(why) => {
                self.say(|| format!("{who} starts over: {why}"));
                self.seen.borrow_mut().failures += 1;
                member.until = now + 300_000_000;
            }
            Turned::Killed => {
                self.say(|| format!("{who} is killed within a turn"));
                drop(member);
                self.comes_back(who);
            }
        }
        Ok(())
    }

    /// Others go on while a call takes long.
    fn meanwhile(&self) {
        if self.depth.get() > 0 {
            return;
        }
        self.depth.set(1);
        self.say(|| "meanwhile".into());
        let rounds = self.roll(|d| d.between(1, 12));
        for _ in 0..rounds {
            let (kind, who, ms) = self.roll(|d| (d.below(10), d.index(self.members.len()), d.between(1, 3_000)));
            let found = match kind {
                0..=5 => self.turn(who, false),
                6..=7 => {
                    self.produce();
                    Ok(())
                }
                _ => {
                    self.broker.borrow_mut().pass(Duration::from_millis(ms.unsigned_abs()));
                    Ok(())
                }
            };
            if let Err(wrong) = found.and_then(|()| self.look()) {
                self.wrong.borrow_mut().get_or_insert(wrong);
            }
        }
        self.say(|| "and back".into());
        self.depth.set(0);
    }

    /// Nothing goes wrong any more: everything has to come out.
    fn drain(&self) -> Result<(), String> {
        self.say(|| "calm from here on".into());
        self.fate.quiet();
        let mut rounds = 0;
        {
            let mut broker = self.broker.borrow_mut();
            broker.is_up = true;
            broker.delay_max = 0;
        }
        for member in &self.members {
            let mut member = member.borrow_mut();
            if member.is_replaced {
                member.kill(&self.broker);
                member.is_retired = true;
            }
        }
        loop {
            self.produce();
            self.let_keys_change()?;
            for who in 0..self.members.len() {
                self.turn(who, false)?;
                self.look()?;
            }
            let ms = if rounds % 4 == 0 { 1_500 } else { 120 };
            self.broker.borrow_mut().pass(Duration::from_millis(ms));
            rounds += 1;
            if rounds > 12 && self.is_drained() {
                break;
            }
            if rounds > 400 {
                break;
            }
        }
        self.look()?;
        for member in &self.members {
            let member = member.borrow();
            let broker = self.broker.borrow();
            let own = broker.group.consumers.get(&member.client).map(|c| c.assigned.clone());
            self.say(|| {
                format!(
                    "{} client {} until {} has {own:?}, {} in flight",
                    member.name,
                    member.client,
                    member.until,
                    broker.lines.get(member.client).map_or(0, |_| broker.in_flight(member.client))
                )
            });
        }
        self.watch.borrow().finish(&self.broker.borrow(), &self.expected)?;
        self.check_totals()
    }

    fn is_drained(&self) -> bool {
        let broker = self.broker.borrow();
        if broker.is_awaiting() {
            return false;
        }
        let is_read = (0..broker.partitions()).all(|p| {
            let records = &broker.script.partitions[usize::try_from(p).unwrap()];
            broker.group.committed.get(&p).copied() >= records.last().map(|r| r.offset + 1)
        });
        is_read && self.watch.borrow().finish(&broker, &self.expected).is_ok() && self.check_totals().is_ok()
    }

    /// Every record of the log has its outcome with whoever owns its partition, as if nothing had happened.
    fn check_totals(&self) -> Result<(), String> {
        let mut got = fragility::domain::Accounts::default();
        for member in &self.members {
            let metrics = &member.borrow().shared.metrics;
            let outcomes = metrics.outcomes();
            got.add(&fragility::domain::Accounts {
                outcomes,
                quarantined: u64::try_from(metrics.quarantined.get()).unwrap(),
            });
        }
        let mut wanted = fragility::domain::Accounts::default();
        self.expected.accounts.iter().for_each(|a| wanted.add(a));
        // A reference record among market records that is read once more in the same process changes nothing.
        for accounts in [&mut got, &mut wanted] {
            let [applied, duplicate, ..] = &mut accounts.outcomes;
            *applied += std::mem::take(duplicate);
        }
        if self.broker.borrow().script.moves() {
            // Nor does a late one, where the symbol's later snapshot knows it already.
            for accounts in [&mut got, &mut wanted] {
                accounts.outcomes[0] += std::mem::take(&mut accounts.outcomes[2]);
            }
        }
        if got == wanted { Ok(()) } else { Err(format!("accounts {got:?}, expected {wanted:?}")) }
    }
}
