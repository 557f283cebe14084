//! The tables about people: accounts, facilitators, decisions, blocks, mail, and the audit log.

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
        address_hash -> Nullable<Text>,
        mailbox_hash -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    address_requests (id) {
        id -> SqlId,
        kind -> Text,
        address_hash -> Text,
        block_id -> Nullable<SqlId>,
        created_at -> SqlInstant,
        due_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    known_networks (key) {
        key -> Text,
        account_id -> SqlId,
        last_used_at -> SqlInstant,
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
        talk_or_quiet -> Nullable<Text>,
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
        question -> Nullable<Text>,
        for_starts_at -> Nullable<SqlInstant>,
        for_lat -> Nullable<Double>,
        for_lng -> Nullable<Double>,
        for_account_id -> Nullable<SqlId>,
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
        withheld_because -> Nullable<Text>,
        end_told_at -> Nullable<SqlInstant>,
        follows_id -> Nullable<SqlId>,
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

    report_leaders (report_id, account_id) {
        report_id -> SqlId,
        account_id -> SqlId,
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
        consequences -> Nullable<Text>,
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
        urgent -> Bool,
        setback -> Nullable<Text>,
        waits_since -> Nullable<SqlInstant>,
        topic -> Nullable<Text>,
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

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    blocks (id) {
        id -> SqlId,
        blocker_id -> SqlId,
        blocked_id -> Nullable<SqlId>,
        named_id -> Nullable<SqlId>,
        email_hash -> Nullable<Text>,
        run_id -> Nullable<SqlId>,
        description -> Nullable<Text>,
        note -> Nullable<Text>,
        created_at -> SqlInstant,
        resolved_by -> Nullable<SqlId>,
        resolved_at -> Nullable<SqlInstant>,
        ended_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    care_wishes (id) {
        id -> SqlId,
        account_id -> SqlId,
        run_id -> Nullable<SqlId>,
        status -> Text,
        asked_at -> SqlInstant,
        answer_by -> SqlInstant,
        taken_by -> Nullable<SqlId>,
        taken_at -> Nullable<SqlInstant>,
        team_told_at -> Nullable<SqlInstant>,
        person_told_at -> Nullable<SqlInstant>,
        ended_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    emergency_contacts (account_id) {
        account_id -> SqlId,
        name -> Text,
        phone -> Text,
        relation -> Nullable<Text>,
        updated_at -> SqlInstant,
    }
}
