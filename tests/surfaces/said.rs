//! Alerts as `verify` reads them.

use fragility::codec::{digest_of, digested};
use fragility::verify::{Verified, verify};

pub(super) fn alert(bytes: &[u8]) {
    let verified = match verify(bytes) {
        Ok(verified) => verified,
        Err(why) => return assert!(!why.to_string().is_empty()),
    };
    let Verified::Alert(alert, differences) = verified else { return };
    assert!(differences.iter().all(|d| !d.field.is_empty()), "{differences:?}");
    // An alert that holds has the digest of its own bytes.
    if differences.is_empty() {
        assert_eq!(digested(bytes).map(digest_of).as_deref(), Some(alert.digest.as_str()));
    }
}
