//! What is wrong with a configuration, shown where it stands.

use super::layers::holds_secret;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use std::fmt;
use std::ops::Range;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Key path.
    pub key: String,
    /// What is wrong, with the value found and the range allowed.
    pub message: String,
    /// Where the value came from: `file`, `--set`, an environment variable or `defaults`.
    pub origin: String,
    /// Where it stands in the file.
    pub span: Option<Range<usize>>,
}

/// Every problem of a configuration.
#[derive(Debug)]
pub struct ConfigErrors {
    name: String,
    text: String,
    problems: Vec<Shown>,
}

#[derive(Debug)]
struct Shown {
    problem: Problem,
    source: NamedSource<String>,
}

impl ConfigErrors {
    /// Problems of the configuration in file `name` with content `text`.
    pub fn new(name: &str, text: &str, problems: Vec<Problem>) -> Self {
        // A problem is shown with the lines around it.
        let veiled = veil(text);
        let shown = |problem| Shown { problem, source: NamedSource::new(name, veiled.clone()) };
        Self { name: name.to_owned(), text: text.to_owned(), problems: problems.into_iter().map(shown).collect() }
    }

    /// The problems, in order of key.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().map(|s| &s.problem)
    }

    /// The file's name and text.
    pub fn file(&self) -> (&str, &str) {
        (&self.name, &self.text)
    }
}

/// The text with as many stars in the place of every byte of a secret, so that positions stay what they are.
fn veil(text: &str) -> String {
    let mut veiled = String::with_capacity(text.len());
    // The quotes that end a secret of several lines.
    let mut until: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let kept = match until {
            Some(end) => {
                until = until.filter(|_| !line.contains(end));
                0
            }
            None => match line.split_once('=') {
                Some((key, value)) if !key.trim_start().starts_with('#') && holds_secret(key) => {
                    let opened = ["\"\"\"", "'''"].into_iter().find(|quotes| value.trim_start().starts_with(quotes));
                    until = opened.filter(|quotes| value.matches(quotes).count() == 1);
                    key.len() + 1
                }
                _ => line.len(),
            },
        };
        let (open, secret) = line.split_at(kept);
        veiled.push_str(open);
        veiled.extend(secret.bytes().map(|b| if b.is_ascii_whitespace() { char::from(b) } else { '*' }));
    }
    veiled
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{} has {count} problem{}", self.name, if count == 1 { "" } else { "s" })
    }
}

impl std::error::Error for ConfigErrors {}

impl Diagnostic for ConfigErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|p| p as &dyn Diagnostic)))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { key, message, origin, .. } = &self.problem;
        if key.is_empty() {
            f.write_str(message)?;
        } else {
            write!(f, "{key}: {message}")?;
        }
        if origin == "file" { Ok(()) } else { write!(f, " (from {origin})") }
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.problem.span.as_ref().map(|_| &self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }
}

#[cfg(test)]
mod tests {
    use super::veil;

    #[test]
    fn secrets_beside_a_problem_are_not_shown_and_positions_stay() {
        let text = "\"sasl.username\" = \"desk\"\n\"sasl.password\" = \"h\u{fc}nter2\"\n# password = x\n\"ssl.key.pem\" = \"\"\"\nMIIE\nabc\"\"\"\nlisten = 1\n";
        let veiled = veil(text);
        assert_eq!(veiled.len(), text.len());
        for secret in ["nter2", "MIIE", "abc"] {
            assert!(!veiled.contains(secret), "{veiled}");
        }
        for open in ["\"desk\"", "\"sasl.password\" =", "# password = x", "listen = 1"] {
            assert!(veiled.contains(open), "{veiled}");
        }
        assert_eq!(veiled.find("listen"), text.find("listen"));
    }
}
