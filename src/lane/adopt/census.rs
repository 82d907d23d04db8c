//! Which symbols others' partitions have, as far as snapshots tell.
//!
//! A symbol may go on in another partition though their number stays: another partitioner, another key, a rename. What says
//! so is that another partition's snapshot knows it.

use crate::engine::{Digests, Elsewhere, digest};
use crate::lane::snapshots::Snapshots;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// What snapshots know of symbols.
#[derive(Default)]
pub(in crate::lane) struct Census {
    /// Names known in each partition. The lane's own are among them: what was restored may be older than what another
    /// machine has written since.
    known: Vec<(i32, Digests)>,
    /// Symbols that both one of the lane's own partitions and one of others has: how far they have come there.
    pub(in crate::lane) doubled: Vec<Elsewhere>,
}

/// What a census is to be taken of: the lane's own partitions, and those of others.
pub(in crate::lane) struct Wanted {
    pub(in crate::lane) own: Vec<i32>,
    pub(in crate::lane) others: Vec<i32>,
}

impl Census {
    fn take(snapshots: &Snapshots, wanted: &Wanted) -> io::Result<Self> {
        let mut own = Digests::default();
        let Self { mut known, mut doubled } = Self::default();
        for partition in &wanted.own {
            // One at a time: a million symbols are half a gigabyte.
            snapshots.look_at(*partition, true, &mut |image| {
                own.extend(image.names(false));
                // It may be someone else's by the time that it is asked about.
                known.push((*partition, image.names(true)));
            })?;
        }
        for partition in &wanted.others {
            snapshots.look_at(*partition, false, &mut |image| {
                known.push((*partition, image.names(true)));
                doubled.extend(image.progress_of(&own));
            })?;
        }
        Ok(Self { known, doubled })
    }

    /// Whether another partition knows a symbol.
    pub(in crate::lane) fn knows(&self, symbol: &str, partition: i32) -> bool {
        let digest = digest(symbol);
        self.known.iter().any(|(other, names)| *other != partition && names.contains(&digest))
    }
}

/// Takes a census, one at a time.
pub(in crate::lane) enum Clerk {
    /// At once, when asked: for simulations.
    Inline(Box<Snapshots>, Option<io::Result<Census>>),
    /// On a thread of its own, which ends with the lane.
    Thread(SyncSender<Wanted>, Receiver<io::Result<Census>>),
}

impl Clerk {
    pub(in crate::lane) fn inline(snapshots: Snapshots) -> Self {
        Self::Inline(Box::new(snapshots), None)
    }

    pub(in crate::lane) fn thread(snapshots: Snapshots) -> io::Result<Self> {
        let (ask, asked) = sync_channel::<Wanted>(1);
        let (tell, told) = sync_channel(1);
        std::thread::Builder::new().name("census".into()).spawn(move || {
            for wanted in asked {
                if tell.send(Census::take(&snapshots, &wanted)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self::Thread(ask, told))
    }

    /// Asks for one; the answer before has been heard.
    pub(in crate::lane) fn ask(&mut self, wanted: Wanted) {
        match self {
            Self::Inline(snapshots, answer) => *answer = Some(Census::take(snapshots, &wanted)),
            // It has room: it is asked for one at a time.
            Self::Thread(ask, _) => drop(ask.try_send(wanted)),
        }
    }

    /// The answer, once it is there.
    pub(in crate::lane) fn answer(&mut self) -> Option<io::Result<Census>> {
        match self {
            Self::Inline(_, answer) => answer.take(),
            Self::Thread(_, told) => match told.try_recv() {
                Ok(answer) => Some(answer),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Err(io::Error::other("the census broke off"))),
            },
        }
    }
}
