//! Letters become mails: a subject, a text part and an HTML part.
//!
//! Each kind's wording is one file, `templates/<kind>.j2`, whose first line is the subject; it is rendered twice, so
//! that the two parts of a mail cannot say different things. What looks different in them is in the partials
//! (`_layout`, `_run`, `_link`, `_quote`, as `.txt` and `.html`). A file of the same name in the override folder wins,
//! and `<kind>.txt` or `<kind>.html` there overrides one part alone.
//! The text part escapes as the HTML part does: a value is always one line, and only `quote()` writes more, behind "> ".

use super::letter::{Body, Letter};
use super::{sample, text};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, context};
use serde::Serialize;
use serde_json::Value as Json;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

#[derive(rust_embed::RustEmbed)]
#[folder = "src/mail/templates"]
struct Embedded;

/// The autoescape mode of `.txt` templates.
const TEXT: AutoEscape = AutoEscape::Custom(Cow::Borrowed("text"));

/// Why a letter could not be written. Names the template, never the reader.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A template does not compile or does not render; the first field is the file, the override's path if it is one.
    #[error("mail template {file}: {cause}")]
    Template { file: String, cause: String },
    /// An override folder or file could not be read.
    #[error("mail template {file} cannot be read: {cause}")]
    Unreadable { file: String, cause: String },
    /// The first line of a wording must be `Subject: …`.
    #[error("mail template {file}: the first line must be \"Subject: \" and the subject")]
    NoSubject { file: String },
}

/// A mail in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The templates in the binary, compiled once in a process.
static BUILT_IN: OnceLock<Arc<Environment<'static>>> = OnceLock::new();

/// All templates, compiled; an installation's own are tried out at start.
#[derive(Debug)]
pub struct Templates {
    env: Arc<Environment<'static>>,
    override_dir: Option<PathBuf>,
}

impl Templates {
    /// Compiles every template. With an override folder it also renders a sample of every kind, so that a broken override
    /// stops the start; the built-in templates alone are rendered by the unit tests.
    ///
    /// # Errors
    /// Names the file that cannot be read, compiled or rendered.
    pub fn new(override_dir: Option<PathBuf>) -> Result<Self, RenderError> {
        if let Some(dir) = override_dir.as_deref().filter(|dir| !dir.is_dir()) {
            return Err(RenderError::Unreadable { file: dir.display().to_string(), cause: "not a folder".to_owned() });
        }
        if override_dir.is_none()
            && let Some(env) = BUILT_IN.get()
        {
            return Ok(Self { env: env.clone(), override_dir });
        }
        let mut templates = Self { env: Arc::default(), override_dir };
        templates.env = Arc::new(templates.compile()?);
        if templates.override_dir.is_none() {
            templates.env = BUILT_IN.get_or_init(|| templates.env.clone()).clone();
            return Ok(templates);
        }
        for letter in sample::letters("A text that somebody wrote") {
            templates.render(&letter)?;
        }
        Ok(templates)
    }

    fn compile(&self) -> Result<Environment<'static>, RenderError> {
        let mut env = environment();
        for file in Embedded::iter() {
            let (stem, ending) = file.rsplit_once('.').unwrap_or((&file, ""));
            let parts: &[&str] = if ending == "j2" { &["txt", "html"] } else { &[ending] };
            for part in parts {
                let (file, source) = self.origin(stem, part);
                let source = source.map_err(|cause| RenderError::Unreadable { file, cause })?;
                let added = env.add_template_owned(format!("{stem}.{part}"), source);
                added.map_err(|error| self.fault(stem, part, &error))?;
            }
        }
        Ok(env)
    }

    /// Writes the mail.
    ///
    /// # Errors
    /// Only for an override that uses what this kind of mail does not have.
    pub fn render(&self, letter: &Letter) -> Result<Rendered, RenderError> {
        let kind = letter.body.kind_name();
        let (subject, body) = self.wording(kind, "txt", letter)?;
        let text = self.layout("txt", letter, &subject, body)?;
        let (_, body) = self.wording(kind, "html", letter)?;
        let html = self.layout("html", letter, &subject, paragraphs(&body))?;
        Ok(Rendered { subject, text: text::tidy(&text), html })
    }

    fn wording(&self, kind: &str, part: &str, letter: &Letter) -> Result<(String, String), RenderError> {
        let context = context! {
            ..facts(&letter.body),
            ..context! { house => facts(&letter.house) }
        };
        let whole = self.run(kind, part, context)?;
        let whole = whole.trim_start();
        let (first, body) = whole.split_once('\n').unwrap_or((whole, ""));
        let subject = first
            .strip_prefix("Subject: ")
            .map(text::one_line)
            .filter(|subject| !subject.is_empty())
            .ok_or_else(|| RenderError::NoSubject { file: self.origin(kind, part).0 })?;
        Ok((subject, body.to_owned()))
    }

    fn layout(&self, part: &str, letter: &Letter, subject: &str, body: String) -> Result<String, RenderError> {
        self.run(
            "_layout",
            part,
            context! {
                subject,
                body => Value::from_safe_string(body),
                house => facts(&letter.house),
                // A name typed by whoever signed up with this address is not ours to pass on before it is verified.
                to_name => match letter.body {
                    Body::VerifyEmail { .. } => String::new(),
                    _ => text::name(&letter.to_name),
                },
                preferences_link => letter.preferences_link.clone(),
                preferences_words => letter.preferences_words.clone(),
            },
        )
    }

    fn run(&self, stem: &str, part: &str, context: Value) -> Result<String, RenderError> {
        let rendered = self.env.get_template(&format!("{stem}.{part}")).and_then(|found| found.render(context));
        rendered.map_err(|error| self.fault(stem, part, &error))
    }

    /// Where a template comes from, and its source.
    fn origin(&self, stem: &str, part: &str) -> (String, Result<String, String>) {
        let names = [format!("{stem}.{part}"), format!("{stem}.j2")];
        if let Some(dir) = &self.override_dir
            && let Some(path) = names.iter().map(|name| dir.join(name)).find(|path| path.exists())
        {
            return (path.display().to_string(), read(&path));
        }
        let found = names.iter().find_map(|name| Embedded::get(name).map(|file| (name, file)));
        let source = found.as_ref().map_or(Cow::Borrowed(&[][..]), |(_, file)| file.data.clone());
        let name = found.map_or_else(|| format!("{stem}.{part}"), |(name, _)| name.clone());
        (name, String::from_utf8(source.into_owned()).map_err(|error| error.to_string()))
    }

    /// An error in a partial lies deeper: the file and line are those of the deepest one that has them.
    fn fault(&self, stem: &str, part: &str, error: &Error) -> RenderError {
        let mut deepest = error;
        let mut next = std::error::Error::source(error);
        while let Some(inner) = next {
            deepest = inner.downcast_ref::<Error>().filter(|inner| inner.name().is_some()).unwrap_or(deepest);
            next = inner.source();
        }
        let place = deepest.name().and_then(|name| name.rsplit_once('.')).unwrap_or((stem, part));
        let cause = deepest.line().map_or_else(|| deepest.to_string(), |line| format!("line {line}: {deepest}"));
        RenderError::Template { file: self.origin(place.0, place.1).0, cause }
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// The facts as a template sees them. Goes by way of JSON, which spares minijinja's own serde support.
fn facts(of: &impl Serialize) -> Value {
    fn value(json: Json) -> Value {
        match json {
            Json::Null => Value::from(()),
            Json::Bool(yes) => Value::from(yes),
            Json::Number(n) => n.as_i64().map_or_else(|| Value::from(n.as_f64().unwrap_or_default()), Value::from),
            Json::String(words) => Value::from(words),
            Json::Array(all) => all.into_iter().map(value).collect::<Vec<_>>().into(),
            Json::Object(fields) => Value::from_pairs(fields.into_iter().map(|(name, field)| (name, value(field)))),
        }
    }
    // Only maps with keys that are no strings fail, and there are none.
    serde_json::to_value(of).map_or_else(|_| Value::from(()), value)
}

fn environment() -> Environment<'static> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .unwrap_or_default();
    let mut env = Environment::new();
    env.set_syntax(syntax);
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|name| if name.ends_with(".txt") { TEXT } else { AutoEscape::Html });
    env.set_formatter(write_value);
    // `{% include "_run" %}` in a wording means the partial of the part that is being written.
    env.set_path_join_callback(|name, parent| match parent.rsplit_once('.') {
        Some((_, part)) if !name.contains('.') => Cow::Owned(format!("{name}.{part}")),
        _ => Cow::Borrowed(name),
    });
    env.add_function("quote", quote);
    env.add_function("button", button);
    env.add_function("lines", text::quoted_lines);
    env.add_filter("name", |value: &str| {
        Some(text::name(value)).filter(|n| !n.is_empty()).unwrap_or("somebody".into())
    });
    env.add_filter("names", |all: Vec<String>| text::names(&all));
    env.add_filter("listed", |all: Vec<String>, word: &str| text::listed(&all, word));
    env.add_filter("inline", |value: &str| text::inline(value));
    env.add_filter("km", |km: f64| format!("{}", (km * 10.0).round() / 10.0));
    env.add_filter("count", |n: u32, one: &str, many: &str| match n {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        _ => format!("{n} {many}"),
    });
    env
}

/// Every value that a template writes comes through here, so that no template can forget it.
fn write_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() || value.is_undefined() {
        return Ok(());
    }
    let written = match value.as_str() {
        Some(whole) if value.is_safe() => out.write_str(whole),
        other => {
            let line = other.map_or_else(|| text::one_line(&value.to_string()), text::one_line);
            if *state.auto_escape() == TEXT { out.write_str(&line) } else { out.write_str(&text::html(&line)) }
        }
    };
    written.map_err(Error::from)
}

/// `quote(words)`: what somebody wrote, set apart.
fn quote(state: &State<'_, '_>, words: &str) -> Result<Value, Error> {
    partial(state, "_quote", context! { quoted => text::quoted_lines(words) })
}

/// `button(url, label)`: a link of ours, alone on a line of the text part.
fn button(state: &State<'_, '_>, url: &str, label: &str) -> Result<Value, Error> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Error::new(ErrorKind::InvalidOperation, "button() takes a full http or https URL"));
    }
    partial(state, "_link", context! { url, label })
}

fn partial(state: &State<'_, '_>, stem: &str, context: Value) -> Result<Value, Error> {
    let part = if *state.auto_escape() == TEXT { "txt" } else { "html" };
    let block = state.env().get_template(&format!("{stem}.{part}"))?.render(context)?;
    Ok(Value::from_safe_string(format!("\n\n{}\n\n", block.trim())))
}

/// Blocks that are not markup yet become paragraphs. Values are escaped and have no line ends, so that a block which
/// starts with `<` is always from a template.
fn paragraphs(body: &str) -> String {
    let tidied = text::tidy(body);
    let blocks = tidied.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let blocks = blocks.map(|block| if block.starts_with('<') { block.to_owned() } else { format!("<p>{block}</p>") });
    blocks.collect::<Vec<_>>().join("\n")
}
