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
    pub const ALL: [(Self, &'static str); 20] = [
        (Self::AnswersBeforeTheConfirm, "the receiver answers before the confirm"),
        (Self::AcknowledgesWhatItTakes, "a message is acknowledged when it is taken"),
        (Self::AcknowledgesBeforeMarking, "a message is acknowledged before the mark is known to be made"),
        (Self::ClaimsWithoutAToken, "claims have no token of their own"),
        (Self::NearestAnchor, "a receipt belongs to the nearest anchor, not to the first"),
        (Self::ReplayIsAnyCopy, "a replay is judged as any other copy"),
        (Self::LeaseBelowTheDeadline, "the lease is shorter than a publish may take"),
        (Self::OccurrenceIgnored, "equal content is one event, however far apart"),
        (Self::DoneIsOverwritten, "a mark that comes late overwrites done"),
        (Self::DelayedCopyUnconfirmed, "the delayed copy is confirmed after the acknowledgement"),
        (Self::ParkedCopyUnconfirmed, "the parked copy is confirmed after the acknowledgement"),
        (Self::KeepsASilentConnection, "a publisher keeps a connection on which nothing is confirmed"),
        (Self::TwoReceiversClocks, "occurrences are judged by two receivers' own clocks"),
        (Self::NoTurnsWithinADelivery, "two workers publish updates of one delivery at once"),
        (Self::OvertakenIsForgotten, "an update does not know that a newer one was claimed before it"),
        (Self::RepeatSaysAnother, "a repeat has a sequence number of its own"),
        (Self::OutageSpendsAttempts, "an outage of the broker counts as a refusal"),
        (Self::ReleaseIsDone, "a released claim counts as done"),
        (Self::ReplayTakesOffFirst, "a replay takes the message off the parked queue before the confirm"),
        (Self::SecretIsKept, "a body is stored with its credential"),
    ];
}
