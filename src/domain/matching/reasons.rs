//! The words of matching: why a run fits, and why it is not shown.
//!
//! Second person, short, kind; read after "fits you because". Invariant: no word tells more than the numbers of the
//! fit do: distances in whole kilometres from the area, never anyone's pace, never how many come.

use std::{borrow::Cow, sync::LazyLock};

use serde::Serialize;

use super::{
    Candidate, Exclusion, Person,
    fit::{faster_by, needs_gentler, unsaid_needs},
};
use crate::domain::{pace::Activity, vocabulary::access};

word_enum! {
    "snake_case";
    /// Which reason it is: stable, for programs.
    pub enum ReasonCode {
        /// The group's pace is one at which the person can chat.
        PaceFits,
        /// The group's pace is in the faster half of the person's band.
        PaceAtQuickEnd,
        /// The group is faster than the band.
        PaceFaster,
        /// The group is slower than the band.
        PaceSlower,
        /// The person gave no pace, and here none is needed.
        NoPaceNeeded,
        /// The person gave a pace for running and none for walking.
        WalkingPaceNotSaid,
        /// How far it is.
        Distance,
        /// The whole run lies in the person's hours.
        TimeFits,
        /// Some or all of it does not.
        TimeOutsideHours,
        /// Nobody will be alone at the back.
        Company,
        /// A facilitator the person has run with before.
        KnownFace,
        /// Not the gentle start that was asked for.
        NotGentle,
        /// The run does not say something about access that the person needs.
        AskAboutAccess,
        /// No place left at the moment.
        Full,
    }
}

/// One plain-word reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Reason {
    /// Stable, for programs.
    pub code: ReasonCode,
    /// For people, in the second person, without a full stop.
    #[schema(example = "the group's pace is one at which you can chat")]
    #[schema(value_type = String)]
    pub text: Cow<'static, str>,
}

/// Past this logarithm of the ratio of paces "a little" is left out: 10%, where other runs are not shown any more.
const MORE_THAN_A_LITTLE: f64 = 0.10;

impl Reason {
    fn new(code: ReasonCode, text: impl Into<Cow<'static, str>>) -> Reason {
        Reason { code, text: text.into() }
    }

    /// All reasons, the weightiest first. `km` is how far it is, `time` and `company` are parts of the fit.
    pub(super) fn list(person: &Person, run: &Candidate<'_>, km: f64, time: f64, company: Option<f64>) -> Vec<Reason> {
        let mut reasons = Vec::with_capacity(4);
        reasons.push(pace(person, run));
        reasons.push(Reason::new(ReasonCode::Distance, distance(km)));
        if !person.availability.is_empty() {
            reasons.push(match time {
                t if t >= 1.0 => Reason::new(ReasonCode::TimeFits, "it is at a time when you can come"),
                t if t > 0.0 => Reason::new(ReasonCode::TimeOutsideHours, "part of it is outside the hours you gave"),
                _ => Reason::new(ReasonCode::TimeOutsideHours, "it is outside the hours you gave"),
            });
        }
        if company == Some(1.0) {
            reasons.push(Reason::new(ReasonCode::Company, "you will not be alone at the back"));
        }
        if run.known_face {
            let text = "you have run with one of its facilitators before";
            reasons.push(Reason::new(ReasonCode::KnownFace, text));
        }
        if needs_gentler(person, run) {
            let text = "for a gentle start, a walk, a run-walk or a group that waits may suit you better";
            reasons.push(Reason::new(ReasonCode::NotGentle, text));
        }
        reasons.extend(
            unsaid_needs(person, run)
                .map(|need| Reason::new(ReasonCode::AskAboutAccess, format!("ask about {}", access::in_words(need)))),
        );
        if run.is_full {
            let text = if run.has_waiting {
                "it is full and others are waiting; you can join the line"
            } else {
                "it is full at the moment; you would be first in line"
            };
            reasons.push(Reason::new(ReasonCode::Full, text));
        }
        reasons
    }
}

fn pace(person: &Person, run: &Candidate<'_>) -> Reason {
    let Some(mine) = person.pace_for(run.activity) else {
        if run.activity == Activity::Walk && person.comfortable_pace.is_some() {
            return Reason::new(ReasonCode::WalkingPaceNotSaid, "you have not said how fast you walk");
        }
        let text = match run.activity {
            _ if run.no_drop => "you need not know your pace; the group waits for everyone",
            Activity::Walk => "you need not know your pace for a walk",
            Activity::RunWalk => "you need not know your pace; there are walking breaks",
            Activity::Run => "you have not said yet at which pace you can chat",
        };
        return Reason::new(ReasonCode::NoPaceNeeded, text);
    };
    let faster = faster_by(mine, run.pace);
    let is_little = faster.abs() <= MORE_THAN_A_LITTLE;
    if faster > 0.0 {
        let text = match (is_little, run.no_drop) {
            (true, true) => "a little faster than you like; the group waits for everyone",
            (true, false) => "a little faster than you like",
            (false, true) => "faster than you like; the group waits for everyone",
            (false, false) => "faster than you like",
        };
        Reason::new(ReasonCode::PaceFaster, text)
    } else if faster < 0.0 {
        let text = if is_little {
            "a little slower than your usual pace, with breath to spare"
        } else {
            "slower than your usual pace, with breath to spare"
        };
        Reason::new(ReasonCode::PaceSlower, text)
    } else if run.pace.in_order().1 >= mine.middle() {
        Reason::new(ReasonCode::PaceFits, "the group's pace is one at which you can chat")
    } else {
        let text = if run.no_drop {
            "at the quicker end of the pace at which you can chat; the group waits for everyone"
        } else {
            "at the quicker end of the pace at which you can chat"
        };
        Reason::new(ReasonCode::PaceAtQuickEnd, text)
    }
}

fn distance(km: f64) -> Cow<'static, str> {
    match km.round() {
        whole if whole >= 1.0 => {
            let whole = whole as usize;
            USUAL_DISTANCES.get(whole).map_or_else(|| kilometres(whole).into(), |words| Cow::from(words.as_str()))
        }
        _ => "in or near your area".into(),
    }
}

/// As far as anybody travels.
static USUAL_DISTANCES: LazyLock<Vec<String>> = LazyLock::new(|| (0..=50).map(kilometres).collect());

fn kilometres(whole: usize) -> String {
    format!("about {whole} km from your area")
}

impl Exclusion {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Activity => "activity_not_wanted",
            Self::TooFar => "too_far",
            Self::TooFast => "too_fast",
            Self::Language => "no_common_language",
            Self::Access(_) => "access_not_met",
            Self::AfterDark => "after_dark",
            Self::PaceNotSureYet => "pace_not_sure_yet",
            Self::FarFromPace => "far_from_your_pace",
            Self::OutsideHours => "outside_your_hours",
            Self::PoorFit => "poor_fit",
            Self::Full => "run_full",
            Self::NotOpenToYou => "run_not_open_to_you",
        }
    }

    /// Why the run is not shown and what would change that, in whole sentences.
    pub fn in_words(&self, person: &Person, run: &Candidate<'_>) -> String {
        let kind = run.activity.in_words();
        match self {
            Self::Activity => format!("This is a {kind}, which is not among the activities you chose."),
            Self::TooFar => format!(
                "It is further from your area than the {:.0} km you are ready to travel.",
                person.travel_radius_km.max(0.0)
            ),
            Self::TooFast => "The group is faster than the pace at which you can chat. \
                A group that waits for everyone may suit you."
                .to_owned(),
            Self::Language => "The group speaks none of the languages you named.".to_owned(),
            Self::Access(need) => format!("You need {}, and this {kind} cannot offer it.", access::in_words(need)),
            Self::AfterDark => format!("Part of this {kind} is after dark, and you asked for daylight."),
            Self::PaceNotSureYet => {
                "You have not said yet at which pace you can chat. Until then walks, run-walks and \
                groups that wait for everyone are shown."
                    .to_owned()
            }
            Self::FarFromPace => {
                let faster = person.pace_for(run.activity).is_some_and(|mine| faster_by(mine, run.pace) > 0.0);
                match (faster, run.no_drop) {
                    (true, true) => {
                        "The group is much faster than the pace at which you can chat, although it waits for everyone."
                    }
                    (true, false) => "The group is faster than the pace at which you can chat.",
                    (false, _) => "The group is much slower than the pace at which you can chat.",
                }
                .to_owned()
            }
            Self::OutsideHours => format!(
                "Less than three quarters of this {kind} lies in the hours you gave. Such ones are shown at the end, and only \
                 where fewer than three others fit."
            ),
            Self::PoorFit => {
                format!("Pace, distance and the rest together fit too little for this {kind} to be a match.")
            }
            Self::Full => format!("This {kind} is full. You can ask to see full ones and join the line."),
            Self::NotOpenToYou => format!("This {kind} is not open to you."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::matching::{
        fit,
        tests::{band, person, run_at},
    };

    fn texts(person: &Person, run: &Candidate<'_>) -> Vec<String> {
        fit(person, run).reasons.into_iter().map(|reason| reason.text.into_owned()).collect()
    }

    #[test]
    fn a_good_match_says_why() {
        let run = Candidate { confirmed: 6, alike_or_back_marker: true, known_face: true, ..run_at(2.2) };
        let words = [
            "the group's pace is one at which you can chat",
            "about 2 km from your area",
            "you will not be alone at the back",
            "you have run with one of its facilitators before",
        ];
        assert_eq!(texts(&person(), &run), words);
    }

    #[test]
    fn pace_is_told_kindly() {
        let first = |person: &Person, run: &Candidate<'_>| texts(person, run).remove(0);
        let faster = Candidate { pace: band(330, 350), no_drop: true, ..run_at(1.0) };
        assert_eq!(first(&person(), &faster), "a little faster than you like; the group waits for everyone");
        let much = Candidate { pace: band(280, 300), ..faster };
        assert_eq!(first(&person(), &much), "faster than you like; the group waits for everyone");
        let slower = Candidate { pace: band(420, 440), ..run_at(1.0) };
        assert_eq!(first(&person(), &slower), "a little slower than your usual pace, with breath to spare");
        let quick = Candidate { pace: band(350, 370), ..run_at(1.0) };
        assert_eq!(first(&person(), &quick), "at the quicker end of the pace at which you can chat");
        let unsure = Person { comfortable_pace: None, ..person() };
        let waits = Candidate { no_drop: true, ..run_at(1.0) };
        assert_eq!(first(&unsure, &waits), "you need not know your pace; the group waits for everyone");
    }

    #[test]
    fn what_is_unsaid_is_a_question_to_ask() {
        let asks = Person {
            languages: vec!["en".into()],
            access_needs: vec!["step_free".into(), "accessible_toilet".into()],
            ..person()
        };
        let words = ["ask about step-free access", "ask about an accessible toilet"];
        assert_eq!(texts(&asks, &run_at(0.2))[2..], words);
        assert_eq!(texts(&asks, &run_at(0.2))[1], "in or near your area");
    }

    #[test]
    fn company_is_told_from_five_on_and_never_as_a_lack() {
        let codes = |confirmed, alike_or_back_marker| {
            let run = Candidate { confirmed, alike_or_back_marker, ..run_at(1.0) };
            fit(&person(), &run).reasons.iter().any(|reason| reason.code == ReasonCode::Company)
        };
        assert!(codes(5, true) && !codes(4, true) && !codes(5, false));
    }

    #[test]
    fn hours_are_told_when_some_were_given() {
        let window = r#"{"weekday":"tue","from":"18:30","to":"21:00"}"#;
        let me = Person { availability: vec![serde_json::from_str(window).unwrap()], ..person() };
        assert_eq!(texts(&me, &run_at(1.0))[2], "part of it is outside the hours you gave");
    }

    #[test]
    fn causes_are_explained_save_the_one() {
        let (me, run) = (person(), run_at(12.3));
        let words = Exclusion::TooFar.in_words(&me, &run);
        assert_eq!(words, "It is further from your area than the 10 km you are ready to travel.");
        let need = Exclusion::Access("step_free".into());
        assert_eq!(need.in_words(&me, &run), "You need step-free access, and this run cannot offer it.");
        assert_eq!(Exclusion::NotOpenToYou.code(), "run_not_open_to_you");
        assert_eq!(Exclusion::NotOpenToYou.in_words(&me, &run), "This run is not open to you.");
    }
}
