//! How many connections the process may hold, from how many files it may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections that a server holds however many files it may open: each costs about 25 KB while it waits.
const MOST_GENERAL: usize = 4096;
/// Connections of one client: a club house or a school behind one address has many members, each with up to six.
const MOST_PER_CLIENT: usize = 256;
/// Places for monitors when all others are at work.
const RESERVED: usize = 32;
/// Descriptors for all else, at least and at most: databases, mail, files, and connections that are just being closed.
const OTHER_DESCRIPTORS: (usize, usize) = (64, 512);

/// How many connections there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// In general.
    pub general: usize,
    /// Of one client, unless it is a trusted proxy.
    pub per_client: usize,
    /// In reserve, for monitors.
    pub reserved: usize,
}

impl Capacity {
    /// By the descriptors that the process may have now; without a limit per client where rate limits are off.
    pub fn of_process(rate_limits: bool) -> Self {
        let capacity = Self::of(usize::try_from(descriptors()).unwrap_or(usize::MAX));
        if rate_limits { capacity } else { Self { per_client: capacity.general, ..capacity } }
    }

    fn of(descriptors: usize) -> Self {
        let (least, most) = OTHER_DESCRIPTORS;
        let rest = descriptors.saturating_sub((descriptors / 4).clamp(least, most) + RESERVED);
        let general = rest.clamp(16, MOST_GENERAL);
        Self { general, per_client: (general / 4).clamp(8, MOST_PER_CLIENT), reserved: RESERVED }
    }

    /// Connections that a worker accepts before it stops accepting: a little more than all places together, so that
    /// the server sees those that it has to refuse.
    pub fn accepted_per_worker(&self, workers: usize) -> usize {
        (self.general + 2 * self.reserved).div_ceil(workers.max(1))
    }
}

/// The descriptors that the process may have.
fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises the soft limit of descriptors to the hard one, as servers do that hold a connection for each; gives the limit
/// that holds now.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if limit.current != limit.maximum
        && let Err(fault) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%fault, "the limit of open files stays as it is");
    }
    descriptors()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_stays_below_the_descriptors() {
        for descriptors in [256, 1024, 4096, 20_000, 1_048_576, usize::MAX] {
            let capacity = Capacity::of(descriptors);
            assert!(capacity.general + 2 * capacity.reserved + 32 <= descriptors, "{descriptors}: {capacity:?}");
            assert!(capacity.per_client * 4 <= capacity.general + 3, "{descriptors}: {capacity:?}");
        }
        assert_eq!(Capacity::of(1024), Capacity { general: 736, per_client: 184, reserved: 32 });
        assert_eq!(Capacity::of(1_048_576), Capacity { general: 4096, per_client: 256, reserved: 32 });
    }
}
