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
        /// Step down from a run one leads.
        CannotLead,
        /// Agree to lead a run together.
        LeadTogether,
        /// Object to a decision about oneself.
        Appeal,
        /// No more reminders.
        NoReminders,
    }
}

impl LinkAction {
    /// How long such a link works, in hours; those about a run end with it instead.
    pub fn hours(self) -> i64 {
        match self {
            Self::VerifyEmail => 48,
            Self::ResetPassword => 1,
            Self::Invitation => 30 * 24,
            Self::NotToday | Self::CannotLead | Self::LeadTogether => 70 * 24,
            Self::Appeal | Self::NoReminders => 180 * 24,
        }
    }
}
