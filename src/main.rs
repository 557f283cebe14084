//! Reads the command line and the settings, and hands over to what was asked for.

use clap::Parser;
use sidebyside::cli::{self, Cli};

fn main() -> std::process::ExitCode {
    match cli::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sidebyside: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
