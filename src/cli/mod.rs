//! The command line: what each subcommand does, in plain words for the operator.
//!
//! Commands print to standard output; the server logs and never prints.

mod demo;
mod import;
mod logging;
mod operate;
mod serve;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{
    app::App,
    auth::tokens,
    clock::Clock,
    config::{self, Config, Flags},
    id::Id,
    service::imports::What,
};

/// Facilitator-led group runs, matched by the pace at which people can chat, and by place.
#[derive(Parser)]
#[command(name = "sidebyside", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and work the outbox (the default)
    Serve {
        /// Serve only; run `sidebyside worker` elsewhere
        #[arg(long)]
        no_worker: bool,
        /// Go on with another secret than the one used before, and make one where it is lost: all log-ins and all links in mails that were sent end
        #[arg(long)]
        new_secret: bool,
    },
    /// Work the outbox and the reminders, without serving
    Worker,
    /// Bring the database up to this program's version
    Migrate,
    /// Fill a fresh database with a small invented town
    Demo,
    /// Bring people or runs in from a CSV file; nobody is written to without --invite
    Import {
        #[command(subcommand)]
        what: Import,
    },
    /// Write to imported people who have not accepted and whose invitation was never sent or has run out
    Invite {
        /// Only say to whom
        #[arg(long)]
        dry_run: bool,
    },
    /// Make the first admin; the password comes from standard input
    CreateAdmin {
        #[arg(long)]
        email: String,
        #[arg(long, default_value = "Admin")]
        display_name: String,
    },
    /// Look at mails that wait or could not be delivered
    Outbox {
        #[command(subcommand)]
        what: Outbox,
    },
    /// Print the description of the API
    Openapi,
}

#[derive(Subcommand)]
enum Import {
    /// Runs, each led by a facilitator who is in good standing
    Runs {
        #[command(flatten)]
        table: Table,
    },
    /// People, who can log in once they accept an invitation
    People {
        #[command(flatten)]
        table: Table,
        /// Invite everybody in the file who is not invited yet, by one mail each; `sidebyside invite` does so later
        #[arg(long)]
        invite: bool,
    },
}

/// A file and how it is taken.
#[derive(clap::Args)]
struct Table {
    /// CSV with a header line, separated by commas, semicolons or tabs
    file: PathBuf,
    /// Say what would happen, row by row, and change nothing; meanwhile nothing else is written to an SQLite database
    #[arg(long)]
    dry_run: bool,
    /// Take places as they are, even where latitude and longitude look swapped
    #[arg(long)]
    trust_places: bool,
    /// The encoding, such as windows-1252 (default: told by the bytes; what was assumed is said)
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
}

#[derive(Subcommand)]
enum Outbox {
    /// List the mails that wait and that are dead; first those that the mail server refuses because of this installation
    List,
    /// Try dead and refused mails again now: all, or one by its id
    Retry { id: Option<Id> },
}

/// Runs a command; the exit code says whether all of it worked.
pub fn run(cli: Cli) -> Result<ExitCode> {
    if matches!(cli.command, Some(Command::Openapi)) {
        println!("{}", crate::http::api_doc().to_pretty_json()?);
        return Ok(ExitCode::SUCCESS);
    }
    let new_secret = matches!(cli.command, Some(Command::Serve { new_secret: true, .. }));
    let config = config::load(cli.flags, new_secret)?;
    logging::start(config.log_format);
    for note in &config.notes {
        tracing::info!("{note}");
    }
    tokens::install_crypto_provider();
    let worked = match cli.command {
        None => serve::serve(config, true)?,
        Some(Command::Serve { no_worker, .. }) => serve::serve(config, !no_worker)?,
        Some(Command::Worker) => serve::work(config)?,
        Some(Command::Migrate) => operate::migrate(&config)?,
        Some(Command::Demo) => demo::demo(&build(config)?)?,
        Some(Command::Import { what: Import::Runs { table } }) => {
            import::import(&build(config)?, What::Runs, &table, false)?
        }
        Some(Command::Import { what: Import::People { table, invite } }) => {
            import::import(&build(config)?, What::People, &table, invite)?
        }
        Some(Command::Invite { dry_run }) => import::invite(&build(config)?, dry_run)?,
        Some(Command::CreateAdmin { email, display_name }) => {
            operate::create_admin(&build(config)?, &email, &display_name)?
        }
        Some(Command::Outbox { what: Outbox::List }) => operate::outbox_list(&build(config)?)?,
        Some(Command::Outbox { what: Outbox::Retry { id } }) => operate::outbox_retry(&build(config)?, id)?,
        Some(Command::Openapi) => true,
    };
    Ok(if worked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build(config: Config) -> Result<App> {
    App::build(config, Clock::system())
}
