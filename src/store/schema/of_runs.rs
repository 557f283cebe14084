//! The tables about runs and series, and about who was on them.

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    runs (id) {
        id -> SqlId,
        external_id -> Nullable<Text>,
        created_by -> Nullable<SqlId>,
        status -> Text,
        title -> Text,
        activity -> Text,
        fastest_s_per_km -> Integer,
        slowest_s_per_km -> Integer,
        no_drop -> Bool,
        duration_min -> Integer,
        starts_at -> SqlInstant,
        ends_at -> SqlInstant,
        time_zone -> Text,
        point_is_public -> Bool,
        shown_lat -> Double,
        shown_lng -> Double,
        after_dark -> Bool,
        capacity -> Integer,
        newcomer_places -> Nullable<Integer>,
        join_policy -> Text,
        languages -> Text,
        access -> Text,
        paused_at -> Nullable<SqlInstant>,
        version -> Integer,
        last_queue_no -> Integer,
        closed_at -> Nullable<SqlInstant>,
        announced_left -> Integer,
        asked_one_to_one_at -> Nullable<SqlInstant>,
        series_id -> Nullable<SqlId>,
        series_date -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    run_details (run_id) {
        run_id -> SqlId,
        description -> Text,
        distance_km -> Nullable<Double>,
        lat -> Double,
        lng -> Double,
        place_name -> Text,
        getting_there -> Nullable<Text>,
        area_cell -> Text,
        questions -> Text,
        day_contact -> Nullable<Text>,
        cancel_reason -> Nullable<Text>,
        cancel_message -> Nullable<Text>,
        created_at -> SqlInstant,
        updated_at -> SqlInstant,
        series_kept -> Text,
    }
}

diesel::joinable!(run_details -> runs (run_id));

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    run_facilitators (run_id, account_id) {
        run_id -> SqlId,
        account_id -> SqlId,
        status -> Text,
        listed_by -> Nullable<SqlId>,
        listed_at -> SqlInstant,
        role -> Text,
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
        new_to_group -> Bool,
        as_regular -> Bool,
        walked_in -> Bool,
        offer_expires_at -> Nullable<SqlInstant>,
        let_go -> Integer,
        change_asked_at -> Nullable<SqlInstant>,
        reconfirm_by -> Nullable<SqlInstant>,
        reconfirm_reason -> Nullable<Text>,
        agreed_starts_at -> Nullable<SqlInstant>,
        agreed_lat -> Nullable<Double>,
        agreed_lng -> Nullable<Double>,
        checked_in_at -> Nullable<SqlInstant>,
        signed_out_at -> Nullable<SqlInstant>,
        said_there_at -> Nullable<SqlInstant>,
        overturned_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::SqlId;

    shared_access_needs (signup_id) {
        signup_id -> SqlId,
        needs -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::SqlId;

    given_up_places (signup_id) {
        signup_id -> SqlId,
        decision_kind -> Text,
        decision_id -> SqlId,
        was -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    given_yeses (run_id, account_id, question) {
        run_id -> SqlId,
        account_id -> SqlId,
        question -> Text,
        starts_at -> SqlInstant,
        lat -> Double,
        lng -> Double,
        with_id -> Nullable<SqlId>,
        given_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    friend_places (id) {
        id -> SqlId,
        run_id -> SqlId,
        signup_id -> SqlId,
        expires_at -> SqlInstant,
        created_at -> SqlInstant,
        used_by -> Nullable<SqlId>,
        ended_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    guests (id) {
        id -> SqlId,
        run_id -> SqlId,
        first_name -> Nullable<Text>,
        emergency_phone -> Nullable<Text>,
        added_by -> Nullable<SqlId>,
        created_at -> SqlInstant,
        signed_out_at -> Nullable<SqlInstant>,
        erased_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    run_series (id) {
        id -> SqlId,
        created_by -> Nullable<SqlId>,
        status -> Text,
        draft -> Text,
        first_local_start -> Text,
        time_zone -> Text,
        rrule -> Text,
        version -> Integer,
        created_at -> SqlInstant,
        updated_at -> SqlInstant,
        ended_at -> Nullable<SqlInstant>,
        ends_before -> Nullable<Text>,
        next_date -> Nullable<Text>,
        next_at -> Nullable<SqlInstant>,
        seats_due -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    series_regulars (id) {
        id -> SqlId,
        series_id -> SqlId,
        account_id -> SqlId,
        since -> SqlInstant,
        ended_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    after_runs (run_id, account_id) {
        run_id -> SqlId,
        account_id -> SqlId,
        pace -> Nullable<Text>,
        felt_safe -> Nullable<Bool>,
        report_id -> Nullable<SqlId>,
        created_at -> SqlInstant,
        updated_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    announcements (id) {
        id -> SqlId,
        run_id -> SqlId,
        author_id -> Nullable<SqlId>,
        audience -> Text,
        words -> Text,
        created_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    run_routes (run_id) {
        run_id -> SqlId,
        geometry -> Text,
        length_km -> Double,
        updated_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    run_calls (run_id, occasion) {
        run_id -> SqlId,
        occasion -> Text,
        called_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    incidents (id) {
        id -> SqlId,
        run_id -> SqlId,
        report_id -> SqlId,
        severity -> Text,
        happened_at -> Nullable<SqlInstant>,
        emergency_services -> Bool,
        signup_ids -> Text,
        guest_ids -> Text,
        created_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    partners (run_id, account_id, partner_id) {
        run_id -> SqlId,
        account_id -> SqlId,
        partner_id -> SqlId,
        starts_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    kept_history (account_id) {
        account_id -> SqlId,
        runs -> Integer,
        silent_absences -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    kept_leaders (account_id, facilitator_id) {
        account_id -> SqlId,
        facilitator_id -> SqlId,
        times -> Integer,
        last_month -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    kept_series (account_id, series_id) {
        account_id -> SqlId,
        series_id -> SqlId,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    series_facilitators (series_id, account_id) {
        series_id -> SqlId,
        account_id -> SqlId,
        listed_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    changes (seq) {
        seq -> BigInt,
        kind -> Text,
        subject -> SqlId,
        made_at -> SqlInstant,
    }
}
