//! What a test breaks to see that it is noticed.

/// One way to break a world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Sabotage {
    #[default]
    None,
    /// A commit of a member that was given up is taken.
    NoGroupFence,
    /// A client that was told that it is out proves membership as nobody, and the coordinator takes that for a
    /// producer without a group.
    ProofOfNobody,
    /// A new producer of a name leaves the old one's transaction open.
    NoProducerFence,
    /// Records are acknowledged and not kept.
    LosesRecords,
    /// Readers are shown open and aborted transactions.
    ShowsUncommitted,
    /// Acknowledges before records arrive.
    AcknowledgesEarly,
    /// A commit is confirmed and not kept.
    ForgetsCommits,
    /// The log hands a record out twice as if it were two.
    RepeatsInput,
    /// The log leaves a record out.
    SkipsInput,
    /// Snapshots reflect a later offset than they say.
    ForgedOffset,
    /// Snapshots of one partition are given out as another's.
    WrongName,
    /// The groups' snapshots are gone whenever they are asked for.
    LosesGroups,
    /// Snapshots are those of the build before, or of the one after: their layout has another number.
    OlderLayout,
    NewerLayout,
    /// Offsets of a commit are moved on by one.
    CommitsAhead,
    /// A transaction keeps its records and loses its offsets, when its producer is gone.
    ForgetsOffsets,
    /// The same, and what was said cannot be read.
    ForgetsOffsetsUnread,
}

impl Sabotage {
    pub(crate) fn forgets_offsets(self) -> bool {
        matches!(self, Self::ForgetsOffsets | Self::ForgetsOffsetsUnread)
    }
}
