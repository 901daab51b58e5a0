//! Bugs that the simulation has to find. Each is a port that breaks one promise; `src` has none of them.

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Planted {
    AnswersBeforeTheConfirm,
    AcknowledgesWhatItTakes,
    AcknowledgesBeforeMarking,
    ClaimsWithoutAToken,
    NearestAnchor,
    ReplayIsAnyCopy,
    LeaseBelowTheDeadline,
    OccurrenceIgnored,
    DoneIsOverwritten,
    DelayedCopyUnconfirmed,
    ParkedCopyUnconfirmed,
    KeepsASilentConnection,
    TwoReceiversClocks,
    NoTurnsWithinADelivery,
    OvertakenIsForgotten,
    RepeatSaysAnother,
    OutageSpendsAttempts,
    ReleaseIsDone,
    ReplayTakesOffFirst,
    SecretIsKept,
}

impl Planted {
    /// Each with the first seed that finds it, which another tests/sim/plan.rs changes (`make simulate PLANTED=1 FROM=1`).
    pub const ALL: [(Self, u64, &'static str); 20] = [
        (Self::AnswersBeforeTheConfirm, 3, "the receiver answers before the confirm"),
        (Self::AcknowledgesWhatItTakes, 1, "a message is acknowledged when it is taken"),
        (Self::AcknowledgesBeforeMarking, 1, "a message is acknowledged before the mark is known to be made"),
        (Self::ClaimsWithoutAToken, 9, "claims have no token of their own"),
        (Self::NearestAnchor, 1098, "a receipt belongs to the nearest anchor, not to the first"),
        (Self::ReplayIsAnyCopy, 2, "a replay is judged as any other copy"),
        (Self::LeaseBelowTheDeadline, 2, "the lease is shorter than a publish may take"),
        (Self::OccurrenceIgnored, 2, "equal content is one event, however far apart"),
        (Self::DoneIsOverwritten, 231, "a mark that comes late overwrites done"),
        (Self::DelayedCopyUnconfirmed, 2, "the delayed copy is confirmed after the acknowledgement"),
        (Self::ParkedCopyUnconfirmed, 16, "the parked copy is confirmed after the acknowledgement"),
        (Self::KeepsASilentConnection, 671, "a publisher keeps a connection on which nothing is confirmed"),
        (Self::TwoReceiversClocks, 2, "occurrences are judged by two receivers' own clocks"),
        (Self::NoTurnsWithinADelivery, 1, "two workers publish updates of one delivery at once"),
        (Self::OvertakenIsForgotten, 9, "an update does not know that a newer one was claimed before it"),
        (Self::RepeatSaysAnother, 1, "a repeat has a sequence number of its own"),
        (Self::OutageSpendsAttempts, 6, "an outage of the broker counts as a refusal"),
        (Self::ReleaseIsDone, 153, "a released claim counts as done"),
        (
            Self::ReplayTakesOffFirst,
            105,
            "a replay takes the message off the parked queue before the confirm",
        ),
        (Self::SecretIsKept, 8, "a body is stored with its credential"),
    ];
}
