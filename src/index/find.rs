//! Finding: the best few runs for a person, and lists by start.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Asked, CachedCaller, RunIndex,
    grid::{NearbyTile, NearbyTiles},
    matches::MatchedRun,
    tile::{Order, Slot},
};
use crate::{
    clock::Instant,
    domain::{
        matching::{IndexedRun, Viewer, search::MatchSearch},
        pace::Activity,
        place::LatLng,
    },
    id::Id,
};

/// A run that was found: enough to look its card up.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub id: Id,
    pub version: u64,
    pub point_is_hidden: bool,
    pub starts_at: Instant,
}

impl Found {
    pub(super) fn of(slot: &Slot) -> Self {
        Self {
            id: slot.side.id,
            version: slot.version,
            point_is_hidden: slot.side.point_is_hidden,
            starts_at: slot.side.starts_at,
        }
    }
}

/// What a list of runs may be asked.
#[derive(Debug, Clone)]
pub struct Listing {
    pub from: Instant,
    pub to: Instant,
    /// A place and how many kilometres around it.
    pub near: Option<(LatLng, f64)>,
    pub activity: Option<Activity>,
    /// Runs whose band holds this pace.
    pub pace_s_per_km: Option<i32>,
    /// Runs that say yes to this.
    pub access: Option<String>,
    pub language: Option<String>,
    /// After this start and id.
    pub after: Option<Order>,
    pub limit: usize,
}

impl Listing {
    fn wants(&self, run: &IndexedRun) -> bool {
        self.activity.is_none_or(|activity| run.activity == activity)
            && self
                .pace_s_per_km
                .is_none_or(|pace| (run.pace.fastest_s_per_km..=run.pace.slowest_s_per_km).contains(&pace))
            && self.access.as_ref().is_none_or(|need| run.said.access.get(need) == Some(&true))
            && self.language.as_ref().is_none_or(|tag| run.said.languages.contains(tag))
            && self.near.is_none_or(|(near, radius_km)| near.distance_km(&run.place) <= radius_km)
    }
}

/// Runs that a list looks at in one piece.
const LOOKED_AT_ONCE: usize = 1_000;
/// Pieces for one answer: some ten milliseconds.
const PIECES: usize = 30;

impl RunIndex {
    /// What this person was answered lately to the same question, if the same would be answered again.
    pub fn answered(&self, caller: &Arc<CachedCaller>, asked: Asked, now: Instant) -> Option<Bytes> {
        let person = &caller.viewer.as_ref()?.person;
        self.answers.get(caller, asked, now, |reach_km| {
            self.read().print_around(person.home, person.travel_radius_km, reach_km)
        })
    }

    /// The tiles that this person goes to.
    pub fn near(&self, viewer: &Viewer) -> NearbyTiles {
        self.read().around(viewer.person.home, viewer.person.travel_radius_km)
    }

    /// The runs that fit a person, best first: exactly those that weighing all of them would give.
    pub fn matches(
        &self,
        viewer: &Viewer,
        search: &MatchSearch,
        now: Instant,
        tie: impl Fn(&[u8; 16]) -> u64,
    ) -> Vec<MatchedRun> {
        self.near(viewer).matches(viewer, search, now, tie).best
    }

    /// Runs by start and id, at most `limit`; and after which run the list goes on where a rare wish was given up, so that
    /// nobody has a million runs looked at.
    pub fn list(&self, wanted: &Listing, now: Instant) -> (Vec<Found>, Option<Order>) {
        let mut found = Vec::new();
        let from = wanted.from.max(now);
        let Some((near, radius_km)) = wanted.near else {
            let mut after = wanted.after;
            // In pieces, so that a rare wish does not hold up whoever puts changes in.
            for _ in 0..PIECES {
                let mut looked_at = 0;
                self.read().by_start(from, wanted.to, after, |slot| {
                    if slot.side.starts_at > now && wanted.wants(&slot.side) {
                        found.push(Found::of(slot));
                    }
                    after = Some((slot.side.starts_at, slot.side.id));
                    looked_at += 1;
                    found.len() < wanted.limit && looked_at < LOOKED_AT_ONCE
                });
                if looked_at < LOOKED_AT_ONCE || found.len() >= wanted.limit {
                    return (found, None);
                }
            }
            return (found, after);
        };
        let tiles = self.read().around(near, radius_km).0;
        // Of each tile the first few are enough.
        for NearbyTile { tile, .. } in &tiles {
            let rest = match wanted.after.filter(|after| after.0 >= from) {
                Some(after) => tile.after(after),
                None => tile.from(from),
            };
            let those = rest.iter().take_while(|slot| slot.side.starts_at < wanted.to);
            let wanted_ones = those.filter(|slot| slot.side.starts_at > now && wanted.wants(&slot.side));
            found.extend(wanted_ones.take(wanted.limit).map(Found::of));
        }
        found.sort_unstable_by_key(|run| (run.starts_at, run.id));
        found.truncate(wanted.limit);
        (found, None)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{
        super::grid::tests::{any_place, side},
        *,
    };
    use crate::{
        config::Policy,
        domain::{
            matching::side::{Listed, Said},
            pace::PaceBand,
            run::ListingRole,
        },
        service::run_sides::Read,
    };

    /// The few who lead.
    pub fn leaders() -> [Id; 4] {
        ["1", "2", "3", "4"].map(|last| format!("00000000-0000-4000-8000-00000000000{last}").parse().unwrap())
    }

    fn any_listed() -> impl Strategy<Value = Listed> {
        let roles = [ListingRole::Leader, ListingRole::BackMarker];
        let who = (prop::sample::select(leaders().to_vec()), prop::sample::select(roles.to_vec()));
        let standing = prop::sample::select(vec![(false, false), (true, false), (true, true)]);
        (who, standing).prop_map(|((id, role), (is_accepted, is_active))| Listed { id, is_accepted, is_active, role })
    }

    pub fn any_side() -> impl Strategy<Value = IndexedRun> {
        let listed = prop::collection::vec(any_listed(), 0..3);
        (any_open_side(), listed).prop_map(|(side, listed)| IndexedRun { listed: listed.into(), ..side })
    }

    fn any_open_side() -> impl Strategy<Value = IndexedRun> {
        let going = (0..3usize, 200..700i32, 0..60i32, any::<bool>());
        let flags = (any::<bool>(), any::<bool>(), 0..9u16, any::<bool>());
        let said = prop_oneof![Just(vec![]), Just(vec!["en".to_owned()]), Just(vec!["de".to_owned()])];
        (any_place(), 0..60_000i64, going, flags, said).prop_map(
            |(place, minutes, (kind, fast, width, no_drop), (full, closed, confirmed, dark), languages)| IndexedRun {
                activity: [Activity::Walk, Activity::RunWalk, Activity::Run][kind],
                pace: PaceBand { fastest_s_per_km: fast, slowest_s_per_km: fast + width },
                no_drop,
                is_full: full,
                is_closed: closed && full,
                confirmed,
                after_dark: dark,
                said: Arc::new(Said { languages, ..Said::default() }),
                ..side(place.0, place.1, minutes)
            },
        )
    }

    pub fn index(sides: &[IndexedRun]) -> RunIndex {
        let index = RunIndex::new(Policy::default());
        for side in sides {
            let entry = index.entry(Read { side: side.clone(), good_until: None });
            index.write().insert(entry);
        }
        index
    }

    #[test]
    fn a_rare_wish_is_given_up_after_a_while_and_goes_on_where_it_stopped() {
        let walk = IndexedRun { activity: Activity::Walk, ..side(51.5, -0.1, 50_000) };
        let many = (0..i64::try_from(PIECES * LOOKED_AT_ONCE).unwrap()).map(|at| side(51.5, -0.1, 10 + at));
        let index = RunIndex::new(Policy::default());
        index.fill(many.chain([walk.clone()]).map(|side| Read { side, good_until: None }));
        let (from, to) = (epoch(), epoch().plus_days(60));
        let mut wanted = Listing {
            from,
            to,
            near: None,
            activity: Some(Activity::Walk),
            pace_s_per_km: None,
            access: None,
            language: None,
            after: None,
            limit: 5,
        };
        let (none, goes_on) = index.list(&wanted, epoch());
        assert!(none.is_empty() && goes_on.is_some());
        wanted.after = goes_on;
        let (found, goes_on) = index.list(&wanted, epoch());
        assert_eq!((found[0].id, found.len(), goes_on), (walk.id, 1, None));
    }

    pub fn epoch() -> Instant {
        "2026-12-01T10:00:00Z".parse().unwrap()
    }

    proptest! {
        #[test]
        fn lists_go_on_where_they_stopped_and_show_each_run_once(
            sides in prop::collection::vec(any_side(), 1..80), (lat, lng) in any_place(), radius in 1.0..50.0f64,
            limit in 1..9usize, with_place: bool, pace in prop::option::of(200..700i32),
        ) {
            let index = index(&sides);
            let near = with_place.then_some((LatLng { lat, lng }, radius));
            let mut wanted = Listing {
                from: epoch().plus_days(3), to: epoch().plus_days(30), near, activity: Some(Activity::Run),
                pace_s_per_km: pace, access: None, language: None, after: None, limit,
            };
            let mut expected: Vec<Order> = sides
                .iter()
                .filter(|side| wanted.wants(side) && side.starts_at >= wanted.from && side.starts_at < wanted.to)
                .map(|side| (side.starts_at, side.id))
                .collect();
            expected.sort_unstable();
            let mut listed = Vec::new();
            loop {
                let (page, goes_on) = index.list(&wanted, epoch());
                prop_assert!(goes_on.is_none(), "so few are looked at in one go");
                let Some(last) = page.last() else { break };
                wanted.after = Some((last.starts_at, last.id));
                listed.extend(page.iter().map(|found| (found.starts_at, found.id)));
            }
            prop_assert_eq!(listed, expected);
        }
    }
}
