//! The help lines that people are shown: the operator's from `HELP_FILE`, or a neutral list that is true everywhere.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where somebody in need is helped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HelpLine {
    /// Who answers.
    pub name: String,
    /// The number to call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The page to open (http or https).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When somebody answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Whom and what it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// The help lines, in the order in which they are shown; never none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HelpLines {
    /// The lines.
    pub lines: Vec<HelpLine>,
}

impl Default for HelpLines {
    /// What is true everywhere. An operator should name the help lines of the place.
    fn default() -> Self {
        let emergency = HelpLine {
            name: "Emergency services".to_owned(),
            phone: Some("112".to_owned()),
            url: None,
            hours: Some("always".to_owned()),
            about: Some(
                "When somebody is in danger, call the local emergency number: 112 in Europe and from most mobile \
                 phones, 999 in the United Kingdom, 911 in North America."
                    .to_owned(),
            ),
        };
        let directory = HelpLine {
            name: "Find A Helpline".to_owned(),
            phone: None,
            url: Some("https://findahelpline.com".to_owned()),
            hours: None,
            about: Some("Free and confidential help lines, by country and by what it is about.".to_owned()),
        };
        Self { lines: vec![emergency, directory] }
    }
}

impl HelpLines {
    /// Reads a TOML file of `[[lines]]`.
    pub(super) fn load(path: &Path) -> Result<Self, Vec<String>> {
        let text = std::fs::read_to_string(path)
            .map_err(|fault| vec![format!("{} cannot be read: {fault}", path.display())])?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let mut file = text.parse::<toml::Table>().map_err(|fault| vec![fault.message().to_owned()])?;
        let Some(toml::Value::Array(entries)) = file.remove("lines") else {
            return Err(vec!["it has no [[lines]]".to_owned()]);
        };
        let mut problems: Vec<String> = file.keys().map(|key| format!("unknown key {key}")).collect();
        if entries.is_empty() {
            problems.push("it has no [[lines]]".to_owned());
        }
        let mut lines = Vec::with_capacity(entries.len());
        for (position, entry) in entries.into_iter().enumerate() {
            let read = entry.try_into::<HelpLine>().map_err(|fault| fault.message().to_owned());
            match read.and_then(|line| line.checked()) {
                Ok(line) => lines.push(line),
                Err(problem) => problems.push(format!("entry {} of [[lines]]: {problem}", position + 1)),
            }
        }
        if problems.is_empty() { Ok(Self { lines }) } else { Err(problems) }
    }
}

impl HelpLine {
    fn checked(self) -> Result<Self, String> {
        if self.name.trim().is_empty() {
            return Err("name is empty".to_owned());
        }
        if self.phone.is_none() && self.url.is_none() {
            return Err("it needs phone or url".to_owned());
        }
        let web = |url: &String| url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !self.url.as_ref().is_none_or(web) {
            return Err("url is no address that starts with https:// or http://".to_owned());
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_its_order() {
        let text = "[[lines]]\nname = 'One'\nphone = '1'\n[[lines]]\nname = 'Two'\nurl = 'https://two.example'\nhours = '9 to 5'";
        let names: Vec<_> = HelpLines::parse(text).unwrap().lines.into_iter().map(|line| line.name).collect();
        assert_eq!(names, ["One", "Two"]);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let text = "other = 1\n[[lines]]\nname = ''\nphone = '1'\n[[lines]]\nname = 'Fine'\nphone = '1'\n[[lines]]\nname = 'None'\n\
                    [[lines]]\nname = 'Script'\nurl = 'javascript:alert(1)'\n[[lines]]\nname = 'Odd'\nfax = '1'";
        let problems = HelpLines::parse(text).unwrap_err().join("\n");
        for part in ["unknown key other", "entry 1", "entry 3", "entry 4", "entry 5 of [[lines]]: unknown field `fax`"]
        {
            assert!(problems.contains(part), "{part} in {problems}");
        }
        assert!(!problems.contains("entry 2"), "{problems}");
        assert!(
            HelpLines::parse("").is_err() && HelpLines::parse("lines = []").is_err() && HelpLines::parse("[").is_err()
        );
    }
}
