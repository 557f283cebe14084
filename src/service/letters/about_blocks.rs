//! Letters about blocks: to the blocker alone, and to the team that has to find somebody. None names a person.

use super::{Writer, Written};
use crate::{
    domain::{link::LinkAction, run::ListingRole},
    id::Id,
    mail::{Body, SharedRun},
    service::{
        blocks::{self as service, finding},
        runs::run_time_in_words,
    },
    store::{blocks, facilitators, signups},
};

impl Writer<'_, '_> {
    pub(super) fn both_are_in(&mut self, block: Id) -> Written {
        let now = self.now;
        let Some(block) = blocks::find(self.tx, block)? else { return Ok(None) };
        let mut shared = Vec::new();
        for run in service::shared_runs(self.tx, &block, now)? {
            let role = facilitators::find_listing(self.tx, run.id, self.account.id)?.map(|listing| listing.role);
            let leave_link = if role.is_some() {
                self.link(LinkAction::CannotLead, Some((run.id, None)))?
            } else {
                let Some(signup) = signups::live_in(self.tx, self.account.id, run.id)? else { continue };
                self.not_today(&signup)?
            };
            shared.push(SharedRun {
                when: run_time_in_words(run.starts_at, &run.time_zone),
                page_url: self.page(&format!("/v1/runs/{}", run.id)),
                title: run.title,
                leads: role == Some(ListingRole::Leader),
                back_marker: role == Some(ListingRole::BackMarker),
                leave_link,
            });
        }
        Ok(Some(shared).filter(|runs| !runs.is_empty()).map(|runs| Body::BothAreIn { runs }))
    }

    pub(super) fn block_asked(&mut self, asked: &[Id]) -> Written {
        let now = self.now;
        for block in asked {
            let waits = blocks::find(self.tx, *block)?.filter(blocks::Block::waits_for_team);
            let Some(block) = waits else { continue };
            if !finding::is_concerned(self.tx, &block, self.account.id, now)? {
                return Ok(Some(Body::BlockAsked { queue_url: Some(self.page("/v1/moderation/blocks")) }));
            }
        }
        Ok(None)
    }

    pub(super) fn block_looked_at(&mut self, block: Id) -> Written {
        let found = blocks::find(self.tx, block)?.filter(|block| block.resolved_at.is_some());
        // One that was found and has been taken back since is over.
        let told = found.filter(|block| block.ended_at.is_none() || block.ended_at == block.resolved_at);
        Ok(told.map(|block| Body::BlockLookedAt { found: block.ended_at.is_none() }))
    }
}
