//! Access needs: what a place, a route or a group can offer to somebody who needs it, and what a run says about each.

use std::{borrow::Cow, collections::BTreeMap};

use super::Word;
use crate::domain::run::YesNo;

const fn need(code: &'static str, text: &'static str, also: &'static [&'static str]) -> Word {
    Word { code, text, also: Cow::Borrowed(also) }
}

/// Every access need. Our choice, from what access guides of parks, venues and running clubs name most; the texts can
/// follow "you need" and "ask about".
pub static NEEDS: [Word; 14] = [
    need("step_free", "step-free access", &["ramp", "no steps", "no stairs", "lift", "elevator", "level access"]),
    need(
        "wheelchair_route",
        "a route that works for wheelchairs",
        &["wheelchair", "wheelchair accessible", "wheelchair access", "pushchair", "stroller", "buggy"],
    ),
    need("even_ground", "even, firm ground", &["flat", "paved", "smooth surface", "even surface", "firm surface"]),
    need("well_lit", "a well-lit route", &["lighting", "light", "street lights", "lit route"]),
    need("toilet", "a toilet nearby", &["toilets", "wc", "loo", "restroom", "bathroom"]),
    need(
        "accessible_toilet",
        "an accessible toilet",
        &["disabled toilet", "wheelchair toilet", "accessible restroom", "accessible wc"],
    ),
    need(
        "accessible_parking",
        "accessible parking",
        &["parking", "disabled parking", "blue badge parking", "car park", "parking space"],
    ),
    need("seating", "places to sit and rest", &["bench", "benches", "seats", "chairs", "rest stops", "resting places"]),
    need("hearing_loop", "a hearing loop", &["induction loop", "hearing aid", "hard of hearing", "loop"]),
    need("sign_language", "sign language", &["signing", "interpreter", "deaf", "bsl", "asl"]),
    need(
        "guide_runner",
        "a guide runner for blind and partially sighted people",
        &["guide", "sighted guide", "blind", "visually impaired", "tether"],
    ),
    need("assistance_dog", "room for an assistance dog", &["guide dog", "service dog", "dog", "dogs welcome"]),
    need("companion", "room for a companion or carer", &["carer", "caregiver", "personal assistant", "support worker"]),
    need(
        "quiet_place",
        "a quiet place to step away to",
        &["quiet", "calm space", "sensory", "quiet space", "low noise"],
    ),
];

/// A need as it stands in a sentence: "step-free access". One that an older release stored is its code in words.
pub fn in_words(code: &str) -> Cow<'static, str> {
    match NEEDS.iter().find(|need| need.code == code) {
        Some(need) => Cow::Borrowed(need.text),
        None => Cow::Owned(code.replace('_', " ")),
    }
}

/// The answers of a run to a person's access needs, each in words and in the order of the needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    pub has: Vec<String>,
    pub has_not: Vec<String>,
    pub unsaid: Vec<String>,
}

impl Offer {
    /// The offer for `needs` of a run that says `access`; none where nothing is needed.
    pub fn of(needs: &[String], access: &BTreeMap<String, YesNo>) -> Option<Self> {
        let mut offer = Self::default();
        for need in needs {
            let list = match access.get(need) {
                Some(YesNo::Yes) => &mut offer.has,
                Some(YesNo::No) => &mut offer.has_not,
                None => &mut offer.unsaid,
            };
            list.push(in_words(need).into_owned());
        }
        (!needs.is_empty()).then_some(offer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offer_says_what_a_run_has_has_not_and_leaves_unsaid() {
        let access = BTreeMap::from([("step_free".to_owned(), YesNo::Yes), ("toilet".to_owned(), YesNo::No)]);
        let needs = ["toilet", "old_word", "step_free", "seating"].map(str::to_owned);
        let offer = Offer::of(&needs, &access).unwrap();
        assert_eq!(offer.has, ["step-free access"]);
        assert_eq!(offer.has_not, ["a toilet nearby"]);
        assert_eq!(offer.unsaid, ["old word", "places to sit and rest"]);
        assert_eq!(Offer::of(&[], &access), None);
    }
}
