//! The tables about match requests and whom they alert.

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    match_requests (id) {
        id -> SqlId,
        account_id -> SqlId,
        wish -> Text,
        created_at -> SqlInstant,
        expires_at -> SqlInstant,
        warned_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    match_areas (account_id, cell) {
        account_id -> SqlId,
        cell -> Text,
        first_used_at -> SqlInstant,
        last_used_at -> SqlInstant,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    match_alerts (account_id, run_id) {
        account_id -> SqlId,
        run_id -> SqlId,
        found_at -> SqlInstant,
        mail_id -> Nullable<SqlId>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    alert_states (account_id) {
        account_id -> SqlId,
        choice -> Text,
        mail_id -> Nullable<SqlId>,
        due_at -> Nullable<SqlInstant>,
        gathered_at -> Nullable<SqlInstant>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::store::sql_types::{SqlId, SqlInstant};

    alert_runs (run_id) {
        run_id -> SqlId,
        stamp -> SqlId,
        queued_at -> SqlInstant,
        lease_until -> Nullable<SqlInstant>,
    }
}
