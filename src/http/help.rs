//! Where people find help, who runs this, which terms hold, and which words may be sent: public.

use actix_web::get;
use serde::Serialize;
use utoipa::ToSchema;

use super::{AppData, Problem, Reply};
use crate::{
    config::HelpLine,
    domain::vocabulary::{Kind, Word, activities},
};

/// What Side by Side is not.
pub const NOT_THERAPY: &str = "Side by Side is not therapy and not an emergency service.";

/// Help, and who runs this.
#[derive(Serialize, ToSchema)]
pub struct HelpView {
    /// "Side by Side is not therapy and not an emergency service."
    pub notice: &'static str,
    /// Where somebody in need is helped, in the order of the operator.
    pub help_lines: Vec<HelpLine>,
    pub org_name: String,
    /// Address or URL at which people are answered.
    pub contact: Option<String>,
    /// Address or URL for worries about somebody's safety.
    pub safeguarding_contact: Option<String>,
    /// What `terms_version` must be when somebody signs up.
    pub terms_version: String,
    /// Youngest age at which people may sign up.
    pub min_age: u8,
}

/// Help lines, who runs this installation, and the current terms.
#[utoipa::path(tag = "Help", responses((status = 200, body = HelpView)))]
#[get("/help")]
pub async fn help(app: AppData) -> Result<Reply, Problem> {
    let config = &app.config;
    let view = HelpView {
        notice: NOT_THERAPY,
        help_lines: config.help.lines.clone(),
        org_name: config.org_name.clone(),
        contact: config.contact.clone(),
        safeguarding_contact: config.safeguarding_contact.clone(),
        terms_version: config.policy.terms_version.clone(),
        min_age: config.policy.min_age,
    };
    Ok(Reply::ok(&view)?.with_tag().public())
}

/// The words that may be sent, each with plain English.
#[derive(Serialize, ToSchema)]
pub struct VocabularyView {
    /// What groups and people speak. A region such as in `pt-BR` may be sent and is left out.
    pub languages: &'static [Word],
    /// What a place, a route or a group can offer to somebody who needs it.
    pub access_needs: &'static [Word],
    pub activities: Vec<Word>,
}

/// The words that `languages`, `access_needs`, `access` and `activity` take.
#[utoipa::path(tag = "Help", responses((status = 200, body = VocabularyView)))]
#[get("/vocabulary")]
pub async fn vocabulary() -> Result<Reply, Problem> {
    let (languages, access_needs) = (Kind::Language.words(), Kind::AccessNeed.words());
    let view = VocabularyView { languages, access_needs, activities: activities() };
    Ok(Reply::ok(&view)?.with_tag().public())
}
