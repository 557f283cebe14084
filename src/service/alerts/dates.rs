//! A series is one thing in a mail: of its dates that fit somebody, the nearest is told, and how many more there are.

use std::collections::BTreeMap;

use crate::{domain::matching::IndexedRun, id::Id};

/// Keeps the nearest of the dates of each series, in the order in which they stand, and gives the further dates of each by
/// the one that is kept, by start. Runs that are no dates of a series stay.
pub(super) fn nearest_dates<T>(found: &mut Vec<T>, side: impl Fn(&T) -> &IndexedRun) -> BTreeMap<Id, Vec<Id>> {
    let mut dates: BTreeMap<Id, Vec<_>> = BTreeMap::new();
    for side in found.iter().map(&side) {
        if let Some(series) = side.series {
            dates.entry(series).or_default().push((side.starts_at, side.id));
        }
    }
    let mut further = BTreeMap::new();
    for mut of_series in dates.into_values() {
        of_series.sort_unstable();
        let mut ids = of_series.into_iter().map(|(_, id)| id);
        if let Some(nearest) = ids.next() {
            further.insert(nearest, ids.collect());
        }
    }
    found.retain(|one| side(one).series.is_none() || further.contains_key(&side(one).id));
    further
}
