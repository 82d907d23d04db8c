//! Why bytes are not an observation.

use crate::domain::Outcome;
use std::borrow::Cow;
use std::fmt;

/// A refused record: its outcome, a code from a fixed set, and the detail for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// `malformed`, `rejected`, `tombstone` or `ignored`.
    pub outcome: Outcome,
    /// Short code, the label of dead-letter metrics.
    pub reason: &'static str,
    /// What exactly, with the field.
    pub detail: Cow<'static, str>,
}

impl DecodeError {
    /// Not decodable.
    pub(super) fn malformed(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome: Outcome::Malformed, reason, detail: detail.into() }
    }

    /// Decodable, and nothing that is acted on.
    pub(super) fn ignored(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome: Outcome::Ignored, reason, detail: detail.into() }
    }

    /// Decodable, and impossible.
    pub(super) fn rejected(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { outcome: Outcome::Rejected, reason, detail: detail.into() }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl std::error::Error for DecodeError {}
