//! Advice for a person for whom fewer than [`ENOUGH`] runs fit: each preference is left out in turn, and what there would be
//! is counted.

use super::{ENOUGH, FURTHEST_DAYS, Found, Matched, RunIndex};
use crate::{
    clock::Instant,
    domain::matching::{
        Viewer,
        advice::{self, PREFERENCES, Preference},
        search::MatchSearch,
    },
};

/// One piece of advice.
#[derive(Debug, Clone)]
pub struct Advice {
    /// The preference that was left out; none for the pointer to match requests.
    pub drop: Option<Preference>,
    /// How many runs there would be, each series once; not more than are [counted](advice::COUNTED_UP_TO).
    pub count: usize,
    /// The best of them that is not listed already.
    pub first: Option<Found>,
    pub text: String,
}

impl RunIndex {
    /// What a person may do for whom `matched` holds too few runs; nothing where it holds enough. Preferences without which
    /// there would be no more are left out, and the last piece points to match requests.
    pub fn advice(
        &self,
        viewer: &Viewer,
        search: &MatchSearch,
        matched: &Matched,
        now: Instant,
        tie: impl Fn(&[u8; 16]) -> u64,
    ) -> Vec<Advice> {
        if matched.fitting >= ENOUGH {
            return Vec::new();
        }
        let is_dark = advice::is_dark_in_all_hours(&viewer.person, now);
        let mut all: Vec<Advice> = PREFERENCES
            .into_iter()
            .filter_map(|preference| self.without(preference, viewer, search, matched, now, &tie))
            .filter(|piece| piece.count > matched.fitting || (is_dark && piece.drop == Some(Preference::Daylight)))
            .collect();
        if is_dark && let Some(at) = all.iter().position(|piece| piece.drop == Some(Preference::Daylight)) {
            let mut piece = all.remove(at);
            piece.text = format!("{} {}", advice::DAYLIGHT_AGAINST_HOURS, piece.text);
            all.insert(0, piece);
        }
        all.push(Advice { drop: None, count: 0, first: None, text: advice::TELL_ME.to_owned() });
        all
    }

    fn without(
        &self,
        preference: Preference,
        viewer: &Viewer,
        search: &MatchSearch,
        listed: &Matched,
        now: Instant,
        tie: &impl Fn(&[u8; 16]) -> u64,
    ) -> Option<Advice> {
        let until = now.plus_days(FURTHEST_DAYS);
        let (mut free, search) = advice::without(preference, viewer, search, until)?;
        let matches = |viewer: &Viewer| self.near(viewer).matches(viewer, &search, now, tie);
        let mut matched = matches(&free);
        let mut radius_km = viewer.person.travel_radius_km;
        if preference == Preference::Radius {
            for wider_km in advice::wider_radii(radius_km) {
                free.person.travel_radius_km = wider_km;
                let further = matches(&free);
                // A wider radius that reaches nothing more is no advice.
                if further.fitting > matched.fitting {
                    (matched, radius_km) = (further, wider_km);
                }
                if matched.fitting >= ENOUGH {
                    break;
                }
            }
        }
        let is_listed = |found: &Found| listed.best.iter().any(|item| item.found.id == found.id);
        let first = matched.best.iter().find(|item| !item.is_outside_hours && !is_listed(&item.found));
        let side = first.and_then(|item| self.find(item.found.id));
        let words = side.as_ref().zip(first).map(|(side, item)| (side, &item.fit));
        let text = advice::in_words(preference, &viewer.person, radius_km, matched.fitting, words);
        Some(Advice {
            drop: Some(preference),
            count: matched.fitting,
            first: first.map(|item| item.found.clone()),
            text,
        })
    }
}
