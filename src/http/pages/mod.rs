//! The pages that links in mails open, under `/e/{action}/{token}`: GET shows what will happen and for whom, the form's
//! POST to the same address does it. No login, no JavaScript, nothing from elsewhere; one inline `<style>`, so that a
//! Content-Security-Policy needs `style-src 'unsafe-inline'` (or its hash) and may forbid all else but `form-action
//! 'self'`. Served with `Cache-Control: no-store` and `Referrer-Policy: no-referrer`, since the address is a secret.
//!
//! Context of the templates: all have `title`, `lines` (paragraphs), `errors` (our sentences; empty at first) and
//! `house` (`org_name`, `contact`, `help_url`). Besides:
//! - `confirm.html`: `button`
//! - `reset.html`: nothing; posts `password`
//! - `invite.html`: `display_name`, `terms_version`, `terms_url`; posts `display_name`, `password`, `adult` ("true") and
//!   `terms_version`, the last two only when ticked
//! - `appeal.html`: `statement`; posts `statement`
//! - `done.html`, `gone.html`: nothing
//! - `home.html`: `help_lines` (`name`, and perhaps `phone`, `url`, `hours`, `about`)
//! - `problem.html`: `code`, `words`; `problem_index.html`: `rows` (`code`, `title`)
//!
//! Every value is escaped; nothing here acts.

use std::sync::OnceLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value, context};

use crate::config::HelpLine;

const FILES: [(&str, &str); 11] = [
    ("layout.html", include_str!("layout.html")),
    ("confirm.html", include_str!("confirm.html")),
    ("password.html", include_str!("password.html")),
    ("reset.html", include_str!("reset.html")),
    ("invite.html", include_str!("invite.html")),
    ("appeal.html", include_str!("appeal.html")),
    ("done.html", include_str!("done.html")),
    ("gone.html", include_str!("gone.html")),
    ("home.html", include_str!("home.html")),
    ("problem.html", include_str!("problem.html")),
    ("problem_index.html", include_str!("problem_index.html")),
];

/// Who runs this installation: the footer of every page.
#[derive(Clone, Debug)]
pub struct PageHouse {
    pub org_name: String,
    pub contact: String,
    pub help_url: String,
}

/// What will happen, and for whom, with one button.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// "Give up your place?"
    pub title: String,
    /// "Ana, this gives up your place on Saturday 28 November 2026, 09:00."
    pub lines: Vec<String>,
    /// "Not today"
    pub button: String,
}

/// A new password.
#[derive(Clone, Debug, Default)]
pub struct Reset {
    /// Whose password it is.
    pub display_name: String,
    pub errors: Vec<String>,
}

/// An imported person opens the account.
#[derive(Clone, Debug)]
pub struct Invite {
    /// What was imported, or what was posted last.
    pub display_name: String,
    pub terms_version: String,
    pub terms_url: String,
    pub errors: Vec<String>,
}

/// An objection to a decision.
#[derive(Clone, Debug)]
pub struct Appeal {
    /// What was decided, why and until when.
    pub lines: Vec<String>,
    /// What was posted last; empty at first.
    pub statement: String,
    pub errors: Vec<String>,
}

/// It is done.
#[derive(Clone, Debug)]
pub struct Done {
    pub title: String,
    pub lines: Vec<String>,
}

/// The page of an installation's address.
#[derive(Clone, Debug)]
pub struct Home {
    /// Where somebody in need is helped.
    pub help_lines: Vec<HelpLine>,
}

/// What a problem code means.
#[derive(Clone, Copy, Debug)]
pub struct ProblemPage {
    pub code: &'static str,
    pub title: &'static str,
    pub words: &'static str,
}

impl From<(&'static str, &'static str, &'static str)> for ProblemPage {
    fn from((code, title, words): (&'static str, &'static str, &'static str)) -> Self {
        Self { code, title, words }
    }
}

/// The pages, compiled once.
#[derive(Debug)]
pub struct Pages {
    env: &'static Environment<'static>,
    house: PageHouse,
}

/// The embedded templates, compiled once in a process.
static TEMPLATES: OnceLock<Environment<'static>> = OnceLock::new();

fn templates() -> Result<&'static Environment<'static>, Error> {
    if let Some(env) = TEMPLATES.get() {
        return Ok(env);
    }
    let mut env = Environment::new();
    env.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, source) in FILES {
        env.add_template(name, source)?;
    }
    Ok(TEMPLATES.get_or_init(|| env))
}

impl Pages {
    /// Compiles the embedded templates.
    ///
    /// # Errors
    /// Only if a template in the binary is broken.
    pub fn new(house: PageHouse) -> Result<Self, Error> {
        Ok(Self { env: templates()?, house })
    }

    /// What will happen, with a button that does it.
    ///
    /// # Errors
    /// Only if a template in the binary is broken; so for every page.
    pub fn confirm(&self, page: &Confirm) -> Result<String, Error> {
        let more = context! { button => page.button.clone() };
        self.page("confirm.html", &page.title, &page.lines, &[], more)
    }

    /// A form for a new password.
    ///
    /// # Errors
    /// As [`Pages::confirm`].
    pub fn reset(&self, page: &Reset) -> Result<String, Error> {
        let more = context! { display_name => page.display_name.clone() };
        self.page("reset.html", "Choose a new password", &[], &page.errors, more)
    }

    /// A form for an invited person.
    ///
    /// # Errors
    /// As [`Pages::confirm`].
    pub fn invite(&self, page: &Invite) -> Result<String, Error> {
        let more = context! {
            display_name => page.display_name.clone(),
            terms_version => page.terms_version.clone(),
            terms_url => page.terms_url.clone(),
        };
        self.page("invite.html", "You are invited", &[], &page.errors, more)
    }

    /// A form to object to a decision.
    ///
    /// # Errors
    /// As [`Pages::confirm`].
    pub fn appeal(&self, page: &Appeal) -> Result<String, Error> {
        let more = context! { statement => page.statement.clone() };
        self.page("appeal.html", "Object to a decision", &page.lines, &page.errors, more)
    }

    /// It is done.
    ///
    /// # Errors
    /// As [`Pages::confirm`].
    pub fn done(&self, page: &Done) -> Result<String, Error> {
        self.page("done.html", &page.title, &page.lines, &[], context! {})
    }

    /// The link is used, expired or unknown: the same words for all, so that nobody learns which.
    ///
    /// # Errors
    /// As [`Pages::confirm`].
    pub fn gone(&self) -> Result<String, Error> {
        let lines = [
            "Perhaps it was used already, or its time is over; then there is nothing you need to do.".to_owned(),
            "If you copied it from a mail, please check that you have all of it. A newer mail may hold a newer link."
                .to_owned(),
        ];
        self.page("gone.html", "This link does not work any more", &lines, &[], context! {})
    }

    /// What this is, and where somebody in need is helped.
    ///
    /// # Errors
    /// As [`Pages::confirm`].
    pub fn home(&self, page: &Home) -> Result<String, Error> {
        let line = |line: &HelpLine| {
            let HelpLine { name, phone, url, hours, about } = line.clone();
            context! { name, phone, url, hours, about }
        };
        let more = context! { help_lines => page.help_lines.iter().map(line).collect::<Vec<Value>>() };
        let title = match self.house.org_name.as_str() {
            "Side by Side" => "Side by Side".to_owned(),
            org_name => format!("{org_name}: Side by Side"),
        };
        self.page("home.html", &title, &[], &[], more)
    }

    /// What a problem code means.
    ///
    /// # Errors
    /// As [`Pages::confirm`].
    pub fn problem(&self, page: &ProblemPage) -> Result<String, Error> {
        self.page("problem.html", page.title, &[], &[], context! { code => page.code, words => page.words })
    }

    /// All problem codes.
    ///
    /// # Errors
    /// As [`Pages::confirm`].
    pub fn problem_index(&self, rows: &[ProblemPage]) -> Result<String, Error> {
        let row = |row: &ProblemPage| context! { code => row.code, title => row.title };
        let rows: Vec<Value> = rows.iter().map(row).collect();
        self.page("problem_index.html", "Problem codes", &[], &[], context! { rows })
    }

    fn page(&self, name: &str, title: &str, lines: &[String], errors: &[String], more: Value) -> Result<String, Error> {
        let PageHouse { org_name, contact, help_url } = self.house.clone();
        let house = context! { org_name, contact, help_url };
        let (lines, errors) = (lines.to_vec(), errors.to_vec());
        self.env.get_template(name)?.render(context! { title, lines, errors, house, ..more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: &str = "<script>x</script>\"><b onclick='x'>{{ 7*7 }}</textarea>";

    fn all(words: &str) -> Vec<String> {
        let (text, some) = (words.to_owned(), vec![words.to_owned()]);
        let house = PageHouse { org_name: text.clone(), contact: text.clone(), help_url: "https://h.example/".into() };
        let pages = Pages::new(house).unwrap();
        let confirm = Confirm { title: text.clone(), lines: some.clone(), button: text.clone() };
        let invite = Invite {
            display_name: text.clone(),
            terms_version: "2026-11".into(),
            terms_url: "https://h.example/terms".into(),
            errors: some.clone(),
        };
        let appeal = Appeal { lines: some.clone(), statement: text.clone(), errors: some.clone() };
        vec![
            pages.confirm(&confirm).unwrap(),
            pages.reset(&Reset { display_name: text.clone(), errors: some.clone() }).unwrap(),
            pages.invite(&invite).unwrap(),
            pages.appeal(&appeal).unwrap(),
            pages.done(&Done { title: text, lines: some }).unwrap(),
            pages.gone().unwrap(),
        ]
    }

    #[test]
    fn home_page_names_the_organisation_and_every_help_line() {
        let house = PageHouse {
            org_name: "Town <Runners>".into(),
            contact: "hello@town.example".into(),
            help_url: "https://h.example/".into(),
        };
        let line = HelpLine {
            name: "Somebody <b>".into(),
            phone: Some("0800 1".into()),
            url: Some("https://help.example/a?b=1".into()),
            hours: Some("always".into()),
            about: None,
        };
        let page = Pages::new(house).unwrap().home(&Home { help_lines: vec![line] }).unwrap();
        for needed in
            ["Town &lt;Runners&gt;", "Somebody &lt;b&gt;", "0800 1", "always", "href=\"docs/\"", "<h1>", "lang=\"en\""]
        {
            assert!(page.contains(needed), "{needed} missing in {page}");
        }
        assert!(!page.contains("<b>") && !page.contains("undefined") && !page.contains("noindex"), "{page}");
    }

    #[test]
    fn pages_escape_what_people_typed_and_load_nothing() {
        for page in all(BAD) {
            for bad in ["<script", "<b onclick", "49", "src=", "@import", "url("] {
                assert!(!page.contains(bad), "{bad} in {page}");
            }
            assert_eq!(page.matches("</textarea>").count(), usize::from(page.contains("<textarea")));
        }
    }

    #[test]
    fn every_page_is_whole_and_posts_to_itself() {
        for page in all("plain") {
            for needed in [
                "<html lang=\"en\">",
                "<meta name=\"robots\" content=\"noindex\">",
                "<meta name=\"referrer\" content=\"no-referrer\">",
                "name=\"viewport\"",
                "<h1>",
                "not therapy and not an emergency service",
                "</html>",
            ] {
                assert!(page.contains(needed), "{needed} missing in {page}");
            }
            assert_eq!(page.contains("<form"), page.contains("<form method=\"post\" action=\"\">"));
        }
    }

    #[test]
    fn the_forms_ask_for_what_the_accounts_need() {
        let pages = all("plain");
        assert!(pages[1].contains("name=\"password\"") && pages[1].contains("minlength=\"15\""));
        for field in ["display_name", "password", "adult", "terms_version"] {
            assert!(pages[2].contains(&format!("name=\"{field}\"")), "{field}");
        }
        assert!(pages[2].contains("href=\"https://h.example/terms\"") || pages[2].contains("&#x2f;terms\""));
        assert!(pages[3].contains("name=\"statement\""));
    }
}
