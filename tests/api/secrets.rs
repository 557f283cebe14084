//! A master secret that was lost, changed or rotated: a start says so before everybody's log-ins and links end.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use sidebyside::{
    app::App,
    clock::Clock,
    config::{self, NEW_SECRET},
};

use crate::{
    harness::Town,
    support::{database_test::database_test, databases::Kind},
};

const OTHER: &str = "another master secret that is long enough as well";
const USUAL: &str = "a master secret of the suite that is long enough";

/// Starts with these settings over the town's database; the fault in words where that is refused.
fn start(town: &Town, settings: &[(&'static str, &str)]) -> Result<App, String> {
    let mut values: BTreeMap<&'static str, String> =
        [("DATABASE_URL", town.database().url()), ("DATA_DIR", town.database().folder().display().to_string())].into();
    values.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let config = config::from_values(&values, None).map_err(|faults| faults.to_string())?;
    App::build(config, Clock::standing_at(town.now())).map_err(|fault| fault.to_string())
}

#[apply(database_test!)]
async fn changed_secret_is_refused_where_there_are_people(town: Town) {
    start(&town, &[("SECRET_KEY", OTHER)]).expect("nobody is here yet");
    start(&town, &[("SECRET_KEY", USUAL)]).expect("still nobody");
    town.person("Ana").await;
    let refused = start(&town, &[("SECRET_KEY", OTHER)]).err().expect("a refusal");
    assert!(refused.contains("SECRET_KEY") && refused.contains("--new-secret"), "{refused}");
    assert!(!refused.contains("master secret"), "{refused}");
    start(&town, &[("SECRET_KEY", USUAL)]).expect("the old one is fine");
    start(&town, &[("SECRET_KEY", OTHER), (NEW_SECRET, "")]).expect("it was asked for");
    start(&town, &[("SECRET_KEY", OTHER)]).expect("from then on it is known");
    let refused = start(&town, &[("SECRET_KEY", USUAL)]).err().expect("a refusal");
    assert!(refused.contains("--new-secret"), "{refused}");
}

#[apply(database_test!)]
async fn rotated_secret_is_taken_by_servers_in_any_order(town: Town) {
    town.person("Ana").await;
    let both = format!("{OTHER},{USUAL}");
    start(&town, &[("SECRET_KEY", &both)]).expect("the new one signs, the old one verifies");
    start(&town, &[("SECRET_KEY", USUAL)]).expect("another server has yet to hear of it");
    start(&town, &[("SECRET_KEY", &both)]).expect("now it has");
    start(&town, &[("SECRET_KEY", OTHER)]).expect("the rotation is over");
}

#[apply(database_test!)]
async fn lost_secret_file_is_made_anew_only_on_request(town: Town) {
    if town.kind() == Kind::Postgres {
        let refused = start(&town, &[]).err().expect("a refusal");
        assert!(refused.contains("SECRET_KEY: required with PostgreSQL"), "{refused}");
        return;
    }
    let file = town.database().folder().join("secret.key");
    start(&town, &[]).expect("the first start makes one, since nobody is here");
    let first = std::fs::read(&file).expect("a secret");
    town.person("Ana").await;
    start(&town, &[]).expect("it is there");
    std::fs::remove_file(&file).expect("it is lost");
    let refused = start(&town, &[]).err().expect("a refusal");
    assert!(refused.contains("SECRET_KEY") && refused.contains("--new-secret") && !file.exists(), "{refused}");
    std::fs::write(&file, &first).expect("it is back");
    start(&town, &[]).expect("as before");
    std::fs::remove_file(&file).expect("it is lost");
    start(&town, &[(NEW_SECRET, "")]).expect("it was asked for");
    assert_ne!(std::fs::read(&file).expect("a secret"), first);
    start(&town, &[]).expect("from then on it is known");
}
