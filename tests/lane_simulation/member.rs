//! An instance of the service: its disk, its clock and, while it runs, the real lane.

use super::broker::Broker;
use super::plan::{Fate, Killed};
use super::sink::{SimulatedSink, SimulatedStore};
use super::source::{SimulatedReference, SimulatedSource, Wire};
use fragility::clock::{Clock, ManualClock};
use fragility::config::{Config, DeliveryMode};
use fragility::domain::UnixNanos;
use fragility::engine::Engine;
use fragility::lane::{Lane, LaneError, LaneParts, Role, Shared};
use fragility::sources::ReferenceLog;
use fragility::stores::SnapshotStore;
use fragility::telemetry::Metrics;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// When worlds begin.
pub(crate) const BEGINNING: UnixNanos = UnixNanos(1_736_175_600_000_000_000);

/// One instance.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) store: Arc<SimulatedStore>,
    /// What all instances keep snapshots in beside their disks, if there is such a place.
    pub(crate) common: Option<Arc<SimulatedStore>>,
    pub(crate) clock: ManualClock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) lane: Option<Lane>,
    /// Client number of the running lane.
    pub(crate) client: usize,
    /// Does nothing before this moment.
    pub(crate) until: i64,
    /// Stands still with its lane in memory.
    pub(crate) is_stopped: bool,
    /// Another process runs under its name.
    pub(crate) is_replaced: bool,
    /// Is not started again.
    pub(crate) is_retired: bool,
}

/// What became of a turn.
pub(crate) enum Turned {
    Fine,
    Failed(String),
    Killed,
}

thread_local! {
    /// Metrics are costly to make, and a lane begins with counting anew.
    static SHARED: RefCell<Vec<Arc<Shared>>> = const { RefCell::new(Vec::new()) };
}

fn shared(number: usize) -> Arc<Shared> {
    SHARED.with_borrow_mut(|all| {
        while all.len() <= number {
            let shared = Shared::new(Arc::new(Metrics::new().unwrap()), 1);
            shared.health.heard();
            all.push(Arc::new(shared));
        }
        all[number].metrics.recount(0, &fragility::domain::Accounts::default());
        all[number].clone()
    })
}

impl Instance {
    pub(crate) fn new(number: usize, store: SimulatedStore, broker: &Rc<RefCell<Broker>>) -> Self {
        let clock = ManualClock::new(BEGINNING);
        let mut broker = broker.borrow_mut();
        broker.clocks.push(clock.clone());
        Self {
            name: format!("instance-{number}"),
            store: Arc::new(store),
            common: None,
            clock,
            shared: shared(number),
            lane: None,
            client: 0,
            until: broker.now,
            is_stopped: false,
            is_replaced: false,
            is_retired: false,
        }
    }

    /// Puts a lane together, as the service does.
    pub(crate) fn start(&mut self, config: &Arc<Config>, reference: &[Vec<u8>], wire: Wire) {
        self.client = wire.client;
        let name = (config.delivery == DeliveryMode::ExactlyOnce).then(|| format!("{}-0", self.name));
        let reference = (!reference.is_empty()).then(|| {
            let reader = SimulatedReference { wire: wire.clone(), records: reference.to_vec(), next: 0 };
            Box::new(reader) as Box<dyn ReferenceLog>
        });
        let lane = Lane::new(LaneParts {
            role: Role::Symbols,
            number: 0,
            instance: self.name.clone(),
            config: config.clone(),
            shared: self.shared.clone(),
            clock: Clock::Manual(self.clock.clone()),
            engine: Engine::new(config.params.clone()),
            source: Box::new(SimulatedSource::new(wire.clone())),
            reference,
            sink: Box::new(SimulatedSink::new(wire, name)),
            store: self.store.clone(),
            shared_store: self.common.clone().map(|store| store as Arc<dyn SnapshotStore>),
            census_store: self.common.clone().map(|store| store as Arc<dyn SnapshotStore>),
            writes_aside: false,
        });
        self.lane = Some(lane.unwrap());
    }

    /// One turn, or the last one; after a failure or a kill the lane is gone.
    pub(crate) fn turn(&mut self, is_last: bool, broker: &Rc<RefCell<Broker>>) -> Result<Turned, String> {
        let Some(mut lane) = self.lane.take() else { return Ok(Turned::Fine) };
        let act = || -> Result<Option<Lane>, LaneError> {
            if is_last {
                let stopped = lane.stop();
                lane.close();
                return stopped.map(|()| None);
            }
            match lane.turn() {
                Ok(()) => Ok(Some(lane)),
                Err(error) => {
                    lane.close();
                    Err(error)
                }
            }
        };
        let done = catch_unwind(AssertUnwindSafe(act));
        let turned = match done {
            Ok(Ok(Some(lane))) => {
                self.lane = Some(lane);
                return Ok(Turned::Fine);
            }
            Ok(Ok(None)) => Turned::Fine,
            Ok(Err(error)) => Turned::Failed(error.to_string()),
            Err(payload) if payload.is::<Killed>() => Turned::Killed,
            Err(payload) => return Err(format!("{}: the lane broke off: {}", self.name, message(&*payload))),
        };
        self.gone(broker);
        Ok(turned)
    }

    /// The process is killed between two turns.
    pub(crate) fn kill(&mut self, broker: &Rc<RefCell<Broker>>) {
        if self.lane.take().is_some() {
            self.gone(broker);
        }
        self.is_stopped = false;
    }

    fn gone(&mut self, broker: &Rc<RefCell<Broker>>) {
        broker.borrow_mut().cut(self.client, self.client);
        // A process that starts counts from nothing.
        self.shared.metrics.recount(0, &fragility::domain::Accounts::default());
    }

    /// `records_in` is the sum of outcomes and of what waits.
    pub(crate) fn check_accounts(&self) -> Result<(), String> {
        let metrics = &self.shared.metrics;
        let (taken, outcomes) = (metrics.taken(), metrics.outcomes());
        let waiting = u64::try_from(metrics.quarantined.get()).unwrap();
        let sum = outcomes.iter().sum::<u64>() + waiting;
        if taken == sum {
            Ok(())
        } else {
            Err(format!("{}: {taken} records taken, {outcomes:?} and {waiting} waiting", self.name))
        }
    }
}

/// A fresh plan for an instance's disk is the world's.
pub(crate) fn disk(fate: &Fate, broker: &Rc<RefCell<Broker>>) -> SimulatedStore {
    SimulatedStore::new(fate.clone(), broker.borrow().sabotage)
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_owned()
}
