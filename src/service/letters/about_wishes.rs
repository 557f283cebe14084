//! Letters about match requests: what they found, and that one ends soon.
//!
//! Invariant: nothing in them says where the reader lives, not even how far it is from there: three such distances and
//! three meeting points on a map would.

use super::{Writer, Written};
use crate::{
    clock::Instant,
    domain::{link::LinkAction, match_request::AlertChoice, matching::ReasonCode},
    error::Result,
    id::Id,
    mail::{Body, FoundRun, Wished},
    service::{
        alerts::{self, Told},
        match_requests,
        runs::run_time_in_words,
    },
    store::alerts as store,
};

impl Writer<'_, '_> {
    pub(super) fn runs_found(&mut self, mail: Id) -> Written {
        let (account, now) = (self.account.id, self.now);
        let told = alerts::gather(self.tx, account, mail, &self.desk.policy, &self.desk.keyring, now)?;
        let Some(first) = told.first() else { return Ok(None) };
        let day = |told: &Told| told.run.starts_at.local(&told.run.time_zone).strftime("%A %-d %B").to_string();
        let dates = told.iter().map(|told| 1 + told.further.len()).sum();
        let is_on = |told: &Told, first: &String| told.further.is_empty() && day(told) == *first;
        let one_day = Some(day(first)).filter(|first| told.iter().all(|told| is_on(told, first)));
        let mut requests: Vec<Wished> = Vec::new();
        let mut named: Vec<Id> = Vec::new();
        for found in &told {
            if !named.contains(&found.request.id) {
                named.push(found.request.id);
                requests.push(Wished {
                    words: found.request.wish.in_words(),
                    stop_link: self.link(LinkAction::StopLooking, Some((found.request.id, None)))?,
                });
            }
        }
        let daily = store::state(self.tx, account)?.choice == AlertChoice::Daily;
        let runs = told.iter().map(|told| self.found(told)).collect::<Result<Vec<_>>>()?;
        Ok(Some(Body::RunsFound { runs, dates, day: one_day, requests, daily }))
    }

    fn found(&mut self, told: &Told) -> Result<FoundRun> {
        let facts = self.facts(&told.run, false)?;
        let reasons = told.fit.reasons.iter().filter(|reason| reason.code != ReasonCode::Distance);
        Ok(FoundRun {
            title: facts.title,
            when: facts.when,
            zone: facts.zone,
            where_name: facts.where_name,
            kind: format!("{}, {}", facts.activity_words, facts.pace_min_per_km),
            further_dates: told.further.len(),
            reasons: reasons.map(|reason| reason.text.clone().into_owned()).collect(),
            page_url: facts.page_url,
        })
    }

    pub(super) fn match_request_ends(&mut self, request: Id, expires_at: Instant) -> Written {
        let found = match_requests::find_own(self.tx, self.account.id, request)?;
        let Some(request) = found.filter(|found| found.expires_at == expires_at && expires_at > self.now) else {
            return Ok(None);
        };
        if store::state(self.tx, self.account.id)?.choice == AlertChoice::None {
            return Ok(None);
        }
        let zone = self.account.time_zone.clone().unwrap_or_else(|| "UTC".to_owned());
        let until = run_time_in_words(expires_at, &zone);
        Ok(Some(Body::MatchRequestEnds {
            words: request.wish.in_words(),
            // The day is enough.
            until: until.split(',').next().unwrap_or(&until).to_owned(),
            days: u32::try_from(self.desk.policy.match_request_days).unwrap_or(0),
            keep_link: self.link(LinkAction::KeepLooking, Some((request.id, None)))?,
        }))
    }
}
