//! `schema`: the JSON Schemas this build speaks.

/// The schema called `name`, or the names there are.
///
/// # Errors
/// The list of names, when `name` is none of them.
pub fn schema(name: &str) -> Result<&'static str, Vec<&'static str>> {
    const SCHEMAS: [(&str, &str); 6] = [
        ("alert", include_str!("../../schemas/alert.json")),
        ("heartbeat", include_str!("../../schemas/heartbeat.json")),
        ("dead_letter", include_str!("../../schemas/dead_letter.json")),
        ("state", include_str!("../../schemas/state.json")),
        ("input", include_str!("../../schemas/input.json")),
        ("config", include_str!("../../schemas/config.json")),
    ];
    let found = SCHEMAS.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
    found.ok_or_else(|| SCHEMAS.iter().map(|(n, _)| *n).collect())
}
