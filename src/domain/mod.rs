//! Pure decisions: values in, decisions out. No queries, no web, no clock, no environment.

/// An enum that is one of a few words: the same word in JSON, in the database, in addresses and in the API's description.
macro_rules! word_enum {
    ($case:tt; $(#[$about:meta])* pub enum $name:ident { $($variants:tt)* }) => {
        $(#[$about])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
            utoipa::ToSchema, strum::IntoStaticStr, strum::EnumString, strum::Display, strum::VariantArray,
        )]
        #[serde(rename_all = $case)]
        #[strum(serialize_all = $case)]
        pub enum $name { $($variants)* }
    };
}

pub mod account;
pub mod address;
pub mod after_run;
pub mod availability;
pub mod change;
pub mod day;
pub mod daylight;
pub mod email;
pub mod gathering;
pub mod link;
pub mod match_request;
pub mod matching;
pub mod moderation;
pub mod offer;
pub mod outbox;
pub mod pace;
pub mod pairs;
pub mod place;
pub mod policy;
pub mod profile;
pub mod question;
pub mod refusal;
pub mod reminder;
pub mod route;
pub mod run;
pub mod series;
pub mod signup;
pub mod suggestion;
pub mod text;
pub mod vocabulary;
pub mod web_address;
