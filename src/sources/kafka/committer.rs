//! Commits of offsets, one at a time, on a thread beside the lane.
//!
//! librdkafka tells the outcome of an asynchronous commit to a callback, and not to a client that takes events, as ours
//! does: nobody would learn what the group has kept. A synchronous one tells it, and without a broker it waits for ever,
//! so it is not the lane that waits.

use crate::sources::SourceError;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tracing::warn;

/// Commits with no answer yet that a further one is still put behind.
const MAX_UNANSWERED: usize = 4;

struct Job {
    offsets: TopicPartitionList,
    done: SyncSender<Result<(), KafkaError>>,
}

/// Hands commits to its thread.
pub(super) struct Committer {
    jobs: Sender<Job>,
    unanswered: Arc<AtomicUsize>,
    /// Disconnected when the thread has ended.
    ended: Receiver<()>,
}

impl Committer {
    /// `confirm` is called with each list that the group has kept.
    pub(super) fn new<C: ConsumerContext + 'static>(
        consumer: &Arc<BaseConsumer<C>>,
        confirm: fn(&C, &TopicPartitionList),
    ) -> Result<Self, SourceError> {
        let (jobs, queue) = channel::<Job>();
        let (end, ended) = sync_channel(0);
        // The group is left when the last owner of the client goes, and that should be the lane.
        let consumer: Weak<BaseConsumer<C>> = Arc::downgrade(consumer);
        let unanswered = Arc::new(AtomicUsize::new(0));
        let left = unanswered.clone();
        let run = move || {
            let _end: SyncSender<()> = end;
            while let Ok(Job { offsets, done }) = queue.recv() {
                let Some(consumer) = consumer.upgrade() else { return };
                let answer = consumer.commit(&offsets, CommitMode::Sync);
                match &answer {
                    Ok(()) => confirm(consumer.context(), &offsets),
                    // There was nothing new to keep.
                    Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) => {}
                    Err(error) => warn!(%error, "offset commit failed; the next one repeats it"),
                }
                drop(consumer);
                left.fetch_sub(1, Ordering::Release);
                let _ = done.try_send(answer);
            }
        };
        let spawned = std::thread::Builder::new().name("commits".into()).spawn(run);
        spawned.map_err(|e| SourceError(format!("commits: {e}")))?;
        Ok(Self { jobs, unanswered, ended })
    }

    /// Sends offsets behind those on their way and waits so long for the answer. Without a wait nothing is sent as long
    /// as an answer is missing: what is not confirmed is asked for again.
    pub(super) fn commit(&self, offsets: TopicPartitionList, wait: Option<Duration>) -> Result<(), SourceError> {
        let unanswered = self.unanswered.load(Ordering::Acquire);
        if wait.is_none() && unanswered > 0 {
            return Ok(());
        }
        if unanswered >= MAX_UNANSWERED {
            return Err(SourceError(format!("commit: {unanswered} before it have no answer")));
        }
        self.unanswered.fetch_add(1, Ordering::AcqRel);
        let (done, answer) = sync_channel(1);
        let sent = self.jobs.send(Job { offsets, done });
        sent.map_err(|_| SourceError("commit: its thread has ended".into()))?;
        let Some(timeout) = wait else { return Ok(()) };
        let answer = answer.recv_timeout(timeout);
        let answer = answer.map_err(|_| SourceError(format!("commit: no answer within {timeout:?}")))?;
        answer.map_err(|e| SourceError(format!("commit: {e}")))
    }

    /// Lets the thread end, and waits for it that long: what it still holds keeps the group from being left.
    pub(super) fn close(self, timeout: Duration) {
        drop(self.jobs);
        let _ = self.ended.recv_timeout(timeout);
    }
}
