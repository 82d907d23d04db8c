//! What goes wrong, and when: drawn from the seed, or at one chosen operation.

use super::dice::Dice;
use std::sync::{Arc, Mutex, MutexGuard};

/// An operation that a lane asks of the world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Operation {
    Poll,
    Join,
    Standing,
    Start,
    Seek,
    Release,
    Pause,
    Commit,
    Begin,
    Send,
    SealRecords,
    SealOffsets,
    SealEnd,
    Settled,
    Drain,
    Renew,
    Reference,
    StoreRead,
    StoreWrite,
    Ask,
    Aside,
    Recall,
}

/// What becomes of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It is done.
    None,
    /// It fails and is not done.
    Refused,
    /// It is done, and its answer is a failure.
    Unanswered,
    /// The process is gone before it.
    CrashBefore,
    /// The process is gone after it.
    CrashAfter,
    /// It takes long, and others go on meanwhile.
    Stall,
}

/// How a process that is killed unwinds: nothing of the lane runs after it but drops.
pub(crate) struct Killed;

pub(crate) fn kill() -> ! {
    std::panic::resume_unwind(Box::new(Killed))
}

/// Decides for each operation.
pub(crate) struct Plan {
    dice: Dice,
    /// Faults in ten thousand operations.
    pub(crate) rate: u64,
    /// The one operation that fails, counted from 0, and how.
    pub(crate) at: Option<(u64, Fault)>,
    pub(crate) operations: u64,
    pub(crate) faults: u64,
    pub(crate) last: Option<Operation>,
}

/// The plan as everything in a world shares it.
#[derive(Clone)]
pub(crate) struct Fate(Arc<Mutex<Plan>>);

impl Fate {
    pub(crate) fn new(dice: Dice, rate: u64, at: Option<(u64, Fault)>) -> Self {
        Self(Arc::new(Mutex::new(Plan { dice, rate, at, operations: 0, faults: 0, last: None })))
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap()
    }

    /// Nothing goes wrong any more.
    pub(crate) fn quiet(&self) {
        let mut plan = self.plan();
        plan.rate = 0;
        plan.at = None;
    }

    /// Faults in ten thousand operations from here on; how many there were.
    pub(crate) fn set_rate(&self, rate: u64) -> u64 {
        std::mem::replace(&mut self.plan().rate, rate)
    }

    /// What becomes of the operation at hand.
    pub(crate) fn draw(&self, operation: Operation) -> Fault {
        let mut guard = self.plan();
        let plan = &mut *guard;
        let number = plan.operations;
        plan.operations += 1;
        let fault = match plan.at {
            Some((at, fault)) if at == number => fault,
            Some(_) => Fault::None,
            None if plan.rate == 0 || plan.dice.below(10_000) >= plan.rate => Fault::None,
            None => match (operation, plan.dice.below(10)) {
                // Asked all the time: a failure of these would leave no room for others.
                (Operation::Poll | Operation::Settled, 0..=6) => Fault::None,
                (_, 0..=2) => Fault::Refused,
                (_, 3..=4) => Fault::Unanswered,
                (_, 5) => Fault::CrashBefore,
                (_, 6) => Fault::CrashAfter,
                _ => Fault::Stall,
            },
        };
        if fault != Fault::None {
            plan.faults += 1;
            plan.last = Some(operation);
        }
        fault
    }
}
