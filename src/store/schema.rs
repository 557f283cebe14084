//! The tables, as both databases have them. Made from the migrations; `tests/store` holds them together.

#![allow(missing_docs, reason = "the columns are explained where their rows are")]

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    installation (name) {
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    accounts (id) {
        id -> SqlId,
        email -> Text,
        password_hash -> Nullable<Text>,
        display_name -> Text,
        status -> Text,
        terms_version -> Nullable<Text>,
        terms_accepted_at -> Nullable<SqlInstant>,
        locale -> Text,
        time_zone -> Nullable<Text>,
        external_id -> Nullable<Text>,
        reminders -> Bool,
        created_at -> SqlInstant,
        updated_at -> SqlInstant,
        verified_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    account_roles (account_id, role) {
        account_id -> SqlId,
        role -> Text,
        granted_by -> Nullable<SqlId>,
        granted_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    running_profiles (account_id) {
        account_id -> SqlId,
        activities -> Text,
        comfortable_pace -> Nullable<Text>,
        walking_pace -> Nullable<Text>,
        home_cell -> Text,
        home_changes -> Text,
        pace_changes -> Text,
        travel_radius_km -> Double,
        availability -> Text,
        languages -> Text,
        access_needs -> Text,
        not_after_dark -> Bool,
        new_here -> Bool,
        gentle_start -> Bool,
        updated_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    sessions (id) {
        id -> SqlId,
        account_id -> SqlId,
        created_at -> SqlInstant,
        last_used_at -> SqlInstant,
        expires_at -> SqlInstant,
        ended_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    refresh_tokens (hash) {
        hash -> Text,
        session_id -> SqlId,
        issued_at -> SqlInstant,
        used_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    links (id) {
        id -> SqlId,
        action -> Text,
        account_id -> SqlId,
        about_id -> Nullable<SqlId>,
        about_kind -> Nullable<Text>,
        created_at -> SqlInstant,
        expires_at -> SqlInstant,
        used_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    rate_counters (bucket, window_start) {
        bucket -> Text,
        window_start -> SqlInstant,
        hits -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    idempotency_keys (account_id, key) {
        account_id -> SqlId,
        key -> Text,
        fingerprint -> Text,
        status -> Nullable<Integer>,
        body -> Nullable<Text>,
        etag -> Nullable<Text>,
        created_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    facilitator_applications (id) {
        id -> SqlId,
        account_id -> SqlId,
        statement -> Text,
        status -> Text,
        decided_by -> Nullable<SqlId>,
        decided_at -> Nullable<SqlInstant>,
        reason -> Nullable<Text>,
        created_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    credentials (id) {
        id -> SqlId,
        application_id -> SqlId,
        account_id -> SqlId,
        kind -> Text,
        issuer -> Text,
        reference -> Text,
        expires_on -> Nullable<Text>,
        required -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    runs (id) {
        id -> SqlId,
        external_id -> Nullable<Text>,
        created_by -> Nullable<SqlId>,
        status -> Text,
        title -> Text,
        description -> Text,
        activity -> Text,
        fastest_s_per_km -> Integer,
        slowest_s_per_km -> Integer,
        no_drop -> Bool,
        distance_km -> Nullable<Double>,
        duration_min -> Integer,
        starts_at -> SqlInstant,
        ends_at -> SqlInstant,
        time_zone -> Text,
        lat -> Double,
        lng -> Double,
        place_name -> Text,
        getting_there -> Nullable<Text>,
        point_is_public -> Bool,
        area_cell -> Text,
        shown_lat -> Double,
        shown_lng -> Double,
        after_dark -> Bool,
        capacity -> Integer,
        newcomer_places -> Nullable<Integer>,
        join_policy -> Text,
        languages -> Text,
        access -> Text,
        questions -> Text,
        day_contact -> Nullable<Text>,
        cancel_reason -> Nullable<Text>,
        cancel_message -> Nullable<Text>,
        paused_at -> Nullable<SqlInstant>,
        version -> Integer,
        last_queue_no -> Integer,
        created_at -> SqlInstant,
        updated_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    run_facilitators (run_id, account_id) {
        run_id -> SqlId,
        account_id -> SqlId,
        status -> Text,
        listed_by -> Nullable<SqlId>,
        listed_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    run_reminders (run_id, moment, starts_at) {
        run_id -> SqlId,
        moment -> Text,
        starts_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    signups (id) {
        id -> SqlId,
        run_id -> SqlId,
        account_id -> SqlId,
        status -> Text,
        queue_no -> Integer,
        answers -> Text,
        note -> Nullable<Text>,
        short_notice -> Bool,
        new_here -> Bool,
        created_at -> SqlInstant,
        updated_at -> SqlInstant,
        confirmed_at -> Nullable<SqlInstant>,
        reason_code -> Nullable<Text>,
        private_note -> Nullable<Text>,
        statement -> Nullable<Text>,
        decided_by -> Nullable<SqlId>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    bars (id) {
        id -> SqlId,
        facilitator_id -> SqlId,
        account_id -> SqlId,
        until -> SqlInstant,
        reason_code -> Text,
        private_note -> Text,
        statement -> Nullable<Text>,
        created_at -> SqlInstant,
        lifted_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    sanctions (id) {
        id -> SqlId,
        account_id -> SqlId,
        kind -> Text,
        scope -> Text,
        rule -> Text,
        statement -> Text,
        decided_by -> Nullable<SqlId>,
        created_at -> SqlInstant,
        expires_at -> Nullable<SqlInstant>,
        lifted_at -> Nullable<SqlInstant>,
        lifted_by -> Nullable<SqlId>,
        lift_reason -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    banned_addresses (hash, sanction_id) {
        hash -> Text,
        sanction_id -> SqlId,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    reports (id) {
        id -> SqlId,
        reporter_id -> Nullable<SqlId>,
        about_kind -> Text,
        about_id -> Nullable<SqlId>,
        run_id -> Nullable<SqlId>,
        description -> Nullable<Text>,
        category -> Text,
        urgency -> Integer,
        statement -> Text,
        status -> Text,
        assigned_to -> Nullable<SqlId>,
        resolution -> Nullable<Text>,
        created_at -> SqlInstant,
        resolved_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    appeals (id) {
        id -> SqlId,
        account_id -> SqlId,
        about_kind -> Text,
        about_id -> SqlId,
        first_decided_by -> Nullable<SqlId>,
        statement -> Text,
        outcome -> Nullable<Text>,
        decided_by -> Nullable<SqlId>,
        decision -> Nullable<Text>,
        created_at -> SqlInstant,
        decided_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    outbox (id) {
        id -> SqlId,
        account_id -> SqlId,
        kind -> Text,
        notice -> Text,
        run_id -> Nullable<SqlId>,
        signup_id -> Nullable<SqlId>,
        once_key -> Nullable<Text>,
        status -> Text,
        not_before -> SqlInstant,
        attempts -> Integer,
        lease_until -> Nullable<SqlInstant>,
        fence -> BigInt,
        last_error -> Nullable<Text>,
        created_at -> SqlInstant,
        finished_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    audit_people (ref_) {
        #[sql_name = "ref"]
        ref_ -> SqlId,
        account_id -> SqlId,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    audit_log (id) {
        id -> SqlId,
        at -> SqlInstant,
        act -> Text,
        actor -> Nullable<SqlId>,
        subject -> Nullable<SqlId>,
        run_id -> Nullable<SqlId>,
        about -> Text,
        seq -> Nullable<BigInt>,
        prev_hash -> Nullable<Text>,
        hash -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    installation,
    accounts,
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
    run_facilitators,
    run_reminders,
    signups,
    bars,
    sanctions,
    banned_addresses,
    reports,
    appeals,
    outbox,
    audit_people,
    audit_log,
);
