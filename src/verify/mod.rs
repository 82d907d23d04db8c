//! Recomputes an alert from what the alert itself carries.
//!
//! Two checks that stand on their own. The digest shows that the bytes are those that were written, whatever they
//! say. The recomputation shows that the numbers follow from one another, whoever wrote them: it uses the
//! functions that the engine decides with, and compares bit for bit where the record holds full precision, and
//! to its four decimals where it is rounded. What no other field of the record determines is in [`DIGEST_ONLY`].
//!
//! Absent by design: the market, the calendar and the configuration. What they say of an alert is not asked.

mod cluster;
mod composite;
mod findings;
mod identity;
mod symbol;
mod window;

pub use findings::{DIGEST_ONLY, Difference};

use crate::codec::{AlertRecord, NotAnAlert, SaidRecord, decode_alert, digest_of, digested};
use findings::Findings;

/// What became of one record.
#[derive(Clone, PartialEq, Debug)]
pub enum Verified {
    /// An alert, and the fields that do not hold; none when it does.
    Alert(Box<AlertRecord>, Vec<Difference>),
    /// A compact alert: it carries no arithmetic, so nothing can be said of it.
    Compact,
    /// A heartbeat: no alert, and nothing to recompute.
    Heartbeat,
}

/// Recomputes one record of the alerts or the state topic, given as the bytes that were written.
///
/// # Errors
/// When it is no alert of a form that this build reads.
pub fn verify(record: &[u8]) -> Result<Verified, NotAnAlert> {
    let alert = match decode_alert(record)? {
        SaidRecord::Full(alert) => alert,
        SaidRecord::Compact(_) => return Ok(Verified::Compact),
        SaidRecord::Heartbeat => return Ok(Verified::Heartbeat),
    };
    let mut found = Findings::default();
    let digest = digested(record).map(digest_of);
    found.same("digest", &Some(alert.digest.as_str()), &digest.as_deref());
    recompute(&alert, &mut found);
    Ok(Verified::Alert(alert, found.into_differences()))
}

/// Everything but the digest.
fn recompute(alert: &AlertRecord, found: &mut Findings) {
    identity::check(alert, found);
    match &alert.cluster {
        None => symbol::check(alert, found),
        Some(group) => cluster::check(alert, group, found),
    }
}
