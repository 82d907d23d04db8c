//! Rows of the histories that `history.legs`, `history.index` and `history.losses` name: CSV, a row a session or a loss.
//!
//! Numbers are in full double precision, so that a session read back is the session that was written; one that is not
//! known is an empty field.

use crate::cluster::{GroupView, PastLoss, Tally};
use crate::domain::SessionDate;

/// The header of a history of legs: those of the members, and of the universe under its own name.
pub fn encode_legs_header(universe: &str, out: &mut Vec<u8>) {
    let around = |column: &str| quoted(&format!("{universe}_{column}"));
    let columns = [
        "session".to_owned(),
        "basket_z".to_owned(),
        "rms_z".to_owned(),
        "turbulence".to_owned(),
        around("valid"),
        around("up"),
        around("down"),
        around("dispersion"),
        "max_member_loss_usd".to_owned(),
        "group_loss_usd".to_owned(),
        "members_breached".to_owned(),
    ];
    out.extend(columns.join(",").into_bytes());
}

/// The legs of a group at the close of a session, in the order of [`encode_legs_header`].
pub fn encode_legs(session: SessionDate, group: &GroupView, out: &mut Vec<u8>) {
    let leg = |name: &str| group.legs.iter().find(|l| l.name == name).and_then(|l| l.value.ok());
    // Where too few are valid there is no breadth, and a reader would make one of the counts.
    let counts = group.universe.filter(|_| leg("breadth").is_some());
    let breached = group.in_breach.ok();
    let count = |of: fn(&Tally) -> u32| field(counts.as_ref().map(of));
    let row = [
        session.to_string(),
        field(leg("basket_z")),
        field(leg("rms_z")),
        field(leg("turbulence")),
        count(|t| t.valid),
        count(|t| t.up),
        count(|t| t.down),
        field(leg("dispersion")),
        field(leg("max_member_loss_usd")),
        field(leg("group_loss_usd")),
        field(breached),
    ];
    out.extend(row.join(",").into_bytes());
}

/// The header of a history of the fragility index.
pub fn encode_index_header(out: &mut Vec<u8>) {
    out.extend_from_slice(b"session,universe,valid,up,down,abs_z_sum");
}

/// What breaks in a universe at the close of a session, in the order of [`encode_index_header`].
pub fn encode_index(session: SessionDate, universe: &GroupView, out: &mut Vec<u8>) {
    let Tally { valid, up, down, abs_z_sum, .. } = universe.breadth;
    let name = quoted(&universe.name);
    out.extend(format!("{session},{name},{valid},{up},{down},{abs_z_sum}").into_bytes());
}

/// The header of a list of the largest losses.
pub fn encode_losses_header(out: &mut Vec<u8>) {
    out.extend_from_slice(b"session,symbol,loss_usd,basis");
}

/// One of the largest losses, in the order of [`encode_losses_header`].
pub fn encode_loss(loss: &PastLoss, out: &mut Vec<u8>) {
    let PastLoss { symbol, session, usd, basis } = loss;
    out.extend(format!("{session},{},{usd},{}", quoted(symbol.as_str()), quoted(basis)).into_bytes());
}

fn field(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

/// A name of the user's as one field.
fn quoted(name: &str) -> String {
    if name.contains([',', '"']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}
