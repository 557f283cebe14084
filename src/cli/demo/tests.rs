use std::collections::BTreeSet;

use super::*;
use crate::{
    cli::import::tests::Bench,
    domain::{account::password_faults, outbox::OutboxStatus, run::JoinPolicy, run::RunStatus},
    store::runs::Search,
};

#[test]
fn the_town_is_there_in_every_season_and_a_second_time_is_refused() {
    for day in ["2026-01-10T12:00:00Z", "2026-03-27T23:30:00Z", "2026-06-20T03:00:00Z"] {
        let bench = Bench::at(day);
        assert!(demo(&bench.app).unwrap());
        let (found, queued) = bench
            .app
            .db
            .read_here(|conn| {
                Ok((runs::search(conn, &Search::default())?, outbox::list(conn, &[OutboxStatus::Queued], 9)?))
            })
            .unwrap();
        assert_eq!(found.len(), 20);
        assert!(queued.is_empty());
        let now = bench.app.clock.now();
        assert!(found.iter().all(|run| run.starts_at > now && run.starts_at < now.plus_days(14)));
        assert!(found.iter().all(|run| run.status == RunStatus::Published && run.time_zone == town::TIME_ZONE));
        assert!(found.iter().any(|run| run.after_dark), "{day}");
        let hidden: Vec<_> = found.iter().filter(|run| !run.point_is_public).collect();
        assert!(hidden.len() == 1 && hidden[0].join_policy == JoinPolicy::Approval);

        let before = bench.counts();
        assert!(!demo(&bench.app).unwrap());
        assert_eq!(bench.counts(), before);
    }
}

#[test]
fn somebody_waits_and_everybody_can_log_in_with_a_phrase_that_would_be_taken() {
    let bench = Bench::at("2026-11-20T12:00:00Z");
    let now = bench.app.clock.now();
    let filled = bench.app.db.write_here(|tx| fill(tx, &bench.app, "hash", now)).unwrap();
    assert_eq!((filled.people, filled.runs, filled.waiting), (24, 20, 2));
    assert!(filled.mails > 0);
    let text = told(&filled, "amber river", "http://house.example");
    assert!(text.contains("http://house.example/v1/sessions"), "{text}");
    assert_eq!(town::WORDS.iter().collect::<BTreeSet<_>>().len(), 64);
    for _ in 0..50 {
        assert!(password_faults(&pass_phrase(), &[], "/password").0.is_empty());
    }
}
