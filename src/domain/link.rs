//! What a link in a mail can do. Each works once or until it expires; opening it never changes anything.

word_enum! {
    "kebab-case";
    /// The act behind a link; the word in `/e/{action}/{token}`.
    pub enum LinkAction {
        /// Show that the address is one's own.
        VerifyEmail,
        /// Set a new password.
        ResetPassword,
        /// Accept an invitation: set a password, accept the terms.
        Invitation,
        /// Give one's place back.
        NotToday,
        /// Say yes to a place that is offered, or free at short notice.
        TakePlace,
        /// Let an offered place go, and stay in the line.
        LetPlaceGo,
        /// Say that one still comes.
        StillComing,
        /// Say that one was there, after having been marked as missing.
        WasThere,
        /// Say yes to somebody's request.
        ApproveRequest,
        /// Say no to somebody's request.
        DeclineRequest,
        /// As the facilitator: run with the one person who comes.
        RunAsTwo,
        /// Step down from a run one leads.
        CannotLead,
        /// Agree to lead a run together.
        LeadTogether,
        /// Object to a decision about oneself.
        Appeal,
        /// Say after a run that it was too fast.
        PaceTooFast,
        /// Say after a run that the pace was right.
        PaceRight,
        /// Say after a run that it was too slow.
        PaceTooSlow,
        /// Tell the team after a run that one did not feel safe.
        FeltUnsafe,
        /// Ask after a run that somebody gets in touch.
        ContactMe,
        /// No more reminders.
        NoReminders,
        /// No more mails about runs that fit one's match requests.
        NoAlerts,
        /// Take one match request back.
        StopLooking,
        /// Let a match request stand as long again.
        KeepLooking,
    }
}

impl LinkAction {
    /// Whether it is used up by its act. The others are about one sign-up, run or wish for good, so whoever taps twice on a
    /// bad connection reads twice that it is done.
    pub fn works_once(self) -> bool {
        matches!(
            self,
            Self::VerifyEmail
                | Self::ResetPassword
                | Self::Invitation
                | Self::CannotLead
                | Self::LeadTogether
                | Self::Appeal
        )
    }

    /// Whether it says yes to a run at its start and place: it works while these are what the mail asked about.
    pub fn says_yes_to_a_run(self) -> bool {
        matches!(self, Self::TakePlace | Self::StillComing | Self::RunAsTwo | Self::LeadTogether)
    }

    /// How long such a link works, in hours; those about a run end with it, or two weeks after it, instead.
    pub fn hours(self) -> i64 {
        match self {
            Self::VerifyEmail => 48,
            Self::ResetPassword => 1,
            Self::Invitation => 30 * 24,
            // A mark can be undone for as long.
            Self::WasThere => 7 * 24,
            Self::NotToday
            | Self::TakePlace
            | Self::LetPlaceGo
            | Self::StillComing
            | Self::ApproveRequest
            | Self::DeclineRequest
            | Self::RunAsTwo
            | Self::CannotLead
            | Self::LeadTogether
            | Self::PaceTooFast
            | Self::PaceRight
            | Self::PaceTooSlow
            | Self::FeltUnsafe
            | Self::ContactMe => 70 * 24,
            Self::Appeal | Self::NoReminders | Self::NoAlerts | Self::StopLooking | Self::KeepLooking => 180 * 24,
        }
    }
}
