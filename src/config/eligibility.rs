//! The file of sale conditions.

use crate::domain::{ConditionCode, Tape};
use crate::market::eligibility::{Permission, Role, Rule, Table, When};
use chrono::NaiveDate;
use serde::Deserialize;
use std::fmt;

/// The table that comes with the build.
const BUILT_IN: &str = include_str!("../../config/eligibility/us_sip.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    version: String,
    as_of: String,
    #[expect(dead_code, reason = "says where the file's facts come from, to its readers")]
    source: String,
    conditions: Vec<RawRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    tapes: Vec<RawTape>,
    code: String,
    #[serde(default)]
    #[expect(dead_code, reason = "says what the code stands for, to the file's readers")]
    name: String,
    sets_last: RawPermission,
    sets_high_low: RawPermission,
    sets_volume: RawPermission,
    when: Option<RawWhen>,
    role: Option<RawRole>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum RawTape {
    A,
    B,
    C,
    #[serde(rename = "other")]
    Other,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawPermission {
    Yes,
    No,
    Conditional,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawWhen {
    First,
    Newest,
    ExtendedHours,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawRole {
    Opening,
    Reopening,
    Closing,
    OfficialOpen,
    OfficialClose,
    CorrectedClose,
    OddLot,
    Extended,
}

/// A table of sale conditions that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibilityFileError(String);

impl fmt::Display for EligibilityFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EligibilityFileError {}

/// Reads a table of sale conditions; the built-in one for `None`.
///
/// # Errors
/// When the text is not TOML of the table's shape, a code is no condition code, or the rules contradict
/// each other.
pub fn read_eligibility(text: Option<&str>) -> Result<Table, EligibilityFileError> {
    let raw: RawTable =
        toml::from_str(text.unwrap_or(BUILT_IN)).map_err(|e| EligibilityFileError(e.message().to_owned()))?;
    if NaiveDate::parse_from_str(&raw.as_of, "%Y-%m-%d").is_err() {
        return Err(EligibilityFileError(format!("as_of {:?} is not a date YYYY-MM-DD", raw.as_of)));
    }
    let rules: Vec<Rule> = raw.conditions.iter().map(rule).collect::<Result<_, _>>()?;
    Table::new(&raw.version, &rules).map_err(|e| EligibilityFileError(e.to_string()))
}

fn rule(raw: &RawRule) -> Result<Rule, EligibilityFileError> {
    let code = ConditionCode::new(&raw.code)
        .ok_or_else(|| EligibilityFileError(format!("code {:?} is not 1 to 4 printable ASCII characters", raw.code)))?;
    let tape = |tape: &RawTape| match tape {
        RawTape::A => Tape::A,
        RawTape::B => Tape::B,
        RawTape::C => Tape::C,
        RawTape::Other => Tape::Other,
    };
    let permission = |permission| match permission {
        RawPermission::Yes => Permission::Yes,
        RawPermission::No => Permission::No,
        RawPermission::Conditional => Permission::Conditional,
    };
    let when = |when| match when {
        RawWhen::First => When::First,
        RawWhen::Newest => When::Newest,
        RawWhen::ExtendedHours => When::ExtendedHours,
    };
    let role = |role| match role {
        RawRole::Opening => Role::Opening,
        RawRole::Reopening => Role::Reopening,
        RawRole::Closing => Role::Closing,
        RawRole::OfficialOpen => Role::OfficialOpen,
        RawRole::OfficialClose => Role::OfficialClose,
        RawRole::CorrectedClose => Role::CorrectedClose,
        RawRole::OddLot => Role::OddLot,
        RawRole::Extended => Role::Extended,
    };
    Ok(Rule {
        tapes: raw.tapes.iter().map(tape).collect(),
        code,
        last: permission(raw.sets_last),
        high_low: permission(raw.sets_high_low),
        volume: permission(raw.sets_volume),
        when: raw.when.map(when),
        role: raw.role.map(role),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = r#"tapes = ["A"], code = "@", sets_last = "yes", sets_high_low = "yes", sets_volume = "yes""#;

    fn file(rules: &str) -> String {
        format!("version = \"1\"\nas_of = \"2026-11-24\"\nsource = \"a test\"\nconditions = [{rules}]\n")
    }

    #[test]
    fn the_built_in_table_reads() {
        assert_eq!(read_eligibility(None).unwrap().version(), "2026.1");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        assert!(read_eligibility(Some(&file(&format!("{{ {RULE} }}")))).is_ok());
        for (text, message) in [
            ("version = 1".to_owned(), "invalid type"),
            (file(""), "no condition is listed"),
            (file(&format!("{{ {RULE}, colour = 1 }}")), "unknown field"),
            (file(&format!("{{ {} }}", RULE.replace('@', "LONGER"))), "1 to 4 printable"),
            (file(&format!("{{ {} }}", RULE.replace("\"A\"", "\"D\""))), "unknown variant"),
            (file(&format!("{{ {} }}", RULE.replace("\"A\"", ""))), "names no tape"),
            (file(&format!("{{ {} }}", RULE.replace("last = \"yes\"", "last = \"maybe\""))), "unknown variant"),
            (file(&format!("{{ {} }}", RULE.replace("last = \"yes\"", "last = \"conditional\""))), "go together"),
            (file(&format!("{{ {RULE} }}, {{ {RULE} }}")), "stands twice"),
            (file(&format!("{{ {RULE} }}")).replace("2026-11-24", "soon"), "not a date"),
        ] {
            let error = read_eligibility(Some(&text)).unwrap_err();
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
    }
}
