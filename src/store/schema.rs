//! The tables, as both databases have them. Made from the migrations; `tests/store` holds them together.

#![allow(missing_docs, reason = "the columns are explained where their rows are")]

mod of_people;
mod of_runs;
mod of_wishes;

pub use of_people::*;
pub use of_runs::*;
pub use of_wishes::*;

diesel::allow_tables_to_appear_in_same_query!(
    installation,
    accounts,
    address_requests,
    known_networks,
    account_roles,
    running_profiles,
    sessions,
    refresh_tokens,
    links,
    rate_counters,
    idempotency_keys,
    facilitator_applications,
    credentials,
    runs,
    run_details,
    run_facilitators,
    run_reminders,
    signups,
    shared_access_needs,
    given_yeses,
    given_up_places,
    friend_places,
    guests,
    run_series,
    series_regulars,
    blocks,
    after_runs,
    care_wishes,
    bars,
    sanctions,
    banned_addresses,
    reports,
    report_leaders,
    appeals,
    outbox,
    audit_people,
    audit_log,
    announcements,
    run_routes,
    run_calls,
    emergency_contacts,
    incidents,
    partners,
    kept_history,
    kept_leaders,
    kept_series,
    series_facilitators,
    changes,
    match_requests,
    match_areas,
    match_alerts,
    alert_states,
    alert_runs,
);
