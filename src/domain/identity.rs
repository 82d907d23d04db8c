//! Names that must never change by accident: rules, their version, alert ids.

use super::{Direction, Entity, SessionDate};
use uuid::Uuid;

/// Id of the rule on single securities.
pub const RULE_SYMBOL: &str = "symbol_shock";
/// Id of the rule on groups.
pub const RULE_CLUSTER: &str = "cluster_stress";
/// Version of both; raised whenever their decisions change.
pub const RULE_VERSION: u32 = 1;

/// The id of an alert: a UUID of version 5 over rule, version, entity, session, direction and episode.
///
/// A function of what caused the alert and of nothing else, so a replay repeats it and receivers can drop
/// the copy. The namespace is the version 5 UUID of `fragility.alert.v1` in the URL namespace; the name is
/// `rule|version|type:id|session|direction|episode`, with `-` for no session.
pub fn alert_id(rule: &str, entity: &Entity, session: Option<SessionDate>, direction: Direction, episode: u32) -> Uuid {
    let (kind, id) = (entity.type_name(), entity.id());
    alert_id_of((rule, RULE_VERSION), (kind, id), session, direction, episode)
}

/// [`alert_id`] of a record at hand: of any rule with its version, and any entity by type and id.
pub fn alert_id_of(
    (rule, version): (&str, u32),
    (kind, id): (&str, &str),
    session: Option<SessionDate>,
    direction: Direction,
    episode: u32,
) -> Uuid {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"fragility.alert.v1");
    let session = session.map_or_else(|| "-".to_owned(), |s| s.to_string());
    let name = format!("{rule}|{version}|{kind}:{id}|{session}|{}|{episode}", direction.name());
    Uuid::new_v5(&namespace, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Symbol;

    /// Made with Python's `uuid.uuid5`, the same namespace and name.
    #[test]
    fn ids_are_those_of_an_independent_implementation() {
        let nvda = Entity::Symbol(Symbol::new("NVDA").unwrap());
        let session = "2025-01-27".parse().ok();
        let id = alert_id(RULE_SYMBOL, &nvda, session, Direction::Down, 1);
        assert_eq!(id.to_string(), "37c1e683-3885-53de-99b8-bfdf717d2891");
    }
}
